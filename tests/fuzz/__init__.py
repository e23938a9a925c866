"""Inputs by the hundred that nobody thought of; `make fuzz` tries 10,000 of each kind."""
