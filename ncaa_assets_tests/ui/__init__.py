"""Tests of `ncaa_assets/ui/`."""
