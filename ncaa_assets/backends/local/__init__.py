"""An archive on this machine: a folder, a SQLite file in it, and ffmpeg. One file a service."""
