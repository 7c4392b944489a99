"""What a test needs and a machine may lack: there a skip with its reason, and in CI a failure, so that nothing goes
untested in silence."""

import os
from typing import NoReturn

import pytest


def lacking(text: str) -> NoReturn:
    """Ends the test: skipped, or failed where `CI` is `true`. `text` says what is missing and how it is had."""
    if os.environ.get("CI") == "true":
        pytest.fail(text)
    pytest.skip(text)
