"""The fake's web server: who may call what, the envelope of answers, and faults before them."""

from __future__ import annotations

import json
import sys
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from deployments.farm.abacus import datasets, groups, models, monitors, online, policies, predictions
from deployments.farm.abacus.call import CALLS, LEAST_PART_BYTES, Backend, Call, Raw, Refused, Sent, call
from deployments.farm.abacus.faults import FaultKind, Faults
from deployments.farm.abacus.shelf import Item, Shelf

ADDRESS = "127.0.0.1"
SDK_VERSION = "1.4.119"
PAGE = b"<!DOCTYPE html><html><body>We will be back soon</body></html>"
ROOMS = (datasets, groups, models, monitors, online, policies, predictions)
"""Modules whose calls are answered; importing them registers those."""

_BEFORE: tuple[FaultKind, ...] = ("outage", "cut", "error_500", "rate_limited", "html", "slow", "lost", "torn")


@call("version", "GET", needs_key=False)
def _version(_backend: Backend, _sent: Sent) -> str:
    return SDK_VERSION


class Asked(NamedTuple):
    """One request that came: name of the call, and what was sent. Keys are not kept."""

    method: str
    sent: Sent


class FakeAbacus:
    """The service. Listens while the ``with`` block runs; with ``path`` it remembers beyond that.

    Args:
        key: the API key that it knows.
        path: SQLite file of its memory; None: in memory.
        least_part_bytes: smallest part of an upload but the last.
        rejects: why a row is not imported; None: it is.
        predicts: what a deployment, given by its id, predicts in a batch: rows of its result; None: it waits.
    """

    def __init__(
        self,
        key: str,
        *,
        path: Path | None = None,
        port: int = 0,
        least_part_bytes: int = LEAST_PART_BYTES,
        rejects: Callable[[Item], str | None] = lambda _row: None,
        predicts: Callable[[str], list[Item] | None] = lambda _deployment: [],
    ) -> None:
        self.key = key
        self.faults = Faults()
        self.backend = Backend(Shelf(path), self.faults, least_part_bytes, rejects, predicts)
        self.asked: deque[Asked] = deque(maxlen=10_000)
        self._guard = threading.Lock()
        self._closed = False
        self._server = _Server((ADDRESS, port), self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> FakeAbacus:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        with self._guard:
            self._closed = True
            self.backend.shelf.close()

    @property
    def port(self) -> int:
        """Port that it listens on."""
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://{ADDRESS}:{self.port}"

    def rows(self, table: str) -> list[dict[str, Any]]:
        """What the service holds in a feature group."""
        with self._guard:
            return groups.rows_of_group(self.backend, groups.group_of_table(self.backend, table))

    def tables(self) -> dict[str, int]:
        """Rows of each feature group that is made of others, which is what users ask for; also told at ``/fake``."""
        with self._guard:
            found = [g for g in self.backend.shelf.every("featureGroup") if g["featureGroupSourceType"] != "DATASET"]
            return {group["tableName"]: len(groups.rows_of_group(self.backend, group)) for group in found}

    def predicted(self) -> int:
        """Rows of all batch predictions that it ever made; also told at ``/fake``."""
        with self._guard:
            return sum(one["rows"] or 0 for one in self.backend.shelf.every("batchPredictionVersion"))

    def group(self, table: str) -> Item:
        """A feature group as it describes it."""
        with self._guard:
            return groups.group_of_table(self.backend, table)

    def count(self, method: str) -> int:
        """How often a call came."""
        return sum(asked.method == method for asked in self.asked)

    def answer(self, method: str, known: Call, sent: Sent) -> Any:
        """Do one call.

        Raises:
            Refused: it is told so.
        """
        with self._guard:
            if self._closed:  # a slow one, whose client went long ago
                raise ConnectionAbortedError
            self.asked.append(Asked(method, sent))
            return known.answer(self.backend, sent)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], fake: FakeAbacus) -> None:
        super().__init__(address, _Handler)
        self.fake = fake

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no error here; anything else is told as usual."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:
        """Requests hold keys; nothing is printed."""

    def _handle(self) -> None:
        fake, split = self.server.fake, urlsplit(self.path)
        place, _, method = split.path.rpartition("/")
        rest = int(self.headers.get("Content-Length") or 0)
        # the number of a part stands at the beginning of the body
        head = self.rfile.read(min(rest, 1024)) if method == "uploadPart" else b""
        rest -= len(head)
        fault = fake.faults.take(method, _BEFORE, _part_number(head))
        kind = None if fault is None else fault.kind
        if fault is not None and kind in ("cut", "outage"):
            self.rfile.read(int(rest * fault.at) if kind == "cut" else 0)
            self.close_connection = True
            return
        body = head + self.rfile.read(rest)
        if kind == "error_500":
            self._say(500, _failed("InternalServerError", "internal error"))
        elif kind == "rate_limited":
            self._say(429, _failed("TooManyRequestsError", "slow down"), ("Retry-After", "1"))
        elif kind == "html":
            self._write(200, PAGE, "text/html")
        else:
            if fault is not None:
                time.sleep(fault.seconds)
            status, answer = self._answered(fake, place, method, split.query, body)
            if kind == "lost":
                self.close_connection = True
            else:
                is_raw = isinstance(answer, Raw)
                content = answer.content if isinstance(answer, Raw) else json.dumps(answer).encode()
                told = int(len(content) * fault.at) if fault is not None and kind == "torn" else None
                self._write(status, content, "application/octet-stream" if is_raw else "application/json", torn_at=told)

    do_GET = do_POST = do_PATCH = do_DELETE = _handle  # noqa: N815

    def _answered(self, fake: FakeAbacus, place: str, method: str, query: str, body: bytes) -> tuple[int, Item | Raw]:
        if (place, method) == ("", "fake"):
            return 200, {"fake": True, "rows": fake.tables(), "predicted": fake.predicted()}
        if method == "getApiEndpoint":
            if self.headers.get("apiKey") != fake.key:
                return 403, _failed("GenericPermissionDeniedError", "Invalid API key")
            return 200, _done({name: fake.url for name in ("apiEndpoint", "predictEndpoint", "proxyEndpoint")})
        known = CALLS.get(method)
        if known is None or place != ("/api" if known.proxied else "/api/v0"):
            return 404, _failed("Generic404Error", f"{place}/{method} is not known here")
        if known.verb != self.command:
            return 405, _failed("MethodNotAllowed", f"{method} is asked by {known.verb}")
        if known.needs_key and self.headers.get("APIKEY" if known.proxied else "apiKey") != fake.key:
            return 403, _failed("GenericPermissionDeniedError", "Invalid API key")
        try:
            sent = _sent(query, self.headers.get("Content-Type", ""), body)
            answer = fake.answer(method, known, sent)
            return 200, answer if isinstance(answer, Raw) else _done(answer)
        except Refused as refused:
            return refused.status, _failed(refused.kind, str(refused))

    def _say(self, status: int, answer: Item, *headers: tuple[str, str]) -> None:
        self._write(status, json.dumps(answer).encode(), "application/json", *headers)

    def _write(
        self, status: int, content: bytes, kind: str, *headers: tuple[str, str], torn_at: int | None = None
    ) -> None:
        self.send_response(status)
        for name, value in (("Content-Type", kind), ("Content-Length", str(len(content))), *headers):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content[:torn_at])
        self.close_connection = self.close_connection or torn_at is not None


def _done(result: Any) -> Item:
    return {"success": True, "result": result, "requestId": uuid.uuid4().hex}


def _failed(kind: str, message: str) -> Item:
    return {"success": False, "error": message, "errorType": kind, "requestId": uuid.uuid4().hex}


def _sent(query: str, content_type: str, body: bytes) -> Sent:
    values: dict[str, Any] = dict(parse_qsl(query, keep_blank_values=True))
    if content_type.startswith("multipart/form-data"):
        form, file = _multipart(content_type, body)
        return Sent(values | form, file)
    if content_type.startswith("application/x-www-form-urlencoded"):
        return Sent(values | dict(parse_qsl(body.decode())))
    try:
        told = json.loads(body) if body else {}
    except ValueError as error:
        raise Refused(400, "InvalidRequest", f"the body is no JSON: {error}") from error
    return Sent(values | told)


def _multipart(content_type: str, body: bytes) -> tuple[dict[str, str], bytes]:
    """Fields, and the content of the file (RFC 7578)."""
    boundary = b"--" + content_type.partition("boundary=")[2].strip('"').encode()
    form, file = {}, b""
    for piece in body.split(boundary)[1:-1]:
        head, _, content = piece.partition(b"\r\n\r\n")
        content = content[:-2]  # the line break before the next boundary
        name = head.partition(b'name="')[2].partition(b'"')[0].decode()
        if b"filename=" in head:
            file = content
        else:
            form[name] = content.decode()
    return form, file


def _part_number(head: bytes) -> int | None:
    number = head.partition(b'name="partNumber"\r\n\r\n')[2].partition(b"\r\n")[0]
    return int(number) if number.isdigit() else None
