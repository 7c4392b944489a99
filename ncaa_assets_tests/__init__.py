"""The tests, a file for each module of the package; what several need is in `http_server.py` and `conftest.py`."""
