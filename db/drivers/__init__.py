"""What talks to asyncpg and to sqlite3."""
