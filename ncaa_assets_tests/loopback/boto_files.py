"""boto3's descriptions of AWS, parsed once a process. boto3 parses them once a session; a run opens several sessions,
and parsing takes longer than the rest of a small day.

Importing this module is enough. The content stays the same, and nothing in `ncaa_assets` knows of it.
"""

import functools
from typing import Any

from botocore.loaders import JSONFileLoader, create_loader

_SERVICES = ("s3", "dynamodb", "mediaconvert")  # what every day on AWS uses
_read = JSONFileLoader.load_file


@functools.cache
def _parsed(path: str) -> Any:
    return _read(JSONFileLoader(), path)


def _load_file(_: JSONFileLoader, file_path: str) -> Any:
    return _parsed(file_path)


JSONFileLoader.load_file = _load_file  # type: ignore[assignment]

# Parsed now, for the processes that are forked from this one.
_loader = create_loader()
for _name in ("endpoints", "partitions"):
    _loader.load_data(_name)
for _service in _SERVICES:
    for _kind in ("service-2", "endpoint-rule-set-1"):
        _loader.load_service_model(_service, _kind)
