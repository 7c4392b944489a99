"""Tests of `ncaa_assets/backends/`."""
