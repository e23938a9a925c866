"""Transactions, retries, timeouts and compiled statements."""
