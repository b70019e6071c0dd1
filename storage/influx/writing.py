"""Writing lines so that each one is stored, or is known to be refused and why.

A refused batch is halved until the bad lines stand alone. Sending good lines again is harmless: the same series and
time overwrite (reference/influxdb.md 3.2).
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from storage.errors import NeedsHuman
from storage.influx.answers import Refused, Stored, TooBusy, judged
from storage.influx.connection import Answer, Connection, Dialect

_TOO_OLD = "retention policy"
"""In the words of 1.x and 2.x about points that are older than the bucket keeps, and in no others about lines."""


LEAST_AT_ONCE = 250
"""Lines that a server is given at once however busy it is."""


@dataclass(frozen=True, slots=True)
class RefusedLine:
    """A line that the server will never take, with its own words."""

    line: bytes
    reason: str

    @property
    def too_old(self) -> bool:
        """Older than the bucket keeps: stored, it would be deleted at once."""
        return _TOO_OLD in self.reason


class Post(Protocol):
    """Sends one gzip body of lines (precision s) to a bucket and gives the answer, whatever its status."""

    def __call__(self, bucket: str, body: bytes) -> Answer:
        """Raises TryAgain when there was no answer."""
        ...


class LineWriter:
    """Writes to any generation: ``/write`` on 1.x and 3.x, influxdb-client on 2.x.

    On 2.x without ``org`` or token, ``/write`` is used there as well: it finds the bucket by its name (2.5 and later).

    A server that is too busy for a request gets halves of it, since the same again would find it busier still. What was
    not too much is remembered, and some more tried with each write: to try much more would cost its time each time.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._client_post: Post | None = None
        self._most_at_once: int | None = None

    def write(self, bucket: str, lines: Sequence[bytes]) -> list[RefusedLine]:
        """Store ``lines`` in the declared ``bucket`` (whole seconds) and say which were refused; all others are stored.

        Raises:
            TryAgain: no answer, or one that leaves the outcome open.
            NeedsHuman: credentials, bucket, or an answer that no InfluxDB gives.
        """
        dialect = self._connection.server().dialect
        try:
            return self._as_it_can(dialect, bucket, list(lines))
        except NeedsHuman:
            self._connection.forget_server()
            raise

    def close(self) -> None:
        """Close what influxdb-client holds open."""
        close = getattr(self._client_post, "close", None)
        if close is not None:
            close()

    def _as_it_can(self, dialect: Dialect, bucket: str, lines: list[bytes]) -> list[RefusedLine]:
        refused: list[RefusedLine] = []
        while lines:
            part = lines[: self._most_at_once]
            try:
                refused += self._written(dialect, bucket, part)
            except TooBusy:
                if len(part) <= LEAST_AT_ONCE:
                    raise
                self._most_at_once = max(LEAST_AT_ONCE, len(part) // 2)
                continue
            lines = lines[len(part) :]
        if self._most_at_once is not None:
            self._most_at_once += LEAST_AT_ONCE
        return refused

    def _written(self, dialect: Dialect, bucket: str, lines: list[bytes]) -> list[RefusedLine]:
        if not lines:
            return []
        answer = self._post(dialect)(bucket, gzip_1(b"\n".join(lines)))
        outcome = judged(self._connection.settings.url, dialect, self._connection.settings.bucket(bucket), answer)
        if isinstance(outcome, Stored):
            return []
        if isinstance(outcome, Refused):
            if outcome.dropped == len(lines) and _TOO_OLD in outcome.reason:  # an old backlog: no need to search it
                return [RefusedLine(line, outcome.reason) for line in lines]
            named = {index: words for index, words in outcome.by_line.items() if 0 <= index < len(lines)}
            if len(named) == len(lines):
                return [RefusedLine(line, named[index]) for index, line in enumerate(lines)]
            if named:  # believed only when a batch is named whole: line breaks in strings upset the numbering
                others = [line for index, line in enumerate(lines) if index not in named]
                suspects = [line for index, line in enumerate(lines) if index in named]
                return self._written(dialect, bucket, others) + self._written(dialect, bucket, suspects)
        if len(lines) == 1:
            return [RefusedLine(lines[0], outcome.reason)]
        middle = len(lines) // 2
        return self._written(dialect, bucket, lines[:middle]) + self._written(dialect, bucket, lines[middle:])

    def _post(self, dialect: Dialect) -> Post:
        settings = self._connection.settings
        if dialect is not Dialect.V2 or settings.org is None or settings.token is None:
            return self._post_by_v1_path
        if self._client_post is None:
            from storage.influx.client import ClientPost

            self._client_post = ClientPost(settings)
        return self._client_post

    def _post_by_v1_path(self, bucket: str, body: bytes) -> Answer:
        return self._connection.send(
            "POST",
            "/write",
            params={"db": self._connection.settings.database(bucket), "precision": "s"},
            content=body,
            headers={"Content-Type": "text/plain; charset=utf-8", "Content-Encoding": "gzip"},
        )


def gzip_1(body: bytes) -> bytes:
    """``body`` as gzip, level 1: six times faster than the client's level 9 for nearly the same size."""
    compressor = zlib.compressobj(1, zlib.DEFLATED, 31)  # 31: gzip frame, largest window; its header holds no time
    return compressor.compress(body) + compressor.flush()
