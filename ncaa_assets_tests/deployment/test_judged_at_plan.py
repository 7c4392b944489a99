"""What Terraform says of values at plan: it refuses what the code or AWS would refuse later, and nothing else.

The rules (terraform/variables.tf and rules.tf) read variables alone, so a plan of these files takes no provider and no
account, and one plan judges a few hundred values. What a plan says of an account is in test_terraform.py.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import annotated_types
import botocore
import pytest

from ncaa_assets import settings as settings_module
from ncaa_assets.failures import SettingsError
from ncaa_assets.settings import Settings
from ncaa_assets_tests.days import KEY
from ncaa_assets_tests.loopback.account_rules import FARGATE_MEMORY
from ncaa_assets_tests.loopback.terraform import SOURCE, refusals

VARIABLES: dict[str, str] = dict(
    re.findall(
        r'^variable "(\w+)" \{\n(.*?)^\}', (SOURCE / "variables.tf").read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
)
IN_MAP = set(
    re.findall(
        r"^    ([A-Z_]+) += ", (SOURCE / "rules.tf").read_text("utf-8").partition("setting_rules")[2], re.MULTILINE
    )
)
# What is unset where it is null, or an empty text as it was in earlier days.
UNSET = re.findall(
    r'variable "(\w+)" \{\n[^}]*?type        = string\n  default     = null\n',
    (SOURCE / "variables.tf").read_text("utf-8"),
)


@dataclass(frozen=True)
class Case:
    """A value of a variable, or of a setting in the map `settings` (in capitals), and values of others beside it."""

    name: str
    value: object
    beside: Mapping[str, object] = field(default_factory=dict)
    block: int = 0  # names whose values would change each other's judgement are of different blocks


def judged(folder: Path, cases: list[Case]) -> list[str]:
    """What a plan says against each of the cases; empty where it has nothing to say.

    The first values of all names of a block are judged by one call of the rules, the second ones by another, and so on.
    """
    calls: dict[tuple[int, int], dict[str, Any]] = {}
    used: Counter[str] = Counter()
    places = []
    for number, case in enumerate(cases):
        place = (-1, number) if case.beside else (case.block, used[case.name])
        used[case.name] += not case.beside
        places.append(place)
        call = calls.setdefault(place, dict(case.beside))
        if case.name.isupper():
            call.setdefault("settings", {})[case.name] = case.value
        else:
            call[case.name] = case.value
    found = dict(zip(calls, refusals(folder, list(calls.values())), strict=True))
    said = []
    for case, place in zip(cases, places, strict=True):
        if case.name.isupper():
            sentences = re.findall(
                r"settings: ([A-Z_]+) (must .*?)\.(?= settings:|$)", found[place].get("settings", "")
            )
            said.append(" ".join(sentence for name, sentence in sentences if name == case.name))
        else:
            said.append(found[place].get(case.name, ""))
    return said


# ---- The code's rules and Terraform's -------------------------------------------------------------------------------

# Beside what the fields' own bounds and choices give. What has no rule of its own in the code is in AWS's table below.
_TEXTS = {
    "API_MODULE": ["nba", "auto", "NBA", "american-football", "-nba", "n b a", "9", "a" * 40, "a" * 41,
        "nba/highlights"],
    "RAPIDAPI_HOST": [
        "sport-highlights-api.p.rapidapi.com", "localhost:8080", "https://a.com", "a.com/", "a.com:", "a b",
        "a.com:x",
    ],
    "UI_HOSTS": [
        "dagster.example.org", "dagster.example.org, 192.168.1.20", "LOCALHOST", "[::1]", "::1", "2001:db8::7,a",
        "http://a.com", "a.com:3000", "*", "a,,b", "a,", "1:2", "::1::", "a b", "a..b", "fe80::g",
    ],
    "LEAGUE_NAME": ["NCAA", "N C A A", "Ligue 1 – féminine"],
    "TIMEZONE": [
        "UTC", "America/New_York", "America/Argentina/Buenos_Aires", "Etc/GMT+5", "EST5EDT", "America/Port-au-Prince",
        "Mars/Phobos", "america/new_york", "America", "America/New York", "UTC+2", "../etc/passwd",
        "America/New_York/",
    ],
    "START_DATE": [
        "2024-11-01", "2024-02-29", "0001-01-01", "9999-12-31", "2025-02-29", "2024-13-01", "2024-00-10",
        "2024-11-31",
        "0000-01-01", "20241101", "2024-11-1", "01.11.2024", "2024-11-01T00:00:00Z", "soon", "10000-01-01",
    ],
    "VIDEO_COUNT": ["1", "12", "all", "ALL", " 2 ", "0", "00", "-1", "1.5", "some", "all 3", "1e3",
                    "999999999", "1000000000"],
    "S3_PREFIX": ["ncaa", "backups/ncaa", "a.b/c_d-e", ".leases", "ncaa/.leases", "a\\b", "s3://bucket", "a/../b"],
    "VIDEO_PAGES": ["", "yt-dlp", "1", "YT-DLP"],
}  # fmt: skip
_ADDRESSES = [
    "http://localhost:3000", "https://api.example.com/v2", "HTTPS://EXAMPLE.COM", "https://a.com:65535/x@y:z/",
    "https://a_b.com/", "ftp://a.com", "a.com", "//a.com", "https://", "https:///x", "http://a.com:0",
    "http://a.com:65536",
    "http://a.com:x", "https://user:word@a.com", "https://user@a.com/", "https://a.com?x=1", "https://a.com/#x",
    "https:a.com",
]  # fmt: skip
# What the code reads and Terraform refuses: odd spellings, and what cannot be reached from the deployment's network.
_STRICTER = [
    ("VIDEO_CONCURRENCY", "+4"), ("VIDEO_CONCURRENCY", "4.0"), ("VIDEO_MAX_BYTES", "1_000"), ("QUOTA_RESERVE", "+0"),
    ("UI_URL", "http://[::1]:3000"), ("API_BASE", "https://bücher.example"), ("API_URL", "https://a b.example"),
    ("s3_prefix", "/ncaa/"), ("s3_prefix", "nc aa"), ("s3_prefix", "n" * 201),
]  # fmt: skip


def _numbers(name: str) -> Iterator[str]:
    """Numbers at the bounds of a setting's field and just beyond them."""
    info = Settings.model_fields[name.lower()]
    for bound in info.metadata:
        if isinstance(bound, annotated_types.Ge | annotated_types.Le):
            limit = bound.ge if isinstance(bound, annotated_types.Ge) else bound.le
            assert isinstance(limit, int | float)
            yield from (str(limit + step) for step in (-1, 0, 1))
    yield from ("abc", "-1", "1e", "0x10", "1,5", "99999999999999999999", "1.5")


def _values(name: str) -> list[str]:
    """Texts, good and bad, for a setting: of its own table, or by its field."""
    if name in _TEXTS:
        return _TEXTS[name]
    if name in ("API_URL", "API_BASE", "UI_URL"):
        return _ADDRESSES
    kind = Settings.model_fields[name.lower()].annotation
    kinds = {
        one
        for part in (get_args(kind) or (kind,))
        for one in (get_args(part) if get_origin(part) is Literal else (part,))
    }
    if bool in kinds:
        good = ["0", "1", "true", "false", "yes", "no", "on", "off", "t", "f", "y", "n", "TRUE", "False", "Yes", "OFF"]
        return [*good, "2", "maybe", "enabled", "tru", "10"]
    if int in kinds or float in kinds:
        return list(_numbers(name))
    choices = [one for one in kinds if isinstance(one, str)]
    assert choices, f"{name} needs a table of values"
    return [*choices, choices[0].upper(), "other", f"{choices[0]} {choices[0]}"]


def _code_takes(name: str, text: str) -> bool:
    environment = {
        "NCAA_DEPLOYMENT": "aws", "S3_BUCKET_NAME": "archive", "MEDIACONVERT_ROLE_ARN": "role", "RAPIDAPI_KEY": KEY,
        name: text,
    }  # fmt: skip
    try:
        Settings.from_environment(environment)
    except SettingsError as error:
        assert name in str(error)
        return False
    return True


# Settings with a variable that AWS has rules for and the code has none: they are in the other table.
_AWS_ALONE = {
    "S3_BUCKET_NAME",
    "DYNAMODB_TABLE",
    "MEDIACONVERT_ROLE_ARN",
    "MEDIACONVERT_ENDPOINT",
    "MEDIACONVERT_QUEUE",
}


def test_terraform_and_the_code_refuse_the_same_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings_module, "find_spec", lambda name: None)  # the image has no yt-dlp
    by_variable = {name.upper() for name in VARIABLES} & {name.upper() for name in Settings.model_fields}
    names = sorted((by_variable | IN_MAP) - _AWS_ALONE)
    assert len(IN_MAP) > 15
    assert {"LIMIT", "RETRY_DELAY", "TIMEZONE"} <= by_variable
    cases = [Case(name if name in IN_MAP else name.lower(), text) for name in names for text in _values(name)]
    cases += [Case(name, text) for name, text in _STRICTER]
    taken: dict[str, set[bool]] = {}
    disagree = []
    for case, said in zip(cases, judged(tmp_path / "plan", cases), strict=True):
        by_code = _code_takes(case.name.upper(), str(case.value))
        taken.setdefault(case.name, set()).add(by_code)
        if by_code != (not said) and (case.name, case.value) not in _STRICTER:
            disagree.append(f"{case.name}={case.value!r}: the code {'takes' if by_code else 'refuses'} it, {said=}")
        elif (case.name, case.value) in _STRICTER:
            assert by_code, case
            assert said, case
        if said and case.name.islower() and "a number is required" not in said:  # Terraform's own words
            assert said.startswith(f"{case.name} must"), said
    assert disagree == []
    # league_name's only bad value, an empty one, is no value for the code.
    assert {name for name, both in taken.items() if both != {True, False}} == {"league_name"}


def test_a_setting_that_may_not_stand_in_the_map_is_said(tmp_path: Path) -> None:
    names = ["RAPIDAPI_KEY", "LEAGUE_NAME", "video_concurrency", "NCAA_DEPLOYMENT", "TYPO"]
    cases = [Case("settings", {name: "1", "VIDEO_CONCURRENCY": "2"}) for name in names]
    for said in judged(tmp_path / "plan", cases):
        assert said.startswith("settings takes only what docs/settings.md names")
    both = {"VIDEO_CONCURRENCY": "many", "ENCODE": "twice", "MATCHES": None, "UI_HOSTS": "", "LIMIT": "1"}
    (said,) = judged(tmp_path / "both", [Case("settings", both)])
    assert "settings: ENCODE must be always, needed or never." in said
    assert "settings: VIDEO_CONCURRENCY must be a whole number from 1 to 64." in said
    assert "MATCHES must" not in said
    assert "UI_HOSTS must" not in said


# ---- AWS's rules ----------------------------------------------------------------------------------------------------

_SECRET = "arn:aws:secretsmanager:us-east-1:123456789012:secret:"  # noqa: S105
_PARAMETER = "arn:aws:ssm:us-east-1:123456789012:parameter"
_KMS = "arn:aws:kms:us-east-1:123456789012:key/"
_QUEUE = "arn:aws:mediaconvert:us-east-1:123456789012:queues/"
_ROLE = "arn:aws:iam::123456789012:role/"
_UUID = "1234abcd-12ab-34cd-56ef-1234567890ab"

# By the variable: values that it takes, and values that it refuses.
_AWS: dict[str, tuple[list[object], list[object]]] = {
    "aws_region": (
        ["us-east-1", "ap-southeast-7", "us-gov-west-1", "eusc-de-east-1", "mx-central-1"],
        ["", "Virginia", "us-east", "us-east-1a", "us-east-0", "US-EAST-1", "moon-north-1", "us-east-1 ",
         "aws-global"],
    ),
    "project_name": (
        ["ncaa", "ncaa-assets", "a1b", "a" * 24, "s3-backup", "sthrees", "defaults"],
        [
            "", "ab", "a" * 25, "NCAA", "1ncaa", "ncaa-", "-ncaa", "nc--aa", "nc_aa", "nc.aa", "ncaä", "xn--abc",
            "default",
            "sg-ncaa", "sthree", "sthree-ncaa", "amzn-s3-demo", "amzn-s3-demo-b",
        ],
    ),
    "tags": (
        [
            {}, {"Team": "sports"}, {"a": ""}, {"a" * 128: "v" * 256}, {"é ñ": "a_b.c:d/e=f+g-h@i"},
            {"Project": "ours"},
            {"awsome": "x"}, {"Name": "ncaa"}, {f"t{i}": "v" for i in range(47)},
        ],
        [
            {"aws:x": "1"}, {"AWS:x": "1"}, {"Aws:": "1"}, {"x": "aws:1"}, {"rds:x": "1"}, {"": "1"},
            {"a" * 129: "1"},
            {"a": "v" * 257}, {"a": "b*"}, {"a,b": "c"}, {"a": "x\ny"}, {"a": None}, {"project": "x"},
            {"MANAGEDBY": "x"},
            {"team": "a", "Team": "b"}, {f"t{i}": "v" for i in range(48)}, {"🏀": "1"}, {"a": "<b>"},
        ],
    ),
    "s3_bucket_name": (
        ["abc", "a" * 63, "1-2", "my-bucket-2", "sthree", "s3alias", "an0", "xn-abc", "a--b", "loan", "192-168-5-4"],
        [
            "ab", "a" * 64, "My-bucket", "my_bucket", "my.bucket", "192.168.5.4", "-abc", "abc-", "xn--abc",
            "sthree-x",
            "sthree-configurator", "amzn-s3-demo-bucket", "abc-s3alias", "abc--ol-s3", "abc.mrap", "abc--x-s3",
            "abc--use1-az4--x-s3", "abc--table-s3", "abc-123456789012-us-east-1-an", "a b c", "s3://abc", "abç",
        ],
    ),
    "s3_prefix": (
        ["ncaa", "backups/ncaa", "videos", "dagster-logs2", "logs/dagster-logs", "my-dagster-logs", "n" * 200],
        ["dagster-logs", "dagster-logs/", "dagster-logs/ncaa", "dagster-logs/a/b", "/", "a//b", ".doctor", "a/",
         "/a", "a b", "ä"],
    ),
    "dynamodb_table": (["SportsHighlights", "abc", "a.b_c-d", "a" * 255], ["", "ab", "a" * 256, "a b", "a/b",
        "ä" * 3]),
    "ecr_repository_name": (
        ["ncaa", "a1", "backups/ncaa", "a_b/c.d/e-f", "a__b", "a--b"],
        ["a", "NCAA", "-ab", "ab-", "a//b", "/ab", "ab/", "a._b", "a..b", "a___b", "a" * 257, "ab:1"],
    ),
    "image_tag": (["3f2a91c", "_a", "v1.2-3", "a" * 128], ["latest", "-a", ".a", "a" * 129, "repo:3f2a91c",
        "3f2a91c dirty", "a/b"]),
    "catch_up_schedule": (
        [
            "cron(0 9 * * ? *)", "cron(30 23 ? * MON-FRI *)", "cron(0/15 6,18 * * ? *)",
            "cron(0 */6 1-7 NOV-APR ? 2025-2030)",
            "cron(5 09 L * ? *)", "cron(0 9 15W * ? *)", "cron(0 9 ? * 2#1 *)", "cron(0 9 ? JAN,MAR SUNL *)",
            "cron(0 0 1 1 ? 2199)",
        ],
        [
            "", "every day at nine", "rate(1 day)", "at(2025-01-01T00:00:00)", "cron(0 9 * * *)", "cron(0 9 * * * *)",
            "cron(0 9 ? * ? *)", "cron(60 9 * * ? *)", "cron(0 24 * * ? *)", "cron(0 9 32 * ? *)",
            "cron(0 9 0 * ? *)",
            "cron(0 9 * 13 ? *)", "cron(0 9 ? * 8 *)", "cron(0 9 ? * 0 *)", "cron(0 9 1 * MON *)",
            "cron(0 9 * * ? 1969)",
            "cron(0 9 * * ? 2200)", "cron(0 9 ? * MO *)", "cron(0 9 ? * monday *)", "cron(0 9 ? * 2#6 *)",
            "cron(0/0 9 * * ? *)",
            "cron(a b c d e f)", "cron(0 9 * * ? *", "cron(0 9 * * ? * *)", " cron(0 9 * * ? *)",
            "cron(0  9 * * ? *)",
            "cron(9 0/24/2 * * ? *)", "cron(L 9 * * ? *)", "cron(0 9 * ? ? *)",
        ],
    ),
    "alert_emails": (
        [[], ["you@example.com"], ["a.b+c@mail.example.co.uk", "x@y.zz"], ["o'brien@example.com"]],
        [
            [""], ["me"], ["me@"], ["@example.com"], ["me@localhost"], ["a b@example.com"], ["a@b@example.com"],
            [None],
            ["a@example.com, b@example.com"], ["Me <me@example.com>"], ["a@example..com"], [".a@example.com"],
            ["a.@example.com"],
            ["a..b@example.com"], ["a@-example.com"], ["a@example.c"], ["mailto:a@example.com"], ["é@example.com"],
            ["a@example.com\n"], ["good@example.com", "bad"], ["a" * 65 + "@example.com"],
        ],
    ),
    "rapidapi_secret_arn": (
        [f"{_SECRET}my-api-key-AbCdEf", f"{_SECRET}team/ncaa/key_1+2=3.4@5-a1B2c3"],
        [
            "my-api-key", f"{_SECRET}my-api-key", f"{_SECRET}key-AbCdE", f"{_SECRET}key-AbCdEfg", f"{_SECRET}-AbCdEf",
            _SECRET.replace("us-east-1", "eu-west-1") + "key-AbCdEf", _SECRET.replace("aws", "aws-cn",
            1) + "key-AbCdEf",
            f"{_SECRET}key-AbCdEf:api_key::", f"{_SECRET}key-AbCdEf ", _SECRET.replace("012:", "01:") + "key-AbCdEf",
            f"{_SECRET}my key-AbCdEf", f"{_PARAMETER}/key-AbCdEf", f"{_SECRET}key-AbCd_f",
        ],
    ),
    "rapidapi_secret_json_key": (["api_key", "a.b-c", "", None], ["a b", "a:b", "$.key", "ä"]),
    "rapidapi_ssm_parameter_arn": (
        [f"{_PARAMETER}/ncaa/rapidapi_key", f"{_PARAMETER}/key"],
        [
            "/ncaa/key", _PARAMETER, f"{_PARAMETER}/", f"{_PARAMETER}//key", f"{_PARAMETER}/key:3",
            f"{_PARAMETER}/a b",
            _PARAMETER.replace("us-east-1", "us-east-2") + "/key", _PARAMETER.replace("aws", "aws-us-gov",
            1) + "/key",
            f"{_SECRET}key-AbCdEf",
        ],
    ),
    "rapidapi_kms_key_arn": (
        [_KMS + _UUID, f"{_KMS}mrk-1234abcd12ab34cd56ef1234567890ab"],
        [
            _UUID, "alias/mine", _KMS, f"{_KMS}mine", _KMS.replace("key/", "alias/") + "mine",
            _KMS.replace("us-east-1", "eu-west-1") + _UUID, _KMS.replace("aws", "aws-cn", 1) + _UUID,
            f"{_KMS}{_UUID}1",
        ],
    ),
    "league_name": (["NCAA", "Ligue 1"], ["", " ", "\t"]),
    "mediaconvert_role_arn": (
        [f"{_ROLE}mediaconvert", f"{_ROLE}service/media/mine", f"{_ROLE}a+b=c,d.e@f-g_h"],
        ["mine", _ROLE, f"{_ROLE}a b", f"{_ROLE}{'a' * 65}", _ROLE.replace("role/", "user/") + "me",
         _ROLE.replace("aws", "aws-cn", 1) + "a",
         _ROLE.replace("iam::", "iam:us-east-1:") + "a", f"{_ROLE}a/"],
    ),
    "mediaconvert_queue": (
        [f"{_QUEUE}Default", f"{_QUEUE}high_lights-2"],
        [
            "Default", _QUEUE, f"{_QUEUE}a/b", f"{_QUEUE}a b", _QUEUE.replace("us-east-1", "us-west-2") + "a",
            _QUEUE.replace("aws", "aws-cn", 1) + "a", _QUEUE.replace("queues/", "jobs/") + "a",
        ],
    ),
    "mediaconvert_endpoint": (
        ["https://abcd1234.mediaconvert.us-east-1.amazonaws.com", "https://a.example.com:8443/"],
        ["http://example.com", "example.com", "https://", "https://a.example.com/x", "https://user@a.example.com",
         "https://localhost"],
    ),
    "cpu_architecture": (["X86_64", "ARM64"], ["", "arm", "arm64", "x86_64", "AMD64"]),
    "run_disk_gib": ([20, 21, 200], [0, 19, 201, 20.5, -1, "many"]),
    "database_instance_class": (
        ["db.t4g.micro", "db.t3.medium", "db.m7g.large", "db.r6idn.32xlarge", "db.m8gd.medium", "db.r7i.metal",
         "db.x2iedn.xlarge"],
        ["", "t4g.micro", "db.", "db.micro", "db.t4g", "db.t4g.nano", "db.serverless", "db.t2.micro",
         "db.m4.large", "db.r3.large",
         "db.t4g.4xlarge", "db.t4g.micro ", "DB.T4G.MICRO", "cache.t4g.micro", "db.m7g.micro"],
    ),
    "database_storage_gib": ([20, 1000], [19, 1001, 20.5, 0, -20]),
    "database_backup_days": ([1, 7, 35], [0, 36, 1.5, -1, "long"]),
    "aurora_max_capacity": ([1, 1.5, 2, 128.5, 256], [0, 0.5, 1.3, 256.5, 257, -1]),
    "vpc_cidr": (
        ["10.47.0.0/20", "10.0.0.0/16", "192.168.3.0/24", "172.16.0.0/16", "172.31.240.0/20", "100.64.0.0/16",
         "100.127.255.0/24"],
        [
            "", "10.0.0.0", "10.0.0.0/15", "10.0.0.0/8", "10.0.0.0/25", "10.0.0.0/26", "10.0.0.0/28", "10.0.0.1/20",
            "10.0.1.0/20", "172.15.0.0/16", "172.32.0.0/16", "192.169.0.0/16", "100.63.0.0/16", "100.128.0.0/16",
            "8.8.0.0/16",
            "127.0.0.0/16", "169.254.0.0/16", "224.0.0.0/16", "0.0.0.0/16", "10.256.0.0/16", "fd00::/16", "10.47/20",
            "010.47.0.0/20", "10.47.0.0/020", "10.47.0.0/20 ", "110.0.0.0/16",
        ],
    ),
    "log_retention_days": ([1, 30, 731, 1096, 3653], [0, 2, 31, 366, 730, 30.5, -1, 3654]),
    "old_versions_after_days": ([0, 30, 365], [1, 29, 30.5, -1, 36501]),
    "old_versions_storage_class": (["GLACIER_IR", "DEEP_ARCHIVE"], ["", "COLD", "STANDARD", "glacier_ir",
        "ONEZONE_IA"]),
    "old_versions_expire_days": ([0, 31, 400], [1, 30, 31.5, -1, 36501]),
    "old_videos_after_days": ([0, 30, 90], [1, 29, 30.5, -1, 36501]),
    "old_videos_storage_class": (["GLACIER_IR", "STANDARD_IA"], ["", "GLACIER", "DEEP_ARCHIVE", "STANDARD"]),
    "images_to_keep": ([2, 20, 1000], [0, 1, 2.5, 1001, -3]),
}  # fmt: skip
# The blocks of those whose value would change what is said of others.
_BLOCKS = {"aws_region": 1, "project_name": 1, "rapidapi_ssm_parameter_arn": 2, "old_versions_expire_days": 2}


def test_terraform_refuses_what_aws_would(tmp_path: Path) -> None:
    cases, good = [], []
    for name, (takes, refuses) in _AWS.items():
        for value in (*takes, *refuses):
            cases.append(Case(name, value, block=_BLOCKS.get(name, 0)))
        good += [True] * len(takes) + [False] * len(refuses)
    wrong = []
    for case, is_good, said in zip(cases, good, judged(tmp_path / "plan", cases), strict=True):
        if is_good != (not said):
            wrong.append(f"{case.name} = {case.value!r}: {said or 'not refused'}")
        if said and "a number is required" not in said:  # Terraform's own words
            assert said.startswith((f"{case.name} must", f"{case.name} begins")), said
    assert "\n".join(wrong) == ""


def test_what_depends_on_another_variable(tmp_path: Path) -> None:
    china = {"aws_region": "cn-north-1"}
    good = [
        Case("rapidapi_secret_arn", "arn:aws-cn:secretsmanager:cn-north-1:123456789012:secret:key-AbCdEf", china),
        Case("mediaconvert_role_arn", "arn:aws-cn:iam::123456789012:role/mine", china),
        Case("rapidapi_secret_arn", f"{_SECRET}key-AbCdEf", {"rapidapi_ssm_parameter_arn": ""}),
        Case("project_name", "sthree", {"s3_bucket_name": "another"}),
        Case("old_versions_expire_days", 1, {"old_versions_after_days": 0}),
    ]
    assert judged(tmp_path / "good", good) == [""] * len(good)
    bad = [
        Case("rapidapi_secret_arn", f"{_SECRET}key-AbCdEf", china),
        Case("rapidapi_kms_key_arn", _KMS + _UUID, china),
        Case("mediaconvert_role_arn", f"{_ROLE}mine", china),
        Case("mediaconvert_queue", f"{_QUEUE}mine", {"aws_region": "us-gov-west-1"}),
        Case("rapidapi_secret_arn", f"{_SECRET}key-AbCdEf", {"rapidapi_ssm_parameter_arn": f"{_PARAMETER}/key"}),
        Case("old_versions_expire_days", 90, {"old_versions_after_days": 90}),
        Case("project_name", "sthree", {"s3_bucket_name": ""}),
    ]
    said = judged(tmp_path / "bad", bad)
    assert all(said), said
    assert "cn-north-1" in said[0]
    assert "arn:aws-cn:kms:cn-north-1" in said[1]
    assert said[4] == "name the API key in one place: rapidapi_secret_arn or rapidapi_ssm_parameter_arn."


def test_both_sizes_are_those_of_fargate(tmp_path: Path) -> None:
    cases, good = [], []
    for cpu, every in FARGATE_MEMORY.items():
        sizes = list(every)
        around = {*sizes[:2], *sizes[-2:], sizes[0] - 1, sizes[0] + 512, sizes[-1] + 1024, sizes[0] // 2}
        for memory in sorted(around):
            for name in ("service_size", "run_size"):
                cases.append(Case(name, {"cpu": cpu, "memory": memory}))
                good.append(memory in sizes and (memory >= 1024 or name == "run_size"))
    odd: list[Mapping[str, object]] = [
        {"cpu": 0, "memory": 1024}, {"cpu": 511, "memory": 1024}, {"cpu": 512.5, "memory": 1024}, {"cpu": 32768,
        "memory": 65536},
        {"cpu": None, "memory": 1024}, {"cpu": 512, "memory": None}, {"cpu": 512, "memory": 1024.5},
    ]  # fmt: skip
    cases += [Case(name, value) for value in odd for name in ("service_size", "run_size")]
    good += [False] * 2 * len(odd)
    said = judged(tmp_path / "plan", cases)
    assert [case for case, is_good, one in zip(cases, good, said, strict=True) if is_good != (not one)] == []
    assert "cpu = 512 with memory = 1024, 2048 … 4096;" in said[-1]


def test_an_empty_text_is_unset_and_null_is_the_default(tmp_path: Path) -> None:
    assert {"image_tag", "s3_prefix", "s3_bucket_name", "rapidapi_secret_arn", "mediaconvert_queue"} <= set(UNSET)
    listed = set(re.findall(r"= var\.(\w+)\n", (SOURCE / "variables.tf").read_text("utf-8").partition("\nvariable")[0]))
    assert listed == {*UNSET, "rapidapi_secret_json_key"}
    cases = [Case(name, "") for name in UNSET] + [Case(name, None) for name in VARIABLES]
    assert judged(tmp_path / "plan", cases) == [""] * len(cases)


def test_every_variable_is_tried() -> None:
    checked_by_type_alone = {"always_on"}
    by_code = {name.lower() for name in Settings.model_fields} & set(VARIABLES)
    elsewhere = {"settings", "service_size", "run_size"}
    assert set(VARIABLES) == {*_AWS, *by_code, *elsewhere, *checked_by_type_alone}


def test_regions_of_every_partition_are_taken_with_it(tmp_path: Path) -> None:
    known = json.loads((Path(botocore.__file__).parent / "data" / "partitions.json").read_text("utf-8"))["partitions"]
    cases = [
        Case("mediaconvert_role_arn", f"arn:{partition['id']}:iam::123456789012:role/mine", {"aws_region": region})
        for partition in known
        for region in sorted(partition["regions"])[-3:]
        if not region.endswith("-global")
    ]
    assert len(cases) > 12
    assert [(case, said) for case, said in zip(cases, judged(tmp_path / "plan", cases), strict=True) if said] == []


def test_the_zones_are_those_of_the_code() -> None:
    known = set(files("tzdata").joinpath("zones").read_text("utf-8").split()) - {"Factory"}  # no place's time
    listed = (SOURCE / "timezones.txt").read_text("utf-8").split()
    assert listed == sorted(known), (
        "terraform/timezones.txt must be the sorted lines of the package tzdata's file `zones`"
    )
