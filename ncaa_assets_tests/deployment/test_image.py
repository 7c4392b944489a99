"""The image: its Dockerfile is linted and built, and its commands run in it, one of them for a whole day on AWS.

NCAA_BUILD_IMAGE names a tool that builds without a Docker engine (`.ci/run` sets it). It is called as
`TOOL -t NAME CONTEXT` and `TOOL --run NAME COMMAND…`.
"""

import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import ncaa_assets
from ncaa_assets_tests.days import DAY, KEY
from ncaa_assets_tests.loopback.aws import Cloud
from ncaa_assets_tests.loopback.fargate import in_image
from ncaa_assets_tests.loopback.http_server import Reply, ScriptedServer
from ncaa_assets_tests.loopback.lacking import Lacking
from ncaa_assets_tests.loopback.listing import record, serve_listing

# Runs in the image and prints what it holds, as JSON.
LOOK = """
import importlib.metadata, json, os, pathlib, shutil, yaml
import ncaa_assets
tops = map(pathlib.Path, ("/opt", "/home", "/src", "/root", "/tmp"))
files = [path for top in tops if os.access(top, os.X_OK) for path in top.rglob("*")]
ecs = yaml.safe_load(pathlib.Path("/opt/dagster/ecs/dagster.yaml").read_text())
local = yaml.safe_load(pathlib.Path("/opt/dagster/local/dagster.yaml").read_text())
print(json.dumps({
    "packages": [found.name.lower().replace("_", "-") for found in importlib.metadata.distributions()],
    "files": [path.name for path in files],
    "where": ncaa_assets.__file__,
    "programs": [name for name in ("gcc", "cc", "make", "git", "uv", "ffmpeg") if shutil.which(name)],
    "uid": os.getuid(),
    "environment": [os.environ["NCAA_DEPLOYMENT"], os.environ["DAGSTER_HOME"], os.getcwd()],
    "launchers": [ecs["run_launcher"]["class"], local.get("run_launcher")],
    "writable": [os.access(place, os.W_OK) for place in ("/opt/dagster/data", "/opt/dagster/local", "/opt/venv")],
    "workspace": os.path.exists("/opt/dagster/ecs/workspace.yaml"),
}))
"""

PROJECT = Path(ncaa_assets.__file__).parents[1]
NAME = "ncaa-assets-test"
OURS = shutil.ignore_patterns(".git", ".venv", "*_cache", "__pycache__", "data*", ".dagster*", ".env")


def test_the_dockerfile_passes_hadolint() -> None:
    program = shutil.which("hadolint", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if program is None:
        raise Lacking("hadolint is not installed: `make test` installs it")
    done = subprocess.run([program, PROJECT / "Dockerfile"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout


class Image:
    """The built image."""

    def __init__(self, tool: str, name: str = NAME) -> None:
        self.tool, self.name = tool, name

    def run(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """A command in a new container, on this machine's network."""
        given = [f"{name}={value}" for name, value in environment.items()]
        return subprocess.run(
            in_image(self.tool, self.name, *(["env", *given] if given else []), *command),
            capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip


def built(context: Path, name: str) -> str:
    """Builds an image of a folder and returns the tool that did."""
    tool = os.environ.get("NCAA_BUILD_IMAGE")
    if not tool:
        pytest.skip("NCAA_BUILD_IMAGE names no tool that builds images (.ci/run sets it where there is one)")
    done = subprocess.run(
        [tool, "-t", name, context],
        capture_output=True, text=True, timeout=900, check=False, env={**os.environ, "BUILDAH_LAYERS": "true"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return tool


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    """An image built from the repository's files with a person's own files beside them."""
    context = tmp_path_factory.mktemp("context") / "clone"
    shutil.copytree(PROJECT, context, ignore=OURS)
    (context / ".env").write_text(f"RAPIDAPI_KEY={KEY}\n")
    (context / "ncaa_assets" / ".env").write_text(f"RAPIDAPI_KEY={KEY}\n")
    (context / "data").mkdir()
    (context / "data" / "private.json").write_text("{}")
    yield Image(built(context, NAME))


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_image_holds_the_package_and_its_packages_and_nothing_of_its_making(image: Image) -> None:
    done = image.run("ncaa-assets", "--version")
    assert done.stdout.strip() == f"ncaa-assets, version {ncaa_assets.__version__}", done.stderr
    done = image.run("python", "-c", LOOK)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert {"ncaa-assets", "dagster-webserver", "dagster-aws", "dagster-postgres"} <= set(found["packages"])
    assert not {"flit-core", "imageio-ffmpeg", "pytest", "moto", "yt-dlp"} & set(found["packages"])
    assert not {".env", "private.json", "test_image.py"} & set(found["files"])
    assert {"ecs.yaml", "local.yaml"} <= set(found["files"]), "what is searched has the package in it"
    assert found["where"].startswith("/opt/venv/")
    assert found["programs"] == []
    assert found["uid"] == 10001
    assert found["environment"] == ["aws", "/opt/dagster/local", "/opt/dagster"]
    assert found["launchers"] == ["EcsRunLauncher", None]
    assert found["writable"] == [True, True, False]
    assert found["workspace"] is True


@pytest.mark.slow
@pytest.mark.parametrize("role", [["python", "-m", "ncaa_assets.runs.daemon"], ["dagster"]], ids=["daemon", "dagster"])
def test_every_role_is_a_command_of_the_image(image: Image, role: list[str]) -> None:
    done = image.run(*role, "--version")
    assert done.returncode == 0, done.stderr
    assert importlib.metadata.version("dagster") in done.stdout


@pytest.mark.slow
def test_the_default_command_backs_up_to_the_account_in_the_environment_and_tells_what_is_missing(
    image: Image, cloud: Cloud, server: ScriptedServer, clip: Path
) -> None:
    text = (PROJECT / "Dockerfile").read_text()
    assert "\nENTRYPOINT" not in text
    assert 'CMD ["ncaa-assets", "backup"]' in text
    bare = image.run("ncaa-assets", "backup")
    assert bare.returncode == 2
    assert "S3_BUCKET_NAME is unset: NCAA_DEPLOYMENT=aws needs it" in bare.stderr

    cloud.make_bucket("highlights")
    cloud.make_table("SportsHighlights")
    video = server.on("/1.mp4", Reply(clip.read_bytes(), content_type="video/mp4"))
    environment = {
        **cloud.environment(), "S3_BUCKET_NAME": "highlights", "RAPIDAPI_KEY": KEY, "VIDEO_ALLOW_PRIVATE_HOSTS": "1",
        "MEDIACONVERT_ROLE_ARN": "arn:aws:iam::123456789012:role/mediaconvert",
        "API_URL": serve_listing(server, lambda: [record(1, video), record(2, None)]),
    }  # fmt: skip
    done = image.run("ncaa-assets", "backup", "--date", DAY, **environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{DAY} backed up" in done.stdout
    assert "Files:  s3://highlights/" in done.stdout
    assert "crontab" not in done.stdout, "there is none in a container"
    listed = cloud.client("s3").list_objects_v2(Bucket="highlights")["Contents"]
    assert f"videos/{DAY}/1.mp4" in {one["Key"] for one in listed}
    assert cloud.mediaconvert.encodes == 1

    doctor = image.run("ncaa-assets", "doctor", **environment)
    assert "highlights" in doctor.stdout
    assert "Traceback" not in doctor.stdout + doctor.stderr


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_an_image_that_is_asked_for_ffmpeg_has_it(tmp_path: Path) -> None:
    context = tmp_path / "clone"
    shutil.copytree(PROJECT, context, ignore=OURS)
    dockerfile = context / "Dockerfile"
    asked = dockerfile.read_text("utf-8").replace(
        "\nARG FFMPEG=0\n", "\nARG FFMPEG=1\n"
    )  # not every tool takes arguments
    assert asked != dockerfile.read_text("utf-8")
    dockerfile.write_text(asked, "utf-8")
    image = Image(built(context, f"{NAME}-ffmpeg"), f"{NAME}-ffmpeg")
    done = image.run("python", "-c", "from ncaa_assets.media.ffmpeg import ffmpeg_program; print(ffmpeg_program())")
    assert "imageio_ffmpeg" in done.stdout, done.stderr
