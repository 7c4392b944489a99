"""What a day is and how it grows: plain data and pure functions, no I/O."""
