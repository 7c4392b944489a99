"""A backup of NCAA basketball highlights as a Dagster asset graph. Start reading at `definitions.py`."""

__version__ = "0.1.0"
