"""One erasure from its tombstone to its proof: every place in turn, again until nothing is found."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from storage.audit.trail import AuditKind, Trail
from storage.erasure.entity import END_OF_TIME_S, Entity
from storage.erasure.exports import erase_from_series_exports
from storage.erasure.files import (
    erase_from_exports,
    erase_from_logs,
    erase_from_reports,
    erase_from_state,
    erase_from_trails,
    exported_rows,
    nothing_exported,
)
from storage.erasure.proof import Proof, search
from storage.erasure.spool import erase_from_spool
from storage.erasure.tombstones import Tombstones
from storage.influx.settings import InfluxSettings
from storage.lake.disk import locked
from storage.progress import told
from storage.settings import EXPORTS, ONLINE_FEATURES, REPORTS, SERIES_EXPORTS

if TYPE_CHECKING:  # comes with the extra [lake]
    from storage.lake.location import LakeLocation

_PLACES = (
    "spool", "state", "lake", "restored", "features", "archive", "influx", "reports", "series", "exports", "logs",
    "audit",
)  # fmt: skip
"""In the order in which they are cleaned, as progress counts them."""

ROUNDS = 3
"""What was under way when the tombstone was set may land after its place was searched; the next round takes it."""


@dataclass(frozen=True)
class Places:
    """Where a host keeps data. ``archive`` and ``influx`` are None where there is none."""

    data: Path
    lake: LakeLocation | None
    archive: Path | None
    influx: InfluxSettings | None

    def roots(self) -> list[LakeLocation]:
        """Folders that the proof searches."""
        roots = (self.data, self.lake, self.archive)
        return [root for root in roots if root is not None and (not isinstance(root, Path) or root.is_dir())]


@dataclass(slots=True)
class Erasure:
    """What became of it. ``counts`` are rows, files and entries by place; ``left_in_influx`` rows that still answer.

    ``exported`` maps a table at Abacus.AI to the rows, of whichever entity, that this host ever sent there: what is of
    this entity among them is out of reach from here. ``others`` maps a lake table to [rows before, rows after, sum
    before, sum after] of all that stayed in the files that were written anew.
    """

    case: str
    counts: dict[str, int] = field(default_factory=dict)
    others: dict[str, list[float]] = field(default_factory=dict)
    left_in_influx: int = 0
    impossible: list[str] = field(default_factory=list)
    exported: dict[str, int] = field(default_factory=dict)
    proof: Proof = field(default_factory=Proof)
    rounds: int = 0

    @property
    def is_done(self) -> bool:
        """Whether nothing is left anywhere, and all of it could be looked at."""
        return self.proof.is_clean and not self.left_in_influx and not self.impossible


def erase(
    places: Places,
    entity: Entity,
    *,
    host: str,
    actor: str,
    now: int,
    quiet: Callable[[], AbstractContextManager[object]] = contextlib.nullcontext,
) -> Erasure:
    """Erase ``entity``. Killed anywhere, the same call again finishes the same case.

    ``quiet`` keeps the shifts of this host away while spool and state are cleaned, which takes seconds.

    Raises:
        TryAgain: something is in use, or a store does not answer. The case stays open.
        NeedsHuman: something is damaged or refused. The case stays open.
    """
    tombstones, trail = Tombstones(places.data), Trail.open(places.data, host)
    case = tombstones.begin(entity, now)
    done = Erasure(case.number)
    trail.record(AuditKind.ERASURE_BEGUN, f"case {case.number}", actor=actor, detail=_range(entity))
    whole = entity.is_whole(now)
    # what is forecast of it is about times after now; it goes with what it was made of
    stored = dataclasses.replace(entity, stop=END_OF_TIME_S) if whole else entity
    while done.rounds < ROUNDS:
        done.rounds += 1
        with quiet():
            _count(done, "spool", erase_from_spool(places.data / "spool", entity))
            _count(done, "state", erase_from_state(places.data / "state", entity))
        _erase_from_stores(places, stored, host, done)
        _count(done, "reports", erase_from_reports(places.data / REPORTS, entity))
        _count(done, "series", erase_from_series_exports(places.data / SERIES_EXPORTS, entity))
        with nothing_exported(places.data / EXPORTS):
            _count(done, "exports", erase_from_exports(places.data / EXPORTS, entity))
        _count(done, "logs", erase_from_logs(places.data / "logs", entity))
        trails = erase_from_trails(places.data, entity, actor=actor, case=case.number)
        _count(done, "audit", trails)
        done.proof = search(
            places.roots(), entity, whole=whole, tell=lambda part, of, what: told(1 + part / of, 2, what)
        )
        if done.proof.is_clean:
            break
    done.exported = exported_rows(places.data / EXPORTS)
    trail.record(AuditKind.ERASED, f"case {case.number}", actor=actor, detail=_told(done))
    if done.is_done:
        tombstones.finish(case)
    return done


def _erase_from_stores(places: Places, entity: Entity, host: str, done: Erasure) -> None:
    """Out of lake, features, archive and InfluxDB, while nothing is made of one for another."""
    with contextlib.ExitStack() as alone:
        if places.archive is not None and places.archive.is_dir():
            alone.enter_context(locked(places.archive / ".lock"))  # an archive of InfluxDB's rows is a copy of them
        if find_spec("deltalake") is not None:
            from storage.features.turn import nothing_published
            from storage.warehouse.remaking import nothing_built

            if places.lake is not None:
                alone.enter_context(nothing_published(places.lake))
                alone.enter_context(nothing_built(places.lake))
            _erase_from_files(places, entity, host, done)
        if places.influx is not None:
            from storage.erasure.influx import erase_from_influx

            said = erase_from_influx(places.influx, entity, host)
            _count(done, "influx", said)
            done.left_in_influx = said.left
            done.impossible = [said.impossible] if said.impossible else []


def _erase_from_files(places: Places, entity: Entity, host: str, done: Erasure) -> None:
    from storage.erasure.lake import erase_from_lake

    for name, root in (("lake", places.lake), ("restored", places.data / "restored")):
        if root is not None:
            erased = erase_from_lake(root, entity, host=host if name == "lake" else None)
            _count(done, name, erased)
            for table, totals in erased.others.items():
                known = done.others.setdefault(f"{name}/{table}", [0, 0, 0.0, 0.0])
                done.others[f"{name}/{table}"] = [a + b for a, b in zip(known, totals, strict=True)]
    from storage.erasure.features import erase_from_online

    _count(done, "features", erase_from_online(places.data / ONLINE_FEATURES, entity))
    if places.archive is not None and places.archive.is_dir():
        from storage.erasure.archive import erase_from_archive

        _count(done, "archive", erase_from_archive(places.archive, entity))


def _count(done: Erasure, place: str, found: object) -> None:
    told(_PLACES.index(place) + 1, 2 * len(_PLACES), place)  # the search takes the other half
    assert dataclasses.is_dataclass(found)  # noqa: S101  # each place has one
    for one in dataclasses.fields(found):
        number = getattr(found, one.name)
        if isinstance(number, int) and one.name != "left":
            key = f"{place}_{one.name}"
            done.counts[key] = done.counts.get(key, 0) + number


def _range(entity: Entity) -> dict[str, int | str | None]:
    wanted = None if entity.measurements is None else ",".join(sorted(entity.measurements))
    return {"tags": ",".join(sorted(entity.tags)), "from": entity.start, "to": entity.stop, "measurements": wanted}


def _told(done: Erasure) -> dict[str, int | float | str | None]:
    return {
        **done.counts,
        "rounds": done.rounds,
        "files_searched": done.proof.files,
        "bytes_searched": done.proof.bytes,
        "hits": sum(done.proof.hits.values()),
        "unreadable": len(done.proof.unreadable),
        "left_in_influx": done.left_in_influx,
        "impossible": "; ".join(done.impossible) or None,
        "tables at Abacus.AI": ", ".join(done.exported) or None,
        **{f"{table}: {what}": number for table, totals in done.others.items() for what, number in
           zip(("rows before", "rows after", "sum before", "sum after"), totals, strict=True)},
    }  # fmt: skip
