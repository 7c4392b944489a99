"""The pages that people watch: a site without a server, written into the archive and derived from it alone."""
