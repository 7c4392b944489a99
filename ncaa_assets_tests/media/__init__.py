"""Tests of `ncaa_assets/media/`."""
