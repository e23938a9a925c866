"""Benchmarks: what an operation costs, measured on a service and a database of their own."""
