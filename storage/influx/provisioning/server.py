"""A server that is provisioned: looks at what is there and takes one step at a time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from pydantic import SecretStr

from storage.errors import NeedsHuman
from storage.influx.connection import Answer, Connection, Dialect
from storage.influx.provisioning.plan import Step
from storage.influx.provisioning.state import Desired, Found
from storage.influx.settings import InfluxSettings


@dataclass(frozen=True, slots=True)
class Minted:
    """A secret that the server tells only now: a token, or the password of ``user`` (1.x)."""

    access: str
    secret: SecretStr
    user: str | None = None


class Provisionable(Protocol):
    """A server of one generation. Every method raises TryAgain without an answer, NeedsHuman where refused."""

    def found(self, desired: Desired, /) -> Found:
        """What is there of ``desired``, and what else counts against a limit."""
        ...

    def take(self, step: Step) -> Minted | None:
        """Take one step, and nothing of another. The secret of a new access; the one before still gets in (2.x)."""
        ...

    def withdraw(self, minted: Minted) -> None:
        """Take back an access whose secret could not be kept."""
        ...

    def retire(self, minted: Minted) -> None:
        """End what ``minted`` takes the place of, once its secret is kept."""
        ...


@contextmanager
def provisionable(settings: InfluxSettings) -> Iterator[Provisionable]:
    """The server of ``settings``, whichever generation it is.

    Raises:
        TryAgain: no answer.
        NeedsHuman: it is no InfluxDB, or the credentials are refused.
    """
    connection = Connection(settings)
    try:
        server = connection.server()
        if server.dialect is Dialect.V2:
            from storage.influx.provisioning.v2 import Server2  # brings influxdb-client along

            with Server2.open(settings, server.version) as two:
                yield two
        elif server.dialect is Dialect.V1:
            from storage.influx.provisioning.v1 import Server1

            yield Server1(connection)
        else:
            from storage.influx.provisioning.v3 import Server3

            yield Server3(connection, server)
    finally:
        connection.close()


def user_of(access: str) -> str:
    """Name of a user (1.x) or description of a token (2.x): how an access is known again."""
    return f"lodeline_{access}"


def refused(url: str, answer: Answer, remedy: str) -> NeedsHuman:
    """The error of an answer that is a refusal."""
    said = answer.text.strip()[:500] or "nothing"
    return NeedsHuman(f"InfluxDB at {url} refused to provision ({answer.status}), it said: {said}", remedy=remedy)


def duration_s(text: str) -> int:
    """Seconds of a duration as Go writes it, e.g. ``720h0m0s``; 0 is for ever.

    Raises:
        ValueError: it is none.
    """
    parts = _DURATION.fullmatch(text)
    if parts is None or not text:
        raise ValueError(f"{text!r} is not a duration")
    hours, minutes, seconds = (float(part or 0) for part in parts.groups())
    return int(hours * 3600 + minutes * 60 + seconds)


_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:([\d.]+)s)?")
