"""Whatever a machine lacks skips a test and fails it in CI; and the package needs no pytest."""

import subprocess
import sys
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

_A_TEST_THAT_LACKS_A_TOOL = """
import pytest
from ncaa_assets_tests.loopback.lacking import Lacking

@pytest.fixture(scope="session")
def tool():
    raise Lacking("a tool is missing: install it")

def test_with_a_fixture(tool): ...

def test_with_the_same_fixture(tool): ...

def test_itself():
    raise Lacking("a tool is missing: install it")
"""


@pytest.mark.parametrize(
    ("ci", "outcomes", "shown"),
    [
        ("true", {"errors": 2, "failed": 1}, "*a tool is missing: install it*"),
        ("", {"skipped": 3}, "SKIPPED*a tool is missing: install it"),
    ],
)
def test_what_a_machine_lacks_skips_a_test_and_fails_it_in_ci(
    ci: str, outcomes: dict[str, int], shown: str, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", ci)
    pytester.makeconftest("from ncaa_assets_tests.conftest import pytest_runtest_makereport")
    pytester.makepyfile(_A_TEST_THAT_LACKS_A_TOOL)
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider", "-rs")
    result.assert_outcomes(**outcomes)
    result.stdout.fnmatch_lines([shown])


_IMPORT_EVERYTHING_WITHOUT_PYTEST = """
import importlib, pkgutil, sys
sys.modules["pytest"] = sys.modules["_pytest"] = None  # whatever imports either of them fails
sys.path.insert(0, sys.argv[1])
import bench, ncaa_assets_tests.loopback, rehearsal
for package in (ncaa_assets_tests.loopback, rehearsal, bench):
    for module in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
        if not module.name.rpartition(".")[2].startswith("test_"):
            importlib.import_module(module.name)
sys.path.insert(0, sys.argv[1] + "/docs")
import screenshots
ours = [name for name in sys.modules if name.startswith("ncaa_assets_tests.")]
print(*[name for name in ours if not name.startswith("ncaa_assets_tests.loopback")])
"""


@pytest.mark.slow
def test_the_rehearsal_the_bench_and_the_pictures_need_no_pytest_and_nothing_of_the_tests_but_this_package() -> None:
    root = str(Path(__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", _IMPORT_EVERYTHING_WITHOUT_PYTEST, root],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [], "modules of the tests that they import"
