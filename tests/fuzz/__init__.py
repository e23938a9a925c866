"""Hundreds of generated inputs; `make fuzz` tries 10,000 of each kind."""
