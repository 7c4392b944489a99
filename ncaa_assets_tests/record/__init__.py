"""Tests of `ncaa_assets/record/`."""
