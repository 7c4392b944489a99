"""Tests of `ncaa_assets/commands/`."""
