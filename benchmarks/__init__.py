"""Benchmarks: each prints a table; `python -m benchmarks` runs all of them."""
