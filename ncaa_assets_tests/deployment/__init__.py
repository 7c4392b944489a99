"""Tests of the image and of `terraform/`."""
