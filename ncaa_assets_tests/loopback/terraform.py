"""Terraform as a test uses it: the configuration in a folder of its own, on AWS on loopback (cloud.py).

The provider comes from a local mirror where `TF_CLI_ARGS_init` names one, or where the machine that builds this project
keeps one beside the repository; elsewhere `terraform init` downloads it.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import ncaa_assets
from ncaa_assets_tests.loopback.lacking import lacking

SOURCE = Path(ncaa_assets.__file__).parents[1] / "terraform"
_MIRROR_FINDER = SOURCE.parents[1] / "shared" / "tools" / "terraform-plugin-dir"


def require_terraform() -> None:
    """Skips the test where there is no Terraform; in CI that is a failure."""
    if shutil.which("terraform"):
        return
    lacking("terraform is not on PATH: install 1.11 or newer (https://developer.hashicorp.com/terraform/install)")


def init_arguments() -> str:
    """The value of `TF_CLI_ARGS_init` with which the provider is found; empty where it is downloaded."""
    given = os.environ.get("TF_CLI_ARGS_init", "")  # noqa: SIM112 - Terraform's own spelling
    if given or not _MIRROR_FINDER.exists():
        return given
    found = subprocess.run([_MIRROR_FINDER], capture_output=True, text=True, check=False)
    return f"-plugin-dir={found.stdout.strip()}" if found.returncode == 0 else ""


class Terraform:
    """The project's configuration in `folder`, with a state of its own."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.folder = folder
        self._shown: tuple[int, list[dict[str, Any]]] | None = None
        shutil.copytree(SOURCE, folder, ignore=shutil.ignore_patterns(".terraform*", "*.tfstate*", "terraform.tfvars"))
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "TF_"))}
        self._environment = {
            **kept,
            **environment,
            "TF_CLI_ARGS_init": init_arguments(),
            "TF_IN_AUTOMATION": "1",
            "CHECKPOINT_DISABLE": "1",  # it asks nobody whether there is a newer one
        }
        self.run("init", "-input=false")

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["terraform", arguments[0], *([] if arguments[0] in ("fmt", "show") else ["-no-color"]), *arguments[1:]],
            cwd=self.folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if arguments[0] not in ("show", "output") else subprocess.DEVNULL,
            text=True,
        )

    def run(self, *arguments: str, code: int = 0) -> str:
        """Runs a command to its end and returns what it said; it must end with `code`."""
        process = self.start(*arguments)
        said, _ = process.communicate(timeout=600)
        assert process.returncode == code, f"terraform {' '.join(arguments)}: {process.returncode}\n{said[-3000:]}"
        return said

    def apply(self, *arguments: str) -> str:
        return self.run("apply", "-input=false", "-auto-approve", *arguments)

    def outputs(self) -> dict[str, Any]:
        return {name: one["value"] for name, one in json.loads(self.run("output", "-json")).items()}

    def resources(self) -> list[dict[str, Any]]:
        """Every resource in the state, with its address and its values."""
        stamp = (self.folder / "terraform.tfstate").stat().st_mtime_ns
        if self._shown is None or self._shown[0] != stamp:  # Terraform takes seconds to show it
            state = json.loads(self.run("show", "-json"))
            self._shown = stamp, list(_resources(state.get("values", {}).get("root_module", {})))
        return self._shown[1]

    def values(self, address: str) -> dict[str, Any]:
        """One resource's values."""
        found: dict[str, Any] = next(one for one in self.resources() if one["address"] == address)["values"]
        return found


def _resources(module: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from (one for one in module.get("resources", []) if one["mode"] == "managed")
    for child in module.get("child_modules", []):
        yield from _resources(child)
