"""What runs beside requests: delivery of notifications, pruning, diagnostics."""
