"""What is found when all have ended in peace, for killing.py: held against what the collector acknowledged."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from storage.archive.catalogue import Catalogue
from storage.archive.reading import ArchiveReader
from storage.archive.verifying import verify as verify_archive
from storage.audit.trail import Trail
from storage.audit.verify import Anchor, verify
from storage.declaration import MEASUREMENTS, Tier
from storage.delivery.books import books
from storage.downsample.run import roll_up
from storage.erasure.entity import Entity
from storage.erasure.proof import search
from storage.lake import doctor
from storage.lake.layout import declared_tables
from storage.lake.maintenance import maintain
from storage.lake.store import EmbeddedStore
from storage.lake.table import LakeTable
from storage.spool.lane import Lane, LaneReader
from storage.store import Store
from tests.faults.roles import (
    DOOMED,
    HOST,
    PAYLOAD_DAYS,
    SLOT_S,
    STEADY,
    T0,
    TELEMETRY,
    archived,
    delivery_of,
    erased,
    now_of,
    value,
)

Key = tuple[str, int]
"""Miner, and a time in Unix seconds."""


def settle_and_compare(data: Path, faults: list[str]) -> dict[str, object]:
    """Let all end in peace; counts of what is there and of what should not be. ``faults`` gets what broke meanwhile."""
    spooled = _settle(data, faults)
    wanted = {(name, T0 + slot * SLOT_S): value(slot, at) for at, name in enumerate(STEADY) for slot in range(spooled)}
    store = EmbeddedStore(data / "lake")
    rows, hours = _rows(data, store, wanted, faults), _hours(data, store, wanted)
    store.close()
    files = _files(data, T0 + spooled * SLOT_S)
    revived = rows.pop("revived") + hours.pop("revived") + files.pop("revived")
    return {"slots": spooled, "rows": len(wanted), **rows, **hours, **files, "revived": revived, "faults": faults}


def _settle(data: Path, faults: list[str]) -> int:
    """Deliver, roll up, merge, archive and erase what is left; slots that were spooled."""
    slots = int((data.parent / "acknowledged").read_text())
    with Lane.open(data / "spool", "miners", cap_bytes=2**30, segment_bytes=50_000):
        spooled = LaneReader(data / "spool" / "miners").last_sequence
    _deliver(data)
    store = EmbeddedStore(data / "lake")
    roll_up(store, now_of(data))
    store.close()
    report = maintain(data / "lake", now_of(data), retention_days={"mining_payload": PAYLOAD_DAYS})
    archived(data)
    erased(data, T0 + spooled * SLOT_S)
    faults += report.troubles
    if spooled < slots:
        faults.append(f"{slots} slots were acknowledged and {spooled} are spooled")
    return spooled


def _rows(data: Path, store: Store, wanted: Mapping[Key, float], faults: list[str]) -> dict[str, Any]:
    """Raw rows, of lake and archive together."""
    active = store.read(TELEMETRY, Tier.RAW, 0, 2**33, columns=["hashrate_hs"])
    kept = ArchiveReader(data / "archive").read(TELEMETRY, Tier.RAW, 0, 2**33, columns=["hashrate_hs"])
    rows = [*active.to_pylist(), *kept.to_pylist()]
    found = {(row["miner_id"], int(row["time"].timestamp())): row["hashrate_hs"] for row in rows}
    snapshot = LakeTable(data / "lake", TELEMETRY, Tier.RAW).snapshot(fresh=True)
    stored = sum(part.rows for part in snapshot.parts) if snapshot else 0
    catalogue = Catalogue.open(data / "archive")
    faults += verify_archive(catalogue, catalogue.parts(), read=True).faults
    return {
        "archived": kept.num_rows,
        "lost": sum(key not in found for key in wanted),
        "doubled": stored + sum(part.rows for part in catalogue.parts()) - len(found),
        "wrong": sum(found[key] != number for key, number in wanted.items() if key in found),
        "revived": sum(name == DOOMED for name, _ in found),
    }


def _hours(data: Path, store: Store, wanted: Mapping[Key, float]) -> dict[str, Any]:
    """Hours that are closed, against what was collected in them."""
    closed = (now_of(data) - 120) // 3600 * 3600
    numbers: dict[Key, list[float]] = {}
    for (name, at), number in wanted.items():
        if at // 3600 * 3600 + 3600 <= closed:
            numbers.setdefault((name, at // 3600 * 3600), []).append(number)
    rolled = {
        (row["miner_id"], int(row["time"].timestamp())): (row["hashrate_hs_count"], row["hashrate_hs_sum"])
        for row in store.read(TELEMETRY, Tier.HOURLY, 0, 2**33).to_pylist()
    }
    return {
        "hours": len(numbers),
        "hours_wrong": sum(rolled.get(key) != (len(of), sum(of)) for key, of in numbers.items()),
        "revived": sum(name == DOOMED for name, _ in rolled),
    }


def _files(data: Path, stop: int) -> dict[str, Any]:
    """Every table by the doctor, every file read back and searched, the spool's books and the audit trail."""
    unreadable = []
    for measurement, tier in declared_tables():
        one = LakeTable(data / "lake", measurement, tier)
        if one.exists():
            with one.locked():
                pass  # the doctor looks
            unreadable += [str(path) for path in doctor.scrub(data / "lake" / one.name)]
    proof = search([data], Entity({"miner_id": DOOMED}, 0, stop), whole=False)
    anchor = _anchor(data)
    backlog = sum(one.backlog for sinks in books(data / "spool").values() for one in sinks.values())
    chain = verify(Trail.open(data, HOST).path, anchor)
    return {
        "unreadable": unreadable + proof.unreadable,
        "revived": sum(proof.hits.values()),
        "backlog": backlog,
        "audit_entries": chain.entries,
        "audit_fault": chain.fault,
        "anchored": anchor.sequence,
    }


def _deliver(data: Path) -> None:
    delivery = delivery_of(data)
    while delivery.deliver_once():
        pass
    delivery.close()


def _anchor(data: Path) -> Anchor:
    """The newest entry that the lake knows; delivered first."""
    Trail.open(data, HOST).follow()
    _deliver(data)
    store = EmbeddedStore(data / "lake")
    rows = store.read(MEASUREMENTS["audit_event"], Tier.RAW, 0, 2**33, columns=["sequence", "hash"]).to_pylist()
    store.close()
    newest = max(rows, key=lambda row: row["sequence"])
    return Anchor(newest["sequence"], newest["hash"])


def is_well(found: dict[str, object]) -> bool:
    """Whether nothing was lost, doubled, wrong, revived or unreadable, and the chain is whole."""
    numbers = ("lost", "doubled", "wrong", "hours_wrong", "revived", "backlog")
    return not any(found[name] for name in (*numbers, "unreadable", "audit_fault", "faults"))
