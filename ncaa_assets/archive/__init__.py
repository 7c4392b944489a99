"""The truth in a store: what an archive is of, who works on a day, its documents, and whether they hold."""
