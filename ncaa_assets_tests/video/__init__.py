"""Tests of `ncaa_assets/video/`."""
