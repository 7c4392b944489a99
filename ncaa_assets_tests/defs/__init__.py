"""Tests of `ncaa_assets/defs/`."""
