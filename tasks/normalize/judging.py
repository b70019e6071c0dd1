"""Cleaning of a reading, with the reason kept on it: the last step before a record is stored. Pure; no clock.

Each step sees what the one before left: impossible, implausible, contradictory, repeated. A value is either kept as
read or null; nothing is replaced by a guess.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from storage.records.miner import MinerTelemetry
from tasks.normalize.consistency import consistent
from tasks.normalize.history import History, compared
from tasks.normalize.limits import possible
from tasks.normalize.nameplates import nameplate
from tasks.normalize.plausible import plausible
from tasks.normalize.quality import score

__all__ = ["History", "Judged", "judge"]

_FIRST = History()


@dataclass(frozen=True, slots=True)
class Judged:
    """A record that may be stored, what the next poll of the same miner needs, and what an operator should know.

    A notice is about a model, not a poll: the same text comes from every miner of the model, to be logged once.
    """

    record: MinerTelemetry
    history: History
    notices: tuple[str, ...] = ()


def judge(record: MinerTelemetry, history: History | None = None) -> Judged:
    """Clean ``record`` in the light of ``history``; sets ``quality`` and ``quality_flags``. Raises nothing.

    Flags of the driver stay. Judging a judged record again with the same history changes nothing. A miner that did not
    answer has no readings to judge: its quality is 0, its history stays.
    """
    history, notices = _noticed(record, history or _FIRST)
    if not record.reachable:
        return Judged(msgspec.structs.replace(record, quality=0.0), history, notices)
    flags = set(filter(None, record.quality_flags.split(","))) if record.quality_flags else set()
    found = consistent(plausible(possible(record, flags), flags), record, flags)
    found, history = compared(found, history, flags)
    judged = msgspec.structs.replace(
        found, quality=score(found, flags), quality_flags=",".join(sorted(flags)) if flags else None
    )
    return Judged(judged, history, notices)


def _noticed(record: MinerTelemetry, history: History) -> tuple[History, tuple[str, ...]]:
    model = record.miner.model
    if history.noticed == model or nameplate(model) is not None:
        return history, ()
    notice = (
        f"model {model!r} has no nameplate: its readings are compared with its own presets only; "
        f"name the model as its maker does, e.g. ANTMINER_S19, or add it to tasks/normalize/nameplates.py"
    )
    return msgspec.structs.replace(history, noticed=model), (notice,)
