"""The five assets, one a file. Each calls the day's plain work and reports in its metadata what happened."""

from ncaa_assets.defs.assets.backup_rows import backup_rows
from ncaa_assets.defs.assets.gallery import gallery
from ncaa_assets.defs.assets.highlights import highlights
from ncaa_assets.defs.assets.processed_videos import processed_videos
from ncaa_assets.defs.assets.videos import videos

ASSETS = [highlights, backup_rows, videos, processed_videos, gallery]
__all__ = ["ASSETS", "backup_rows", "gallery", "highlights", "processed_videos", "videos"]
