"""A machine that has too little of something, or lacks it: a sentence with what to do, nothing stored half, and a next
run that makes up for it. Real processes, really limited."""

import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ncaa_assets_tests.days import DAY
from ncaa_assets_tests.loopback.running_ui import COMMAND

MIB = 1024**2


def limited(kind: int, most: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(kind, (most, most))


def command(
    *arguments: str, before: Callable[[], None] | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COMMAND, *arguments], env={**os.environ, **environment}, capture_output=True, text=True, timeout=120,
        check=False, preexec_fn=before,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="macOS bounds no address space")
@pytest.mark.parametrize(
    ("kind", "most"),
    [
        *((resource.RLIMIT_NOFILE, most) for most in (8, 12, 16, 20)),
        *((resource.RLIMIT_AS, most * MIB) for most in (160, 250, 700)),
    ],
)
def test_a_day_on_a_machine_that_is_too_small_ends_in_a_sentence_and_the_next_run_is_whole(
    kind: int, most: int
) -> None:
    done = command("backup", "--date", DAY, before=limited(kind, most), RETRY_COUNT="1", RETRY_DELAY="0")
    assert done.returncode in (0, 1), done.stderr
    assert "Traceback" not in done.stderr
    assert "unexpected" not in done.stderr
    if done.returncode:
        assert any(line.startswith("ncaa-assets: ") for line in done.stderr.splitlines())
    assert command("backup", "--date", DAY).returncode == 0
    verified = command("verify")
    assert verified.returncode == 0, verified.stdout
    assert [path for path in Path("data-sample").rglob(".tmp/*") if path.is_file()] == []


_BLOCKER = """
import importlib.abc, os, sys

class Blocker(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition('.')[0] in os.environ['WITHOUT'].split(','):
            raise ModuleNotFoundError(f"No module named '{name}'", name=name)

sys.meta_path.insert(0, Blocker())
"""
_ON_AWS = {
    "NCAA_DEPLOYMENT": "aws", "S3_BUCKET_NAME": "a-bucket", "AWS_REGION": "us-east-1", "RAPIDAPI_KEY": "a-key",
    "MEDIACONVERT_ROLE_ARN": "arn:aws:iam::123456789012:role/convert",
}  # fmt: skip


@pytest.mark.parametrize("arguments", [("backup",), ("catch-up",), ("verify",), ("forget", "--lost"), ("source",)])
def test_an_extra_that_is_missing_is_named_with_the_command_that_installs_it(
    arguments: tuple[str, ...], tmp_path: Path
) -> None:
    (tmp_path / "blocked").mkdir()
    (tmp_path / "blocked" / "sitecustomize.py").write_text(_BLOCKER)
    done = command(*arguments, PYTHONPATH=str(tmp_path / "blocked"), before=None, WITHOUT="boto3,botocore", **_ON_AWS)
    assert done.returncode == 2
    said = "the package boto3 is not installed; run `make -C "
    assert said in done.stderr.splitlines()[-1]
    assert "unexpected" not in done.stderr


@pytest.mark.parametrize("name", ["backup", "catch-up", "verify"])
def test_a_folder_that_was_deleted_is_said(name: str) -> None:
    line = f"mkdir gone && cd gone && rmdir ../gone && exec {COMMAND} {name}"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("ncaa-assets: the folder that this was started in was deleted; change to a folder that")


@pytest.mark.parametrize("content", [b"A=\xff\xfe\n", b"LEAGUE_NAME=N\0\n", bytes(range(256)), None])
def test_an_env_file_that_is_none_is_said(content: bytes | None) -> None:
    if content is None:
        Path(".env").mkdir()
    else:
        Path(".env").write_bytes(content)
    done = command("backup", "--date", DAY)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("ncaa-assets: .env cannot be read (")
    assert line.endswith("; it must be a text file in UTF-8")


def test_a_home_that_does_not_exist_and_certificates_that_are_missing_are_said() -> None:
    done = command("backup", DAGSTER_HOME="~nobody-of-this-name/dagster")
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "write DATA_DIR and DAGSTER_HOME as whole paths without `~`" in done.stderr
    done = command(
        "backup", "--date", DAY, REQUESTS_CA_BUNDLE="/no/such.pem", RAPIDAPI_KEY="a-key",
        API_URL="https://127.0.0.1:1/basketball/highlights",
    )  # fmt: skip
    assert done.returncode == 1
    assert "the file of trusted certificates /no/such.pem is missing; correct REQUESTS_CA_BUNDLE" in done.stderr
