"""An error's text as a log line shows it."""

import pytest

from ncaa_assets.failures import SourceError, one_line


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (SourceError("the key is not subscribed"), "the key is not subscribed"),
        (ConnectionResetError(104, "Connection reset by peer"), "ConnectionResetError: [Errno 104] Connection reset"),
        (TimeoutError(), "TimeoutError"),
        (ValueError("two\n  lines"), "ValueError: two lines"),
        (None, "unknown error"),
    ],
)
def test_an_error_is_one_line(error: BaseException | None, text: str) -> None:
    assert one_line(error).startswith(text)
    assert "\n" not in one_line(error)
