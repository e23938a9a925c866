"""Access to asyncpg and sqlite3, and the meaning of their errors."""
