"""A fake InfluxDB 2 or 3: real sockets, the statuses of the real ones, and faults on order.

Statuses and bodies follow the tables of docs/decisions: 2.9.1 refuses a whole batch for a malformed line (400) and
keeps the rest beside a type conflict or an age limit (422); 3.10.1 keeps the rest and lists bad lines (400).
Tokens, mappings and databases are those of tests/influx/fake_setup.py.
"""

from __future__ import annotations

import base64
import gzip
import json
import socket
import struct
import threading
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal
from urllib.parse import parse_qs, parse_qsl, urlsplit

from tests.influx.fake_setup import ORG, ORG_ID, TOKEN, Setup2, Setup3
from tests.influx.lines import Line, Malformed, parse_body, split_lines

__all__ = ["ORG", "TOKEN", "FakeInflux", "Fault", "Request"]


@dataclass(frozen=True)
class Fault:
    """What happens to one write or query instead of a proper answer.

    ``status`` answers so and does nothing; ``reset`` drops the connection; ``hang`` answers nothing until the fake
    stops; ``lost`` does the work and drops the connection; ``cut`` promises more bytes than it sends.
    """

    kind: Literal["status", "reset", "hang", "lost", "cut"]
    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Request:
    """One request as it came; ``body`` is uncompressed."""

    method: str
    path: str
    params: dict[str, str]
    headers: dict[str, str]
    body: bytes
    sent_size: int


Key = tuple[str, tuple[tuple[str, str], ...], int]


class FakeInflux:
    """Use as a context manager. ``points[bucket]`` is what it holds, by (measurement, tags, time)."""

    def __init__(
        self,
        version: Literal["2.3.0", "2.9.1", "3.10.1"] = "2.9.1",
        *,
        largest_body: int = 25_000_000,
        build: Literal["Core", "Enterprise"] = "Enterprise",
    ) -> None:
        self.version = version
        self.build = build
        self.two, self.three = Setup2(version), Setup3(build)
        self.largest_body = largest_body
        self.points: dict[str, dict[Key, dict[str, Any]]] = {}
        self.oldest: dict[str, int] = {}
        """Bucket to the oldest time it takes: its retention."""
        self.requests: list[Request] = []
        self.faults: deque[Fault | None] = deque()
        """Of the next writes and queries; None lets one pass."""
        self.query_answers: deque[list[bytes]] = deque()
        """Chunks of the answers to the next queries."""
        self.connections: set[socket.socket] = set()
        self._types: dict[tuple[str, str, str], type] = {}
        self._lock = threading.Lock()
        self._released = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def writes(self) -> list[Request]:
        """Requests that wrote."""
        return [request for request in self.requests if request.path in ("/write", "/api/v2/write")]

    def make(self, *buckets: str) -> None:
        """Make buckets without retention."""
        for name in buckets:
            self.points.setdefault(name, {})
            self.two.make(name)
            self.three.databases.setdefault(name, None)

    def __enter__(self) -> FakeInflux:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Close the port; let go of requests that hang."""
        self._released.set()
        self._server.shutdown()
        for connection in list(self.connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._server.server_close()
        self._thread.join()

    # one answer: (status, headers, body)

    def answer(self, request: Request, handler: _Handler) -> None:
        """Answer one request, or do what a fault says."""
        with self._lock:
            self.requests.append(request)
            is_data = request.path in ("/write", "/api/v2/write", "/query")
            fault = self.faults.popleft() if self.faults and is_data else None
            if fault is None or fault.kind == "lost":
                status, headers, body = self._proper(request)
        if fault is None:
            handler.give(status, headers, body)
        elif fault.kind == "status":
            handler.give(fault.status, fault.headers, fault.body)
        elif fault.kind == "hang":
            self._released.wait()
        elif fault.kind == "cut":
            handler.give(fault.status, {"Content-Length": str(len(fault.body) + 100), **fault.headers}, fault.body)
        if fault is not None and fault.kind != "status":
            handler.drop()

    def _proper(self, request: Request) -> tuple[int, dict[str, str], bytes]:
        if request.path == "/ping":
            if self.version.startswith("2"):
                return 204, {"X-Influxdb-Version": f"v{self.version}"}, b""
            if not self._may_enter(request):
                return 401, {}, b'{"error": "the request was not authenticated"}'
            headers: dict[str, str] = {"X-Influxdb-Version": self.version, "X-Influxdb-Build": self.build}
            return 200, headers, json.dumps({"version": self.version}).encode()
        if request.path == "/metrics" and self.version.startswith("2"):
            return 200, {}, self.two.metrics(4_188_743).encode()
        if not self._may_enter(request):
            return self._error(401, "unauthorized", "unauthorized access")
        if request.path in ("/write", "/api/v2/write"):
            return self._write(request)
        if request.path == "/query":
            bucket = self._bucket_of(request)
            if bucket is not None and not self.two.may(self._secret(request), "read", bucket):
                return self._error(403, "forbidden", f"read:orgs/{ORG_ID}/buckets/{bucket} is unauthorized")
            return 200, {"Content-Type": "application/json"}, b"".join(self.query_answers.popleft())
        setup = self.two if self.version.startswith("2") else self.three
        answer = setup.answer(request.method, request.path, request.params, request.body, self._secret(request))
        if answer is not None:
            return answer[0], {"Content-Type": "application/json"}, json.dumps(answer[1]).encode()
        return self._error(404, "not found", "path not found")

    def _may_enter(self, request: Request) -> bool:
        known = self.two.tokens if self.version.startswith("2") else {TOKEN}
        forms = ("Basic", "Bearer") if request.path == "/write" else ("Basic", "Bearer", "Token")
        return request.headers.get("authorization", "").startswith(forms) and self._secret(request) in known

    def _secret(self, request: Request) -> str:
        form, _, rest = request.headers.get("authorization", "").partition(" ")
        return base64.b64decode(rest).decode().partition(":")[2] if form == "Basic" else rest

    def _bucket_of(self, request: Request) -> str | None:
        """The bucket that a request is about; on 2.x what its database leads to."""
        if request.path == "/api/v2/write":
            return request.params.get("bucket")
        database = request.params.get("db", "")
        return self.two.leads_to(database) if self.version.startswith("2") else database

    def _error(self, status: int, code: str, message: str) -> tuple[int, dict[str, str], bytes]:
        said = {"error": message} if self.version.startswith("3") else {"code": code, "message": message}
        return status, {"Content-Type": "application/json"}, json.dumps(said).encode()

    def _write(self, request: Request) -> tuple[int, dict[str, str], bytes]:
        bucket = self._bucket_of(request) or ""
        if request.path == "/api/v2/write" and request.params.get("org") != ORG:
            return self._error(404, "not found", f'organization name "{request.params.get("org")}" not found')
        if bucket not in (self.two.buckets if self.version.startswith("2") else self.three.databases):
            return self._error(404, "not found", f'bucket "{bucket}" not found')
        if not self.two.may(self._secret(request), "write", bucket):
            return self._error(403, "forbidden", "insufficient permissions for write")
        if len(request.body) > self.largest_body:
            return 413, {}, b"<html>413 Request Entity Too Large</html>"
        assert request.params["precision"] == "s"
        parsed = parse_body(request.body.decode())
        malformed = [str(one) for one in parsed if isinstance(one, Malformed)]
        if malformed and self.version.startswith("2"):
            return self._error(400, "invalid", "\n".join(malformed))
        refused = {place: why for place, one in enumerate(parsed) if (why := self._store(bucket, one))}
        if not refused:
            return 204, {}, b""
        if self.version.startswith("2"):
            first, *others = refused.values()  # only the first cause is told and counted
            said = f"failure writing points to database: partial write: {first}"
            return self._error(422, "unprocessable entity", f"{said} dropped={1 + others.count(first)}")
        texts = split_lines(request.body.decode())
        lines = [
            {"original_line": texts[place][:20], "line_number": place + 1, "error_message": why}
            for place, why in refused.items()
        ]
        return 400, {}, json.dumps({"error": "partial write of line protocol occurred", "data": lines}).encode()

    def _store(self, bucket: str, line: Line | Malformed) -> str | None:
        """Store one line, or say why not."""
        if isinstance(line, Malformed):
            return str(line)
        assert line.time is not None
        if line.time < self.oldest.get(bucket, 0):
            return "points beyond retention policy"
        for name, value in line.fields.items():
            stored = self._types.setdefault((bucket, line.measurement, name), type(value))
            if stored is not type(value):
                return (
                    f'field type conflict: input field "{name}" on measurement "{line.measurement}" is type '
                    f"{type(value).__name__}, already exists as type {stored.__name__}"
                )
        key = (line.measurement, tuple(sorted(line.tags.items())), line.time)
        self.points.setdefault(bucket, {}).setdefault(key, {}).update(line.fields)
        return None


class _Handler(BaseHTTPRequestHandler):
    fake: FakeInflux
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def setup(self) -> None:
        """Note the connection, so that stopping ends it."""
        super().setup()
        self.fake.connections.add(self.connection)

    def finish(self) -> None:
        """Forget it."""
        self.fake.connections.discard(self.connection)
        with suppress(OSError):
            super().finish()

    def do_GET(self) -> None:
        """Any method."""
        size = int(self.headers.get("Content-Length") or 0)
        sent = self.rfile.read(size)
        body = gzip.decompress(sent) if self.headers.get("Content-Encoding") == "gzip" and sent else sent
        parts = urlsplit(self.path)
        params = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        if self.headers.get("Content-Type") == "application/x-www-form-urlencoded":
            params |= dict(parse_qsl(body.decode()))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.fake.answer(Request(self.command, parts.path, params, headers, body, size), self)

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

    def give(self, status: int, headers: dict[str, str], body: bytes) -> None:
        """Send an answer."""
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | headers).items():
            if not (status == 204 and name == "Content-Length"):
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def drop(self) -> None:
        """Reset the connection."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


def _handler(fake: FakeInflux) -> type[_Handler]:
    return type("Handler", (_Handler,), {"fake": fake})
