"""Statements over several tables: rotation, sign-in and login attempts."""
