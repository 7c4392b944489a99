"""AWS on loopback: a moto server behind a layer that names each request, breaks some on demand, and lets a test act
before or after any of them.

The rules that moto does not keep are in s3_rules.py (of S3) and account_rules.py (of ECS and RDS); MediaConvert, which
moto does not have, is in mediaconvert.py. All answer at the same address. Clients may be other processes.
"""

import functools
import http
import io
import json
import os
import re
import socket
import threading
import traceback
import urllib.parse
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from multiprocessing.process import BaseProcess
from typing import Any, Literal
from xml.sax.saxutils import escape

import boto3
import botocore.config
import botocore.exceptions
import botocore.session
from moto.moto_api._internal.models import moto_api_backend
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import ThreadedWSGIServer
from werkzeug.test import run_wsgi_app

from ncaa_assets_tests.loopback import account_rules, s3_rules
from ncaa_assets_tests.loopback.mediaconvert import REGION, MediaConvert

ACCESS_KEY, SECRET_KEY = "AKIABENCH", "bench"
_UNCOUNTED = "bench-own-client"  # in the user agent of clients that tests look at things with
_NAMED_SERVICES = (
    "s3", "dynamodb", "mediaconvert", "secretsmanager", "sns", "sts", "sqs", "ecs", "scheduler", "events", "logs",
    "cloudwatch", "iam", "ec2", "ecr", "ssm",
)  # fmt: skip
_LOOKS = ("Get", "Head", "List", "Describe", "BatchGet", "Query", "Scan", "Search", "TransactGet", "Assume")


@dataclass(frozen=True)
class Call:
    """One request of a client.

    Attributes:
        operation: boto3's name for it.
        key: what it is about: an object's key (else the bucket), a table, a job or its input, a secret, a topic.
        number: its place in `Cloud.calls`, from 1.
        by: the access key that it was signed with.
    """

    service: str
    operation: str
    key: str
    number: int
    by: str = ""

    @property
    def changes(self) -> bool:
        """Whether it changes what is stored (or sends something)."""
        return not self.operation.startswith(_LOOKS)


@dataclass(frozen=True)
class Fault:
    """What goes wrong with a call. Made by `error`, `unprocessed` and the two drops."""

    kind: Literal["error", "before", "after", "unprocessed"]
    times: int | None = 1
    status: int = 0
    code: str = ""
    message: str = ""
    count: int = 0


dropped_before = Fault("before")
"""The connection ends before the request is processed, in the middle of an upload's body."""
dropped_after = Fault("after")
"""The request is processed, and the connection ends without an answer."""


def error(status: int, code: str, message: str = "", *, times: int | None = 1) -> Fault:
    """An answer in the form of the service's own errors, given this many `times`; None: until `Cloud.mend()`.

    Status 200 with a code is what S3 does when CompleteMultipartUpload or CopyObject fails after it began to answer.
    """
    return Fault("error", times=times, status=status, code=code, message=message or f"{code}, as the test asked.")


def unprocessed(count: int) -> Fault:
    """The last `count` keys or items of a BatchGetItem or BatchWriteItem are not processed, and come back as such."""
    return Fault("unprocessed", count=count)


class Dropped(Exception):
    """Ends a connection without an answer. A `before` hook may raise it, as if the request had never arrived."""


@dataclass
class Answer:
    status: int
    body: bytes = b""
    headers: list[tuple[str, str]] = field(default_factory=list)


@dataclass
class _Waiting:
    fault: Fault
    key: str | None
    left: int | None


class Cloud:
    """The running server; made by `running_cloud()`. `url` is the value for `AWS_ENDPOINT_URL`.

    Attributes:
        calls: the requests of clients, in order, whatever became of them. The test's own `client()` is left out.
        before, after: called with each `Call` when it arrives, and when it has been processed but not yet answered.
            They run in the request's own thread with no lock held. `before` may refuse the request by raising
            `s3_rules.Refused`; any other error of theirs is kept in `problems`.
        lacks: what S3 lacks, where it stands for another store of its protocol.
        mediaconvert: the emulator of that service, with faults of its own.
        problems: errors of the stand-in itself, of moto, or of a hook: a test that leaves one has failed.
    """

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.problems: list[str] = []
        self.before: Callable[[Call], object] | None = None
        self.after: Callable[[Call], object] | None = None
        self.lacks = s3_rules.Lacks()
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._waiting: dict[str, list[_Waiting]] = {}
        self._uploads: dict[str, datetime] = {}
        self._lock = threading.Lock()
        settings = botocore.session.Session()
        settings.set_config_variable("config_file", os.devnull)
        settings.set_config_variable("credentials_file", os.devnull)
        self._own_session = boto3.session.Session(botocore_session=settings)
        # moto checks a condition and then changes, and stores an object and then its metadata, with other threads in
        # between. S3 and DynamoDB do each at once.
        self._one_at_a_time = {"s3": threading.Lock(), "dynamodb": threading.Lock()}
        self._server = _Server(self)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.mediaconvert = MediaConvert(functools.partial(self.client, "s3"), self.problems.append)

    def times(self, operation: str) -> int:
        """How often clients asked for an operation."""
        _known(operation)
        return sum(call.operation == operation for call in list(self.calls))

    def fail(self, operation: str, *faults: Fault, key: str | None = None) -> None:
        """The next calls of an operation (whose `Call.key` contains `key`) meet these faults in turn."""
        _known(operation)
        with self._lock:
            self._waiting.setdefault(operation, []).extend(_Waiting(fault, key, fault.times) for fault in faults)

    def mend(self) -> None:
        """Drops every fault that no call has met yet."""
        with self._lock:
            self._waiting.clear()

    def reset(self) -> None:
        """As new: nothing stored, nothing counted, no faults, no hooks."""
        self.before = self.after = None
        self.lacks = s3_rules.Lacks()
        self.mend()
        self.mediaconvert.reset()
        with self._one_at_a_time["s3"], self._one_at_a_time["dynamodb"]:
            moto_api_backend.reset()
            self._uploads.clear()
        self.calls.clear()
        self.problems.clear()

    def was_killed_after(self, point: int, child: BaseProcess) -> bool:
        """Starts a process and kills it once its change of this number, from 1, has been carried out and not answered.
        Whether that came about: one with fewer changes ends well. What only tries a store out counts for none."""
        changes = 0

        def hook(call: Call) -> None:
            nonlocal changes
            if call.changes and "/.probe/" not in call.key:
                changes += 1
                if changes == point:
                    child.kill()

        self.after = hook
        child.start()
        child.join(120)
        self.after = None
        assert child.exitcode in (0, -9), f"killed after change {point}"
        return child.exitcode != 0

    def environment(self) -> dict[str, str]:
        """The variables that lead a process of ours here, and keep it from reading the person's own AWS settings. A
        process with boto3 alone needs AWS_DEFAULT_REGION too."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ENDPOINT_URL_MEDIACONVERT": self.url,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }

    def client(self, service: str, by: str | None = None) -> Any:
        """A boto3 client for the test itself: it is not counted, meets no fault and calls no hook. With an access key
        in `by` it is a client like any other."""
        return self._own_session.client(
            service,  # type: ignore[call-overload]
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id=by or ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
            config=botocore.config.Config(user_agent_extra="" if by else _UNCOUNTED, retries={"total_max_attempts": 1}),
        )

    def make_service_roles(self) -> None:
        """What a person does once in a fresh account: `aws iam create-service-linked-role`."""
        for service in ("ecs", "rds"):
            if not account_rules.has_service_role(service):
                self.client("iam").create_service_linked_role(AWSServiceName=f"{service}.amazonaws.com")

    def make_bucket(self, name: str) -> None:
        """A bucket that keeps versions."""
        s3 = self.client("s3")
        s3.create_bucket(Bucket=name)
        s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})

    def make_table(self, name: str, index: bool = True) -> None:
        """A table with the key `id`, and the index `by_game_date` unless told otherwise."""
        names = ["id", "game_date"] if index else ["id"]
        by_day = {
            "IndexName": "by_game_date",
            "KeySchema": [
                {"AttributeName": "game_date", "KeyType": "HASH"},
                {"AttributeName": "id", "KeyType": "RANGE"},
            ],
            "Projection": {"ProjectionType": "ALL"},
        }
        self.client("dynamodb").create_table(
            TableName=name,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": one, "AttributeType": "S"} for one in names],
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            **({"GlobalSecondaryIndexes": [by_day]} if index else {}),
        )

    def serve(self) -> None:
        self._server.serve_forever(poll_interval=0.01)

    def stop(self) -> None:
        self.mediaconvert.stop()
        self._server.shutdown()
        self._server.server_close()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """The WSGI application."""
        answer = self._answer(environ)
        start_response(f"{answer.status} {http.HTTPStatus(answer.status).phrase}", answer.headers)
        return [answer.body]

    def _answer(self, environ: dict[str, Any]) -> Answer:
        service = _service(environ)
        if environ["PATH_INFO"].startswith("/moto-api") or _UNCOUNTED in environ.get("HTTP_USER_AGENT", ""):
            body = _read(environ)
            return self._processed(environ, service, _operation(environ, service, body)[0], body)
        # An upload is named without its body, so that a connection can end in the middle of it.
        body = b"" if service == "s3" else _read(environ)
        operation, key = _operation(environ, service, body)
        with self._lock:
            call = Call(service, operation, key, len(self.calls) + 1, _access_key(environ))
            self.calls.append(call)
            fault = self._next_fault(call)
        if self.before:
            try:
                self.before(call)
            except s3_rules.Refused as refused:
                if service == "s3":
                    _read(environ)
                return _error_answer(environ, service, refused.status, refused.code, refused.message)
        if fault and fault.kind == "before":
            if service == "s3":  # of any other the body has been read already
                environ["wsgi.input"].read(min(65536, int(environ.get("CONTENT_LENGTH") or 0) // 2))
            raise Dropped
        if service == "s3":
            body = _read(environ)
        if fault and fault.kind == "error":
            return _error_answer(environ, service, fault.status, fault.code, fault.message)
        if fault and fault.kind == "unprocessed":
            answer = self._partly(environ, call, body, fault.count)
        else:
            answer = self._processed(environ, service, operation, body)
        if self.after:
            self.after(call)
        if fault and fault.kind == "after":
            raise Dropped
        return answer

    def _next_fault(self, call: Call) -> Fault | None:
        waiting = self._waiting.get(call.operation, [])
        for one in waiting:
            if one.key is None or one.key in call.key:
                if one.left is not None:
                    one.left -= 1
                    if not one.left:
                        waiting.remove(one)
                return one.fault
        return None

    def _processed(self, environ: dict[str, Any], service: str, operation: str, body: bytes) -> Answer:
        if service == "mediaconvert":
            return self._from_mediaconvert(environ, operation, body)
        if service not in self._one_at_a_time:
            try:
                account_rules.check(service, operation, body)
            except s3_rules.Refused as refused:
                return _error_answer(environ, service, refused.status, refused.code, refused.message)
            return self._from_moto(environ, body)
        with self._one_at_a_time[service]:
            if service != "s3":
                return self._from_moto(environ, body)
            bucket, _, key = _path(environ).lstrip("/").partition("/")
            request = s3_rules.S3Request(operation, bucket, key, _query(environ), _headers(environ), body, environ)
            try:
                s3_rules.take_away(request, self.lacks)
                s3_rules.check(request)
            except s3_rules.Refused as refused:
                return _error_answer(environ, service, refused.status, refused.code, refused.message)
            for name in s3_rules.ALGORITHMS:
                # S3 keeps any checksum that a PUT was sent with; moto only one whose algorithm was named as well.
                if operation == "PutObject" and f"x-amz-checksum-{name}" in request.headers:
                    environ = {**environ, "HTTP_X_AMZ_SDK_CHECKSUM_ALGORITHM": name.upper()}
            answer = self._from_moto(environ, body)
            answer.body = s3_rules.amend(request, answer.status, answer.body, self._uploads)
            return answer

    def _from_mediaconvert(self, environ: dict[str, Any], operation: str, body: bytes) -> Answer:
        try:
            status, told = self.mediaconvert.answer(operation, _path(environ), _query(environ), body)
        except s3_rules.Refused as refused:
            return _error_answer(environ, "mediaconvert", refused.status, refused.code, refused.message)
        return Answer(status, json.dumps(told).encode(), [("Content-Type", "application/json")])

    def _from_moto(self, environ: dict[str, Any], body: bytes) -> Answer:
        environ = {**environ, "wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))}
        for name in ("HTTP_TRANSFER_ENCODING", "wsgi.input_terminated"):
            environ.pop(name, None)
        pieces, status, headers = run_wsgi_app(self._moto, environ, buffered=True)
        answer = Answer(int(status.split()[0]), b"".join(pieces), list(headers))
        if answer.status >= 500:
            self.problems.append(f"moto failed at {environ['REQUEST_METHOD']} {_path(environ)}: {answer.body[:500]!r}")
        return answer

    def _partly(self, environ: dict[str, Any], call: Call, body: bytes, count: int) -> Answer:
        """A batch without its last `count` keys or items, which the answer returns."""
        asked = json.loads(body)
        tables: dict[str, Any] = asked["RequestItems"]
        reads = call.operation == "BatchGetItem"
        left: dict[str, Any] = {}
        for table in reversed(list(tables)):
            entries = tables[table]["Keys"] if reads else tables[table]
            kept = max(0, len(entries) - count)
            if entries[kept:]:
                left[table] = {**tables[table], "Keys": entries[kept:]} if reads else entries[kept:]
            count -= len(entries) - kept
            if not kept:
                del tables[table]
            elif reads:
                tables[table] = {**tables[table], "Keys": entries[:kept]}
            else:
                tables[table] = entries[:kept]
        if tables:
            answer = self._processed(environ, call.service, call.operation, json.dumps(asked).encode())
            if answer.status != 200:
                return answer
            told = json.loads(answer.body)
        else:
            answer, told = Answer(200, headers=[("Content-Type", "application/x-amz-json-1.0")]), {}
            if reads:
                told["Responses"] = {table: [] for table in left}
        told["UnprocessedKeys" if reads else "UnprocessedItems"] = left
        answer.body = json.dumps(told).encode()
        # moto's checksum is of the body that it made.
        answer.headers = [(name, value) for name, value in answer.headers if name.lower() != "x-amz-crc32"]
        return answer


@contextmanager
def running_cloud() -> Iterator[Cloud]:
    """The cloud on a free port of 127.0.0.1, for as long as the `with` lasts."""
    cloud = Cloud()
    thread = threading.Thread(target=cloud.serve, name="cloud", daemon=True)
    thread.start()
    try:
        yield cloud
    finally:
        cloud.stop()
        thread.join()


class _Server(ThreadedWSGIServer):
    daemon_threads = True

    def __init__(self, cloud: Cloud) -> None:
        super().__init__("127.0.0.1", 0, cloud, handler=_Handler)
        self._cloud = cloud

    def handle_error(self, request: Any, client_address: Any) -> None:
        """The bench or a hook failed: the client loses its connection, and the test learns why."""
        self._cloud.problems.append(traceback.format_exc())


class _Handler(MotoRequestHandler):
    """werkzeug's own closes each connection; AWS keeps them, and clients reuse them, also after one has broken."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body are two writes, which it would set 40 ms apart

    def run_wsgi(self) -> None:
        environ = self.make_environ()
        try:
            pieces, status, headers = run_wsgi_app(self.server.app, environ, buffered=True)
        except Dropped:
            self.close_connection = True
            with suppress(OSError):  # the client was quicker
                self.connection.shutdown(socket.SHUT_RDWR)
            return
        body = b"".join(pieces)
        code, _, phrase = status.partition(" ")
        self.send_response(int(code), phrase)
        bodiless = self.command == "HEAD" or code in ("204", "304")
        ours = {"connection", "transfer-encoding", "date", "server"} | (set() if bodiless else {"content-length"})
        for name, value in headers:
            if name.lower() not in ours:
                self.send_header(name, value)
        if not bodiless:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if not bodiless:
            self.wfile.write(body)

    def log(self, type: str, message: str, *args: Any) -> None:
        pass


def _access_key(environ: dict[str, Any]) -> str:
    found = re.search(r"Credential=([^/]+)/", environ.get("HTTP_AUTHORIZATION", ""))
    return found[1] if found else ""


def _service(environ: dict[str, Any]) -> str:
    """The service that a request was signed for; one without a signature is taken for S3's."""
    scope = re.search(r"Credential=[^/]+/\d+/[^/]*/([^/]+)/", environ.get("HTTP_AUTHORIZATION", ""))
    if scope is None:
        scope = re.match(r"[^/]+/\d+/[^/]*/([^/]+)/", _query(environ).get("X-Amz-Credential", ""))
    name = scope[1].lower() if scope else "s3"
    return {"monitoring": "cloudwatch"}.get(name, name)


def _operation(environ: dict[str, Any], service: str, body: bytes) -> tuple[str, str]:
    """The name of a request's operation, and what it is about."""
    if target := environ.get("HTTP_X_AMZ_TARGET"):
        return target.rpartition(".")[2], _about(_json_object(body))
    if _is_form(environ) and service != "s3":
        form = dict(urllib.parse.parse_qsl(body.decode()))
        return form.get("Action", ""), _about(form)
    if rpc := re.fullmatch(r"/service/[^/]+/operation/(\w+)", _path(environ)):
        return rpc[1], ""
    return _rest_operation(environ, service, body)


def _is_form(environ: dict[str, Any]) -> bool:
    """Whether it is a request to one of the services whose protocol is called query, such as SNS."""
    return str(environ.get("CONTENT_TYPE", "")).startswith("application/x-www-form-urlencoded")


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        return {}  # moto says what is wrong with it
    return found if isinstance(found, dict) else {}


def _about(fields: dict[str, Any]) -> str:
    for name in (
        "TableName",
        "SecretId",
        "TopicArn",
        "QueueUrl",
        "repositoryName",
        "taskDefinition",
        "cluster",
        "Name",
        "RoleName",
        "RoleArn",
    ):
        if isinstance(fields.get(name), str):
            return str(fields[name])
    for name in ("RequestItems", "TransactItems"):
        if isinstance(fields.get(name), dict):
            return ",".join(fields[name])
    return ""


@dataclass(frozen=True)
class _Route:
    operation: str
    method: str
    path: re.Pattern[str]
    labels: tuple[str, ...]
    query: dict[str, str | None]
    headers: tuple[str, ...]

    @property
    def weight(self) -> tuple[int, int]:
        return len(self.query) + len(self.headers), -len(self.labels)


@functools.cache
def _routes(service: str) -> list[_Route]:
    """A REST service's operations as botocore's model describes them, those that ask for most first."""
    try:
        model = botocore.session.get_session().get_service_model(service)
    except botocore.exceptions.UnknownServiceError:
        return []
    routes = []
    for name in model.operation_names:
        operation = model.operation_model(name)
        # A client of S3 takes the bucket out of the description that all clients of this process share.
        bucket = "/{Bucket}" if "authPath" in operation.http else ""
        uri, _, literal = (bucket + operation.http.get("requestUri", "/")).partition("?")
        pieces = re.split(r"\{([^}]+)\}", uri)
        pattern = "".join(
            ("(.+)" if piece.endswith("+") else "([^/]+)") if index % 2 else re.escape(piece)
            for index, piece in enumerate(pieces)
        )
        query: dict[str, str | None] = {
            key: value or None for key, value in urllib.parse.parse_qsl(literal, keep_blank_values=True)
        }
        headers = []
        members = operation.input_shape.members if operation.input_shape else {}
        for member in operation.input_shape.required_members if operation.input_shape else ():
            where = members[member].serialization
            if where.get("location") == "querystring":
                query.setdefault(where["name"], None)
            elif where.get("location") == "header":
                headers.append(where["name"].lower())
        routes.append(
            _Route(
                name,
                operation.http.get("method", "POST"),
                re.compile(pattern.rstrip("/") + "/?"),
                tuple(label.rstrip("+") for label in pieces[1::2]),
                query,
                tuple(headers),
            )
        )
    return sorted(routes, key=lambda route: route.weight, reverse=True)


def _rest_operation(environ: dict[str, Any], service: str, body: bytes) -> tuple[str, str]:
    path, query, headers = _path(environ), _query(environ), _headers(environ)
    for route in _routes(service):
        if (
            route.method == environ["REQUEST_METHOD"]
            and (found := route.path.fullmatch(path))
            and all(name in query and value in (None, query[name]) for name, value in route.query.items())
            and all(name in headers for name in route.headers)
        ):
            labels = dict(zip(route.labels, found.groups(), strict=True))
            about = labels.get("Key") or next(reversed(labels.values()), "") or query.get("inputFile", "")
            return route.operation, about or _first_input(body)
    return f"{environ['REQUEST_METHOD']} {path}", path


def _first_input(body: bytes) -> str:
    """The first input of a MediaConvert job."""
    settings = _json_object(body).get("settings")
    inputs = settings.get("inputs") if isinstance(settings, dict) else None
    return str(inputs[0].get("fileInput", "")) if inputs and isinstance(inputs[0], dict) else ""


@functools.cache
def _operations(service: str) -> frozenset[str]:
    return frozenset(botocore.session.get_session().get_service_model(service).operation_names)


def _known(operation: str) -> None:
    """A misspelt operation would be a fault that never comes, or a count that is always 0."""
    if not any(operation in _operations(service) for service in _NAMED_SERVICES):
        raise ValueError(f"no service of the bench has an operation {operation!r}")


def _path(environ: dict[str, Any]) -> str:
    return str(environ["PATH_INFO"]).encode("latin-1").decode("utf-8", "replace")


def _query(environ: dict[str, Any]) -> dict[str, str]:
    return dict(urllib.parse.parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True))


def _headers(environ: dict[str, Any]) -> dict[str, str]:
    return {name[5:].replace("_", "-").lower(): str(value) for name, value in environ.items() if name[:5] == "HTTP_"}


def _read(environ: dict[str, Any]) -> bytes:
    stream = environ["wsgi.input"]
    if environ.get("wsgi.input_terminated"):
        return bytes(stream.read())
    length = int(environ.get("CONTENT_LENGTH") or 0)
    body = bytes(stream.read(length)) if length else b""
    if len(body) < length:
        raise Dropped  # the client went away in the middle of its request: AWS does nothing with the half of one
    return body


def _error_answer(environ: dict[str, Any], service: str, status: int, code: str, message: str) -> Answer:
    """An error as the service itself words it: XML for S3 and the query services, else JSON."""
    request = f"bench{id(environ):x}"
    if service == "s3":
        body = "" if environ["REQUEST_METHOD"] == "HEAD" else (
            f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{escape(message)}</Message>'
            f"<Resource>{escape(_path(environ))}</Resource><RequestId>{request}</RequestId></Error>"
        )  # fmt: skip
        return Answer(status, body.encode(), [("Content-Type", "application/xml"), ("x-amz-request-id", request)])
    head = [("x-amzn-RequestId", request)]
    if "HTTP_X_AMZ_TARGET" in environ:
        prefix = "com.amazonaws.dynamodb.v20120810#" if service == "dynamodb" else ""
        fields = {"__type": prefix + code, "message": message}
        return Answer(status, json.dumps(fields).encode(), [*head, ("Content-Type", "application/x-amz-json-1.0")])
    if _is_form(environ):
        side = "Receiver" if status >= 500 else "Sender"
        body = (
            f"<ErrorResponse><Error><Type>{side}</Type><Code>{code}</Code><Message>{escape(message)}</Message></Error>"
            f"<RequestId>{request}</RequestId></ErrorResponse>"
        )
        return Answer(status, body.encode(), [*head, ("Content-Type", "text/xml")])
    fields = {"message": message}
    head += [("Content-Type", "application/json"), ("x-amzn-ErrorType", code)]
    return Answer(status, json.dumps(fields).encode(), head)
