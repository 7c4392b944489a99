"""A backup of NCAA basketball highlights as a Dagster asset graph. Start reading at `definitions.py`."""

__version__ = "0.1.0"  # of the package, the wheel and the image

# Cloudflare in front of the API's direct host refused Python's default (error 1010, seen).
USER_AGENT = f"ncaa-assets/{__version__}"
