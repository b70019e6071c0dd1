"""What works on a data directory, for killing.py: collecting, delivering, rolling up, merging, archiving, deleting."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from storage.archive.moving import ArchiveReport, archive_table, away_from_upkeep
from storage.audit.trail import AuditKind, Trail
from storage.declaration import MEASUREMENTS, Tier
from storage.delivery.delivery import Delivery
from storage.downsample.books import rolled_windows, touched_hours
from storage.downsample.run import roll_up
from storage.erasure.entity import Entity
from storage.erasure.run import Places, erase
from storage.erasure.tombstones import HonouringSink, Tombstones
from storage.errors import TryAgain
from storage.frame import Frame, build_frame
from storage.lake.maintenance import maintain
from storage.lake.sink import LakeSink
from storage.lake.store import EmbeddedStore
from storage.spool.lane import Lane, LaneReader
from storage.spool.record import Batch
from tasks.shift.baton import Baton

T0 = 1_700_000_000 // 86_400 * 86_400
STEADY = ("steady-1", "steady-2")
DOOMED = "doomed"
HOST = "killed"
SLOT_S = 300
PAYLOAD_DAYS = 1
TELEMETRY = MEASUREMENTS["miner_telemetry"]
LEAD_SLOTS = 600
"""So far may the collector be ahead of what is rolled up. It spools hours in a blink; without a limit, roll-ups get
longer and longer until none ends between two kills, and nothing is ever archived."""


def value(slot: int, miner: int) -> float:
    """Hashrate of a miner in a slot, exact in 16 bits."""
    return float((slot * 7 + miner * 13) % 4_096) * 2.0**30


def frames(slot: int) -> list[Frame]:
    """What a tick gives."""
    ids, at = [*STEADY, DOOMED], [T0 + slot * SLOT_S] * 3
    return [
        build_frame("miner_telemetry", at, {"miner_id": ids, "hashrate_hs": [value(slot, n) for n in range(3)]}),
        build_frame("raw_payload", at, {"miner_id": ids, "path": ["/api"] * 3, "body": [f"{x} {slot}" for x in ids]}),
    ]


def _counted(data: Path, what: str) -> None:
    """Note that a piece of work was finished: proof that kills hit work, and not only beginnings."""
    with (data.parent / f"{what}.count").open("ab", buffering=0) as file:
        file.write(b".")


def collect(data: Path) -> None:
    """Spool slot after slot; whoever erases may ask for quiet."""
    baton = Baton(data / "locks", "miners")
    told = os.open(data.parent / "acknowledged", os.O_WRONLY | os.O_CREAT)
    while True:
        while baton.stopped:
            time.sleep(0.01)
        try:
            lane = Lane.open(data / "spool", "miners", cap_bytes=2**30, segment_bytes=50_000)
        except TryAgain:
            time.sleep(0.01)
            continue
        with lane:
            slot = LaneReader(data / "spool" / "miners").last_sequence
            while not baton.stopped:
                if slot - _rolled_slots(data) > LEAD_SLOTS:
                    time.sleep(0.01)
                    continue
                record = lane.append(Batch(f"miners/{slot}", T0 + slot * SLOT_S, "run", frames(slot)))
                assert record.sequence == slot + 1, f"slot {slot} became record {record.sequence}"
                os.pwrite(told, f"{slot + 1:012}".encode(), 0)  # at once, or a kill would leave none
                slot += 1
                _counted(data, "collected")
                time.sleep(0.01)


def deliver(data: Path) -> None:
    """Bring records to the lake."""
    delivery = delivery_of(data)
    while True:
        if delivery.deliver_once():
            _counted(data, "delivered")
        else:
            time.sleep(0.02)


def delivery_of(data: Path) -> Delivery:
    """To the lake, as the product does it."""
    return Delivery(data / "spool", [HonouringSink(LakeSink(data / "lake", HOST), Tombstones(data))], HOST)


def roll(data: Path) -> None:
    """Downsample."""
    store = EmbeddedStore(data / "lake")
    while True:
        roll_up(store, now_of(data))
        _counted(data, "rolled")
        (data.parent / "rolled.slots").write_text(f"{(_settled(data) - T0) // SLOT_S:012}")
        time.sleep(0.05)


def _rolled_slots(data: Path) -> int:
    """Slots that are delivered and rolled up."""
    try:
        return int((data.parent / "rolled.slots").read_text() or 0)  # empty: killed while it was written
    except FileNotFoundError:
        return 0


def merge(data: Path) -> None:
    """Merge files, and drop payloads that are too old."""
    while True:
        report = maintain(data / "lake", now_of(data), retention_days={"mining_payload": PAYLOAD_DAYS})
        if report.troubles:
            raise AssertionError(report.troubles)
        trail = Trail.open(data, HOST)
        trail.record(AuditKind.COMPACTED, "lake", actor="merge", detail={"files": report.files_merged})
        _counted(data, "merged")
        time.sleep(0.05)


def archive(data: Path) -> None:
    """Move days that are past their retention into the archive."""
    while True:
        if archived(data).files:
            _counted(data, "archived")
        time.sleep(0.05)


def archived(data: Path) -> ArchiveReport:
    """Move what has its turn."""
    before = _settled(data) // 86_400 * 86_400 - 86_400
    with away_from_upkeep(data / "lake"):
        report = archive_table(data / "lake", data / "archive", TELEMETRY, Tier.RAW, before)
    if report.troubles:
        raise AssertionError(report.troubles)
    return report


def _settled(data: Path) -> int:
    """Before this everything is delivered and rolled up. A month of the lake stands for that outside of this script."""
    store = EmbeddedStore(data / "lake")
    try:
        newest = store.newest(TELEMETRY, 0)
        delivered = max((int(at.timestamp()) for at in newest["time"].to_pylist()), default=T0)
        rolled = rolled_windows(store, TELEMETRY, Tier.HOURLY, T0, delivered)
        touched = touched_hours(store, TELEMETRY, T0, delivered)
        return min([delivered, *(hour for hour, mark in touched.items() if rolled.get(hour) != mark)])
    finally:
        store.close()


def delete(data: Path) -> None:
    """Erase one miner up to now, for ever again."""
    while True:
        stop = T0 + LaneReader(data / "spool" / "miners").last_sequence * SLOT_S
        if stop > T0:
            erased(data, stop)
            _counted(data, "erased")
        time.sleep(0.2)


def erased(data: Path, stop: int) -> None:
    """Erase the miner up to ``stop``."""
    baton = Baton(data / "locks", "miners")
    done = erase(
        Places(data, data / "lake", data / "archive", None),
        Entity({"miner_id": DOOMED}, 0, stop),
        host=HOST,
        actor="delete",
        now=stop + 1,
        quiet=baton.stopping,
    )
    if done.proof.unreadable:
        raise AssertionError(done.proof.unreadable)


def now_of(data: Path) -> int:
    """A time at which all but the newest hours are closed."""
    return T0 + LaneReader(data / "spool" / "miners").last_sequence * SLOT_S + 1_800


ROLES: dict[str, Callable[[Path], None]] = {
    "collect": collect,
    "deliver": deliver,
    "roll": roll,
    "merge": merge,
    "archive": archive,
    "delete": delete,
}
