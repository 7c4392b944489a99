"""The AWS CLI, as far as the commands of the outputs and of docs/aws.md need it.

It makes what a command says with boto3, by botocore's model of the operation, so that a misspelt option or a wrong
shape is refused as the CLI refuses it. `install` puts it on a PATH under the name `aws`. Lists and structures are taken
as JSON, or in the CLI's shorthand of one level (`A=1,B=2`). `s3 sync` and `logs tail`, which are programs of the CLI's
own, are not here.
"""

import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import boto3
import jmespath  # type: ignore[import-untyped]
from botocore import xform_name


def install(folder: Path) -> None:
    """Makes `aws` in `folder` this program."""
    script = folder / "aws"
    script.write_text(f'#!/bin/sh\nexec {sys.executable} -m {__name__} "$@"\n')
    script.chmod(0o755)


def main(arguments: list[str]) -> str:
    """Runs a command and returns what it prints.

    Raises:
        SystemExit: there is no such option or operation.
        botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError: AWS, or the model, refused it.
    """
    words, options = _parsed(arguments)
    service, operation = words[0], words[1]
    query, output = (options.pop(name, [None])[0] for name in ("query", "output"))
    region = options.pop("region", [os.environ.get("AWS_REGION")])[0]
    client: Any = boto3.client(service.replace("s3api", "s3"), region_name=region)  # type: ignore[call-overload]
    if service == "s3" and operation == "mb":
        client.create_bucket(Bucket=words[2].removeprefix("s3://"))  # in us-east-1
        return f"make_bucket: {words[2]}"
    if operation == "wait":
        wanted = {re.sub(r"(?:^|-)(.)", lambda one: one[1].upper(), name): given[0] for name, given in options.items()}
        client.get_waiter(words[2].replace("-", "_")).wait(**wanted)
        return ""
    options.pop("no-paginate", None)  # one page is all that is asked for here
    name = operation.replace("-", "_")
    if name not in client.meta.method_to_api_mapping:
        raise SystemExit(f"aws: {service} has no {operation}")
    shape = client.meta.service_model.operation_model(client.meta.method_to_api_mapping[name]).input_shape
    members = {xform_name(member).replace("_", "-"): member for member in shape.members}
    if unknown := set(options) - set(members):
        raise SystemExit(f"aws: unknown options: {', '.join(sorted(unknown))}")
    given = {members[name]: _value(shape.members[members[name]], value) for name, value in options.items()}
    answer = getattr(client, name)(**given)
    answer.pop("ResponseMetadata", None)
    answer = json.loads(json.dumps(answer, default=lambda value: getattr(value, "isoformat", lambda: str(value))()))
    if query is not None:
        answer = jmespath.search(query, answer)
    if answer == {}:
        return ""
    return _as_text(answer) if output == "text" else json.dumps(answer, indent=4)


def _parsed(arguments: list[str]) -> tuple[list[str], dict[str, list[str]]]:
    """The words before the options, and each option's."""
    words: list[str] = []
    options: dict[str, list[str]] = {}
    if arguments[0] == "--region":
        options["region"], arguments = [arguments[1]], arguments[2:]
    into = words
    for one in arguments:
        if one.startswith("--"):
            into = options.setdefault(one[2:], [])
        else:
            into.append(one)
    return words, options


def _value(shape: Any, words: list[str]) -> Any:
    if not words:  # a flag
        return True
    text = words[0]
    if text.startswith("file://"):
        text = Path(text.removeprefix("file://")).read_text("utf-8")
    if shape.type_name in ("structure", "list", "map") and text.lstrip().startswith(("{", "[")):
        return json.loads(text)
    if shape.type_name == "list":
        return [_value(shape.member, [word]) for word in words]
    if shape.type_name == "structure":
        pairs = (one.partition("=") for one in text.split(","))
        return {name: _value(shape.members[name], [value]) for name, _, value in pairs}
    if shape.type_name in ("integer", "long"):
        return int(text)
    if shape.type_name == "boolean":
        return {"true": True, "false": False}[text]
    return text


def _as_text(answer: Any) -> str:
    if isinstance(answer, list):
        return "\n".join("\t".join(map(_as_text, one)) if isinstance(one, list) else _as_text(one) for one in answer)
    return "None" if answer is None else str(answer)


if __name__ == "__main__":
    if said := main(sys.argv[1:]):
        print(said)  # noqa: T201
