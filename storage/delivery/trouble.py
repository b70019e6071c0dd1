"""Why a sink does not take a lane's records just now: ``trouble.<sink>.json``, there only while it lasts."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import msgspec


class Trouble(msgspec.Struct, frozen=True, kw_only=True):
    """``kind``: whether it may pass by itself, waits for somebody, or is a fault of Lodeline. ``since`` in Unix s."""

    kind: Literal["try_again", "needs_human", "fault"]
    message: str
    since: float


def trouble_path(lane: Path, sink: str) -> Path:
    """Where the trouble of ``sink`` with ``lane`` is told."""
    return lane / f"trouble.{sink}.json"


def tell_trouble(lane: Path, sink: str, trouble: Trouble) -> None:
    """Show ``trouble``. Not fsynced: after a power cut the sink is asked anew anyway."""
    path = trouble_path(lane, sink)
    draft = path.with_suffix(".new")
    draft.write_bytes(msgspec.json.encode(trouble) + b"\n")
    os.replace(draft, path)


def clear_trouble(lane: Path, sink: str) -> None:
    """It is over."""
    trouble_path(lane, sink).unlink(missing_ok=True)


def trouble_of(lane: Path, sink: str) -> Trouble | None:
    """The trouble of ``sink`` with ``lane``, None when all is well (or unreadable, which the next try mends)."""
    try:
        return msgspec.json.decode(trouble_path(lane, sink).read_bytes(), type=Trouble)
    except (FileNotFoundError, msgspec.MsgspecError):
        return None
