"""What passes between a collector and the child that runs the library: one line of JSON a question, one an answer."""

from __future__ import annotations

from typing import Literal

import msgspec

LONGEST_LINE = 1024 * 1024
"""Bytes. The largest reading known, sixteen boards without their chips, has some 10 kB."""

Outcome = Literal["read", "deadline", "unknown", "failed"]
"""``unknown``: the library found no miner that it knows there. ``failed``: it raised."""


class Question(msgspec.Struct, frozen=True):
    """Read the miner at ``address`` within ``deadline_s``. Without ``username`` the library tries its own."""

    number: int
    address: str
    deadline_s: float
    username: str | None = None
    password: str | None = None


class Reply(msgspec.Struct, frozen=True):
    """The answer to question ``number``. ``data``: the library's reading; ``detail``: why there is none."""

    number: int
    outcome: Outcome
    detail: str = ""
    data: msgspec.Raw = msgspec.Raw(b"null")
