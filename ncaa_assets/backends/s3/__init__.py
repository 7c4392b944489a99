"""An archive in any store that speaks S3's protocol: Cloudflare R2, MinIO, Backblaze B2, SeaweedFS and others. Its rows
are in a SQLite file of this machine, and ffmpeg encodes."""
