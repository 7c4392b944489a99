"""The command line, one file a command: what a person types and what they read while it works."""
