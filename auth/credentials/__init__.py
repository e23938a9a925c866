"""Usernames, passwords, and the limits on login attempts."""
