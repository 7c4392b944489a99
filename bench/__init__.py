"""Benchmarks, run by `make bench`. They measure things side by side and compare them, because machines are noisy."""
