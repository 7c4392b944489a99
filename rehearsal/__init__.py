"""The whole deployment rehearsed on one machine: `make rehearsal`."""
