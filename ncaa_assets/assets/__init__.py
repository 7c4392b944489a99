"""The four assets, one a file: thin, they call the plain modules and say in metadata what happened."""

from ncaa_assets.assets.backup_rows import backup_rows
from ncaa_assets.assets.highlights import highlights
from ncaa_assets.assets.processed_videos import processed_videos
from ncaa_assets.assets.videos import videos

ASSETS = [highlights, backup_rows, videos, processed_videos]
__all__ = ["ASSETS", "backup_rows", "highlights", "processed_videos", "videos"]
