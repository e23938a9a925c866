"""Faults of real servers under load. Each test records every request and answer, and checks the recorded history."""
