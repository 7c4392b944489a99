"""A stand-in for the Sport Highlights API, records and clips: a first run without a key, and tests, use it.

It speaks the real API's paging, headers and errors over HTTP on loopback, so that the same client code talks to both.
Its games are made up.
"""

from ncaa_assets.source.sample_api.server import SAMPLE_KEY, SampleServer, serve_sample

__all__ = ["SAMPLE_KEY", "SampleServer", "serve_sample"]
