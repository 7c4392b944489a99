"""What is missing is told, and in CI it counts."""

import pytest

from ncaa_assets_tests.loopback.lacking import lacking


@pytest.mark.parametrize(("ci", "outcome"), [("true", pytest.fail.Exception), ("", pytest.skip.Exception)])
def test_what_a_machine_lacks_skips_a_test_and_fails_it_in_ci(
    ci: str, outcome: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", ci)
    with pytest.raises(outcome, match="a tool is missing: install it"):
        lacking("a tool is missing: install it")
