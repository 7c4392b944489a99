"""Tests of `ncaa_assets/day/`."""
