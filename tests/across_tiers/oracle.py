"""The right answer, worked out of all polls by plain Python, one row at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Poll = tuple[str, int, float | None, int | None]
"""(miner, time, hashrate, shares)."""

COLUMNS = ("hashrate_hs", "shares_accepted", "state", "hashrate_hs_max", "shares_accepted_inc", "hashrate_hs_count")


def windows_of(polls: Sequence[Poll], every_s: int) -> dict[tuple[str, int], dict[str, Any]]:
    """COLUMNS per miner and window of ``every_s``."""
    answer: dict[tuple[str, int], dict[str, Any]] = {}
    stood: dict[str, tuple[int, int]] = {}
    for miner, time, rate, shares in sorted(polls, key=lambda poll: poll[:2]):
        row = answer.setdefault((miner, time - time % every_s), {"rates": [], "inc": None, "shares": None})
        row["state"] = "mining" if rate is not None else "unreachable"
        if rate is not None:
            row["rates"].append(rate)
        if shares is not None:
            grown = 0
            if miner in stood and time - time % 3600 - stood[miner][1] <= 86400:
                before = stood[miner][0]
                grown = shares - before if shares >= before else shares
            row["inc"] = (row["inc"] or 0) + grown
            row["shares"] = shares
            stood[miner] = (shares, time - time % 3600)
    return {
        key: {
            "hashrate_hs": sum(row["rates"]) / len(row["rates"]) if row["rates"] else None,
            "shares_accepted": row["shares"],
            "state": row["state"],
            "hashrate_hs_max": max(row["rates"], default=None),
            "shares_accepted_inc": row["inc"],
            "hashrate_hs_count": len(row["rates"]),
        }
        for key, row in answer.items()
    }
