"""Tokens, signatures, signing keys and random values."""
