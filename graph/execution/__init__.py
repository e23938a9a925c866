"""Checks and execution of GraphQL documents."""
