"""The three services behind the assets, each with one backend a deployment."""
