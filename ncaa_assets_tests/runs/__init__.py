"""Tests of `ncaa_assets/runs/`."""
