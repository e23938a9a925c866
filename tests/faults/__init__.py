"""Faults of real servers under load: each has a history of every request and answer, and a checker that reads it."""
