"""One module for each table, with the statements on it."""
