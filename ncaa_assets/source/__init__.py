"""The Sport Highlights API: its client, the shape of its answers, and the sample API that stands in for it."""
