"""Benchmarks: ratios of things measured side by side in one run, because machines are noisy. `make bench` runs them."""
