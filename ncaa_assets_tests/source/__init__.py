"""Tests of `ncaa_assets/source/`."""
