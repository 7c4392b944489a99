"""The project's Terraform configuration, applied to AWS on loopback (aws.py).

Terraform is initialised once a process, for all who apply it. The provider comes from a local mirror where
`TF_CLI_ARGS_init` names one, or where the machine that builds this project keeps one beside the repository; elsewhere
`terraform init` downloads it. `refusals` asks Terraform what it says of values of the variables, without a provider.
"""

import atexit
import functools
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from moto.rds.models import DBInstance

import ncaa_assets
import ncaa_assets_tests.loopback.sns  # noqa: F401 - moto confirms by itself the mail subscriptions that Terraform makes
from ncaa_assets_tests.loopback.lacking import Lacking

SOURCE = Path(ncaa_assets.__file__).parents[1] / "terraform"
_MIRROR_FINDER = SOURCE.parents[1] / "shared" / "tools" / "terraform-plugin-dir"
_OVERRIDE = "unprotected_override.tf"
_NO_BINARY = "terraform is not on PATH: install 1.11 or newer (https://developer.hashicorp.com/terraform/install)"
_DOWNLOAD_SECONDS = 240  # for the provider, 150 MB; a registry out of reach is given up by Terraform itself in seconds


def _init_arguments() -> str:
    """The value of `TF_CLI_ARGS_init` with which the provider is found; empty where it is downloaded."""
    given = os.environ.get("TF_CLI_ARGS_init", "")  # noqa: SIM112 - Terraform's own spelling
    if given or not _MIRROR_FINDER.exists():
        return given
    finder = subprocess.run([_MIRROR_FINDER], capture_output=True, text=True, check=False)
    return f"-plugin-dir={finder.stdout.strip()}" if finder.returncode == 0 else ""


def _copy_configuration(folder: Path) -> None:
    of_a_person = (".terraform*", "*.tfstate*", "terraform.tfvars", "backend.tf", "*_override.tf")
    shutil.copytree(SOURCE, folder, ignore=shutil.ignore_patterns(*of_a_person))


# What refusals are made by: variables and what they are judged by, which name no provider and no resource.
_RULES = ("variables.tf", "rules.tf", "timezones.txt")


def refusals(folder: Path, calls: Sequence[Mapping[str, object]]) -> list[dict[str, str]]:
    """What a plan says against each of `calls`, which are values by the variables' names: the messages by the variable.

    One plan judges all of them, each in a module of its own in the new `folder`.

    Raises:
        Lacking: there is no Terraform.
    """
    _require_binary()
    (folder / "rules").mkdir(parents=True)
    for name in _RULES:
        shutil.copy(SOURCE / name, folder / "rules")
    # As with a deployment's own variables, no value is known before the plan, where one refusal does not hide others.
    text = 'variable "is_plan" { default = true }\n'
    lines: list[tuple[int, str] | None] = [None]  # the call and the variable that each line of the file is of
    for number, call in enumerate(calls):
        text += f'module "call_{number}" {{\n  source = "./rules"\n'
        text += "".join(f"  {name} = var.is_plan ? {_hcl(value)} : null\n" for name, value in call.items()) + "}\n"
        lines += [None, None, *((number, name) for name in call), None]
    (folder / "main.tf").write_text(text, "utf-8")
    _run_binary(folder, "get")
    told = [json.loads(line) for line in _run_binary(folder, "plan", "-json", "-input=false").splitlines()]
    found: list[dict[str, str]] = [{} for _ in calls]
    for diagnostic in (one["diagnostic"] for one in told if one["type"] == "diagnostic"):
        assert diagnostic["severity"] == "error", diagnostic
        where = diagnostic.get("range", {"filename": "?"})
        line = lines[where["start"]["line"] - 1] if where["filename"] == "main.tf" else None
        assert line is not None, diagnostic
        number, name = line
        said = diagnostic["detail"].partition("\n\nThis was checked by")[0]
        found[number][name] = f"{found[number].get(name, '')} {said}".strip()
    return found


def _hcl(value: object) -> str:
    """A value as Terraform reads it."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_hcl(name)} = {_hcl(one)}" for name, one in value.items()) + " }"
    return json.dumps(value, ensure_ascii=False).replace("${", "$${").replace("%{", "%%{")


def _run_binary(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["terraform", *arguments], cwd=folder, env=_environment({}), stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    return done.stdout


def _require_binary() -> None:
    if shutil.which("terraform") is None:
        raise Lacking(_NO_BINARY)


def require_terraform() -> Path:
    """The folder of an initialised configuration, which nobody changes: `.terraform` and the lock file are used by all.

    Raises:
        Lacking: there is no Terraform, or it cannot get its provider. Asked again, it answers at once.
    """
    outcome = _initialised()
    if isinstance(outcome, str):
        raise Lacking(outcome)
    return outcome


@functools.cache
def _initialised() -> Path | str:
    """That folder, or what this machine lacks to make it."""
    if shutil.which("terraform") is None:
        return _NO_BINARY
    folder = Path(tempfile.mkdtemp(prefix="ncaa-terraform-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    _copy_configuration(folder / "initialised")
    try:
        done = subprocess.run(
            ["terraform", "init", "-input=false", "-no-color"],
            cwd=folder / "initialised", env=_environment({"TF_CLI_ARGS_init": _init_arguments()}),
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_DOWNLOAD_SECONDS, check=False,
        )  # fmt: skip
        told, _, _ = done.stderr.partition("Error: ")[2].partition("To see which modules")
        said = "" if done.returncode == 0 else " ".join((told or done.stderr).split())[:300]
    except subprocess.TimeoutExpired:
        said = f"it did not end within {_DOWNLOAD_SECONDS} s"
    if said:
        return (
            "terraform init does not get the AWS provider: open the way to registry.terraform.io, or name a mirror on "
            f"this machine with TF_CLI_ARGS_init=-plugin-dir=FOLDER ({said})"
        )
    return folder / "initialised"


def _environment(more: Mapping[str, str]) -> dict[str, str]:
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "TF_"))}
    return {
        **ours,
        **more,
        "TF_IN_AUTOMATION": "1",
        "CHECKPOINT_DISABLE": "1",  # it asks nobody whether there is a newer one
    }


ACCESS_KEY = "TERRAFORM"


class Terraform:
    """The project's configuration in a new `folder`, initialised, with a state of its own.

    Raises:
        Lacking: as `require_terraform`.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        initialised = require_terraform()
        self.folder = folder
        self._kept: dict[str, tuple[int, Any]] = {}
        _copy_configuration(folder)
        shutil.copy(initialised / ".terraform.lock.hcl", folder)
        self._environment = {**_environment(environment), "TF_DATA_DIR": str(initialised / ".terraform")}
        # A key of its own: what Terraform asks in the background is told from what a test asks.
        self._environment["AWS_ACCESS_KEY_ID"] = ACCESS_KEY

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [
                "terraform",
                arguments[0],
                *([] if arguments[0] in ("fmt", "show", "state") else ["-no-color"]),
                *arguments[1:],
            ],
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

    def unprotect(self) -> None:
        """Lets what is protected be destroyed, as docs/deployment.md says."""
        shutil.copy(self.folder / f"{_OVERRIDE}.example", self.folder / _OVERRIDE)

    def protect(self) -> None:
        """Undoes `unprotect`."""
        (self.folder / _OVERRIDE).unlink()

    def outputs(self) -> dict[str, Any]:
        shown: dict[str, Any] = self._of_the_state("output", "-json")
        return {name: one["value"] for name, one in shown.items()}

    def resources(self) -> list[dict[str, Any]]:
        """Every resource in the state, with its address and its values."""
        return list(_resources(self._of_the_state("show", "-json").get("values", {}).get("root_module", {})))

    def values(self, address: str) -> dict[str, Any]:
        """One resource's values."""
        found: dict[str, Any] = next(one for one in self.resources() if one["address"] == address)["values"]
        return found

    def _of_the_state(self, *arguments: str) -> Any:
        """What a command tells of the state, as JSON; asked once a state, since Terraform takes seconds to tell."""
        stamp = (self.folder / "terraform.tfstate").stat().st_mtime_ns
        if self._kept.get(arguments[0], (0, None))[0] != stamp:
            self._kept[arguments[0]] = stamp, json.loads(self.run(*arguments))
        return self._kept[arguments[0]][1]


class Background:
    """A change of Terraform's that goes on in the background, such as an apply, which waits for databases.

    Its output is read at once, because a full pipe would stop Terraform.
    """

    def __init__(self, terraform: Terraform, *arguments: str) -> None:
        self.terraform = terraform
        self._process = terraform.start(*arguments, "-auto-approve")
        self._said = ""
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        self._said = self._process.stdout.read()

    def said(self) -> str:
        """Waits for its end and returns its output.

        Raises:
            AssertionError: it failed, or did not end within 15 minutes.
        """
        self._reading.join(900)
        assert self._process.wait(10) == 0, self._said[-3000:]
        return self._said

    def end(self) -> None:
        """Ends it if it has not ended."""
        self._process.terminate()
        self._process.wait()


# moto gives all databases the same resource id, so that Terraform takes one for the other.
DBInstance.dbi_resource_id = property(  # type: ignore[assignment]
    lambda database: f"db-{hashlib.sha256(database.db_instance_identifier.encode()).hexdigest()[:26].upper()}",
    lambda _, __: None,
)


def _resources(module: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from (one for one in module.get("resources", []) if one["mode"] == "managed")
    for child in module.get("child_modules", []):
        yield from _resources(child)
