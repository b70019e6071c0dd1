"""The calls that the fake understands: each a function of what was sent, registered under its name on the wire."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

from deployments.farm.abacus.faults import Faults
from deployments.farm.abacus.shelf import Item, Shelf

LEAST_PART_BYTES = 5 << 20
"""Every part of an upload but the last has at least as many bytes."""


class Refused(Exception):
    """The service says no, in the words of its own errors."""

    def __init__(self, status: int, kind: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind


def not_found(what: str, key: object) -> Refused:
    """What is said of an id that does not exist: status 400, not 404."""
    return Refused(400, "DataNotFoundError", f"{what} {key} not found")


class Raw(NamedTuple):
    """An answer that is no envelope."""

    content: bytes


@dataclass(slots=True)
class Backend:
    """What calls work on."""

    shelf: Shelf
    faults: Faults
    least_part_bytes: int = LEAST_PART_BYTES
    rejects: Callable[[Item], str | None] = field(default=lambda _row: None)
    """Why a row is not taken; None: it is."""
    predicts: Callable[[str], list[Item] | None] = field(default=lambda _deployment: [])
    """What a deployment predicts in a batch; None: it cannot yet, and the batch waits."""
    answers: Callable[[Item], Item] = field(default=lambda _query: {})
    """What a deployment answers to one query."""

    def need(self, kind: str, key: object) -> Item:
        """The object of that id.

        Raises:
            Refused: there is none.
        """
        found = self.shelf.get(kind, str(key))
        if found is None:
            raise not_found(kind, key)
        return found


class Sent(NamedTuple):
    """What came with a call: query, JSON body and form fields as one mapping, and the file of a multipart body."""

    values: Mapping[str, Any]
    file: bytes = b""

    def need(self, name: str) -> Any:
        """The value of that name.

        Raises:
            Refused: it is missing.
        """
        if self.values.get(name) is None:
            raise Refused(400, "MissingParameterError", f"Missing required parameter {name}")
        return self.values[name]


Answer = Callable[[Backend, Sent], Any]


class Call(NamedTuple):
    """One call: its verb and whether it goes to the proxy (``/api/<name>``, header APIKEY)."""

    verb: str
    proxied: bool
    needs_key: bool
    answer: Answer


CALLS: dict[str, Call] = {}


def call(name: str, verb: str, *, proxied: bool = False, needs_key: bool = True) -> Callable[[Answer], Answer]:
    """Register a function as the answer to ``name``."""

    def register(answer: Answer) -> Answer:
        CALLS[name] = Call(verb, proxied, needs_key, answer)
        return answer

    return register


def now_text() -> str:
    """Now, as the service writes times."""
    return datetime.now(UTC).isoformat(timespec="seconds")
