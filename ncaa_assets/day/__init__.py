"""The work of one day in plain Python, without Dagster: fetch its listing, write its rows, copy and encode its videos.

Each step takes a `HeldDay`, stores what it does as it goes, and returns what happened.
"""
