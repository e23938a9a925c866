"""Helpers that tests share: databases, clocks, endpoints, servers. All are real except the clock."""
