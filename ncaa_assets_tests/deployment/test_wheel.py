"""The wheel works by itself: in an empty environment, outside of a clone, it backs up a day. And there is one version,
of the package, the wheel, the image and the documents."""

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import ncaa_assets

PROJECT = Path(ncaa_assets.__file__).parents[1]
PACKAGE = PROJECT / "ncaa_assets"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "flit_core.wheel", "--outdir", str(folder)]
    subprocess.run(build, cwd=PROJECT, check=True, capture_output=True)
    (made,) = folder.iterdir()
    return made


@pytest.fixture(scope="module")
def elsewhere(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment with the wheel, its extra `local` and their packages, as the lock has them."""
    folder = tmp_path_factory.mktemp("elsewhere")
    lock = (PROJECT / "requirements" / "local.lock").read_text("utf-8")
    constraints = folder / "constraints.txt"
    constraints.write_text("\n".join(line.rstrip(" \\") for line in lock.splitlines() if re.match(r"[\w.-]+==", line)))
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    install = [str(folder / "venv/bin/python"), "-m", "pip", "install", "-q", "-c", str(constraints), f"{wheel}[local]"]
    done = subprocess.run(install, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder / "venv" / "bin"


def run(program: Path, *arguments: str, folder: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """A command as a person runs it in a folder, without this test's environment."""
    environment = {
        name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ
    } | settings
    return subprocess.run(
        [program, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def test_the_wheel_has_every_file_of_the_package_and_no_other(wheel: Path) -> None:
    ours = {
        str(path.relative_to(PROJECT))
        for path in PACKAGE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.name != ".env"
    }
    within = set(zipfile.ZipFile(wheel).namelist())
    assert {name for name in within if ".dist-info/" not in name} == ours


def test_there_is_one_version(wheel: Path) -> None:
    version = ncaa_assets.__version__
    assert wheel.name == f"ncaa_assets-{version}-py3-none-any.whl"
    assert f'org.opencontainers.image.version="{version}"' in (PROJECT / "Dockerfile").read_text("utf-8")
    released = re.findall(
        r"^## (\d[\d.]*) \(\d{4}-\d\d-\d\d\)$", (PROJECT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE
    )
    assert released[0] == version
    for page in (*PROJECT.glob("*.md"), *PROJECT.glob("docs/*.md")):
        assert set(re.findall(r"ncaa_assets-([\d.]+)-py3", page.read_text("utf-8"))) <= {version}, page.name


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_day_is_backed_up_outside_of_a_clone(elsewhere: Path, tmp_path: Path) -> None:
    program = elsewhere / "ncaa-assets"
    assert run(program, "--version", folder=tmp_path).stdout == f"ncaa-assets, version {ncaa_assets.__version__}\n"
    done = run(program, "backup", "--date", "2025-03-08", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    archive = tmp_path / "data-sample"
    assert [path.suffix for path in sorted((archive / "processed_videos/2025-03-08").iterdir())] == [".jpg", ".mp4"]
    assert run(program, "verify", folder=tmp_path).returncode == 0
    assert run(program, "doctor", folder=tmp_path).returncode == 0


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_wheel_without_its_extra_says_what_to_type_and_that_works(elsewhere: Path, tmp_path: Path) -> None:
    uninstall = [str(elsewhere / "python"), "-m", "pip", "uninstall", "-q", "-y", "imageio-ffmpeg"]
    subprocess.run(uninstall, check=True, capture_output=True)
    backup = ("backup", "--date", "2025-03-08")
    done = run(elsewhere / "ncaa-assets", *backup, folder=tmp_path)
    assert done.returncode == 1
    advised = re.search(r"there is no ffmpeg: run `([^`]+)`", done.stderr)
    assert advised is not None, done.stderr
    subprocess.run(["sh", "-c", advised[1]], cwd=tmp_path, check=True, capture_output=True)
    done = run(elsewhere / "ncaa-assets", *backup, folder=tmp_path)
    assert done.returncode == 0, done.stderr
