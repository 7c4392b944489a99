"""A stand-in for the Sport Highlights API, with records and clips, for a first run without a key and for tests.

It speaks the real API's modules, paging, headers and errors over HTTP on loopback, so that the same client talks to
both. Its games are made up.
"""

from ncaa_assets.source.sample_api.server import SAMPLE_KEY, SampleServer, serve_sample

__all__ = ["SAMPLE_KEY", "SampleServer", "serve_sample"]
