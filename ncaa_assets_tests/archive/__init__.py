"""Tests of `ncaa_assets/archive/`."""
