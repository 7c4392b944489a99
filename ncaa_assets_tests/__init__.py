"""The tests, a file for each module of the package; helpers that several need are in `http_server.py` and `conftest.py`."""
