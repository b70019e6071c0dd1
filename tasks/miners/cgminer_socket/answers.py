"""What the socket API answers. Every field may be missing.

Rows are dictionaries: their names hold blanks and numbers (``GHS 5s``, ``chain_rate1``), and one value is a string here
and a number there. ``parse.py`` reads them with ``tasks.normalize.number.number``.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from tasks.miners.decode import Items

Rows = Annotated[list[dict[str, Any]], Items]


class Status(msgspec.Struct):
    """``E`` where a command was not taken, else ``S``, ``I`` or ``W``. ``When`` is the device's clock."""

    status: str | None = msgspec.field(default=None, name="STATUS")
    when: float | None = msgspec.field(default=None, name="When")
    code: int | None = msgspec.field(default=None, name="Code")
    message: str | None = msgspec.field(default=None, name="Msg")


class Reply(msgspec.Struct, rename="upper"):
    """The reply to one command: its status, and the rows under the command's own name."""

    status: Annotated[list[Status], Items] | None = None
    stats: Rows | None = None
    summary: Rows | None = None
    pools: Rows | None = None
    devs: Rows | None = None
    version: Rows | None = None


class Joined(msgspec.Struct):
    """The reply to commands joined with ``+``: one of each under its name."""

    stats: Annotated[list[Reply], Items] | None = None
    summary: Annotated[list[Reply], Items] | None = None
    pools: Annotated[list[Reply], Items] | None = None
    version: Annotated[list[Reply], Items] | None = None
