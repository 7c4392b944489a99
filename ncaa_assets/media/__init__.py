"""What a video file is: its kind, its index, whether it is whole, and the one profile that videos are encoded with."""
