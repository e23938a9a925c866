"""Alembic's migrations: one set for SQLite and PostgreSQL."""
