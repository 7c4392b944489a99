"""What a video file is: its index, whether it is whole, and the one profile that it is encoded with."""
