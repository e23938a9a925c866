"""What runs beside requests: notifications, pruning, diagnostics."""
