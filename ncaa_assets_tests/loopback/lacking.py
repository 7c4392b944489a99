"""The one error of this package that is nobody's fault: the machine lacks a tool.

The tests turn it into a skip, and in CI into a failure (conftest.py); the rehearsal ends with its sentence.
"""


class Lacking(Exception):
    """Something cannot be stood in for on this machine. The text says what is missing and how to get it."""
