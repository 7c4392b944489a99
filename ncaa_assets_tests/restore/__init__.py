"""Tests of `ncaa_assets/restore/`."""
