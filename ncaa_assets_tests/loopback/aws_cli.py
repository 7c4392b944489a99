"""The AWS CLI, as far as the commands of the outputs and of docs/aws.md need it.

It makes what a command says with boto3, by botocore's model of the operation, so that a misspelt option or a wrong
shape is refused as the CLI refuses it. `install` puts it on a PATH under the name `aws`. Lists and structures are taken
as JSON, or in the CLI's shorthand of one level (`A=1,B=2`). `s3 sync` and `logs tail`, which are programs of the CLI's
own, are not here.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

import boto3
import jmespath  # type: ignore[import-untyped]
from botocore import xform_name

_FLAGS = {"--no-paginate"}


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
    service, operation = words[0].replace("s3api", "s3"), words[1]
    query, output = options.pop("query", None), options.pop("output", "json")
    client: Any = boto3.client(service, region_name=options.pop("region", None))  # type: ignore[call-overload]
    if operation == "wait":
        client.get_waiter(xform_name(words[2].replace("-", "_"))).wait(**_members(client, None, options))
        return ""
    name = operation.replace("-", "_")
    if name not in client.meta.method_to_api_mapping:
        raise SystemExit(f"aws: {service} has no {operation}")
    shape = client.meta.service_model.operation_model(client.meta.method_to_api_mapping[name]).input_shape
    answer = getattr(client, name)(**_members(client, shape, options))
    answer.pop("ResponseMetadata", None)
    answer = json.loads(json.dumps(answer, default=lambda value: getattr(value, "isoformat", lambda: str(value))()))
    if query is not None:
        answer = jmespath.search(query, answer)
    return _as_text(answer) if output == "text" else json.dumps(answer, indent=4)


def _parsed(arguments: list[str]) -> tuple[list[str], dict[str, str]]:
    """The words and the options of a command line."""
    words: list[str] = []
    options: dict[str, str] = {}
    rest = iter(arguments)
    for one in rest:
        if one in _FLAGS:
            continue
        if not one.startswith("--"):
            words.append(one)
        elif (value := next(rest, None)) is not None:
            options[one[2:]] = value
        else:
            raise SystemExit(f"aws: {one} has no value")
    return words, options


def _members(client: Any, shape: Any, options: dict[str, str]) -> dict[str, Any]:
    if shape is None:  # of a waiter
        return {re.sub(r"(?:^|-)(.)", lambda found: found[1].upper(), name): value for name, value in options.items()}
    members = {xform_name(name).replace("_", "-"): name for name in shape.members}
    if unknown := set(options) - set(members):
        raise SystemExit(f"aws: unknown options: {', '.join(sorted(unknown))}")
    return {members[name]: _value(shape.members[members[name]], text) for name, text in options.items()}


def _value(shape: Any, text: str) -> Any:
    if text.startswith("file://"):
        text = Path(text.removeprefix("file://")).read_text("utf-8")
    if shape.type_name in ("structure", "list", "map"):
        if text.lstrip().startswith(("{", "[")):
            return json.loads(text)
        if shape.type_name == "list":
            if shape.member.type_name == "structure":
                return [_value(shape.member, one) for one in text.split()]
            return text.split()
        return {
            name: _value(shape.members[name], value)
            for name, _, value in (one.partition("=") for one in text.split(","))
        }
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
    print(main(sys.argv[1:]))  # noqa: T201
