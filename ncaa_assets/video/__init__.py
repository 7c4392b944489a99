"""From a URL that a stranger supplied to a stored, verified video."""
