"""How far everything is rolled up, as the last runs of this host told: ``state/rollup.json``, for those who read files.

The truth is in the store (books.py); this is what ``lodeline status`` can show while no store answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from storage.spool.durable import replace_file

FILE = "rollup.json"


class Watermark(msgspec.Struct, frozen=True):
    """One measurement. ``complete_until``: before it all closed hours are rolled up; ``looked_at``: when that was told.

    Both are Unix seconds.
    """

    complete_until: int
    looked_at: int


class _Kept(msgspec.Struct):
    measurements: dict[str, Watermark] = {}


def keep(state: Path, complete_until: Mapping[str, int], now: int) -> None:
    """Note the watermarks of a run under ``state``; measurements that it does not name stay as they were told last."""
    state.mkdir(parents=True, exist_ok=True)
    told = {name: Watermark(until, now) for name, until in complete_until.items()}
    replace_file(state / FILE, msgspec.json.encode(_Kept(kept(state) | told)))


def kept(state: Path) -> dict[str, Watermark]:
    """What was noted, by measurement; nothing where no roll-up ran here, or where the file cannot be understood."""
    try:
        content = (state / FILE).read_bytes()
    except FileNotFoundError:
        return {}
    try:
        return msgspec.json.decode(content, type=_Kept).measurements
    except msgspec.MsgspecError:
        return {}  # the next run writes it anew, and every watermark with it
