"""Kill -9 whatever works on a data directory: collecting, delivering, rolling up, merging, archiving, deleting.

Run by hand: ``python -m tests.faults.killing --kills 1000``. Every role is a process of its own, forked from one that
has imported everything and done nothing, so that a new one is at work within a millisecond. One role after another is
killed at a random moment and begins again. At the end each finishes in peace, and the books are compared with what
the collector acknowledged: 0 lost, 0 doubled, every table readable, the audit trail whole, nothing erased back.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from storage.archive.catalogue import Catalogue
from storage.archive.moving import ArchiveReport, archive_table, away_from_upkeep
from storage.archive.reading import ArchiveReader
from storage.archive.verifying import verify as verify_archive
from storage.audit.trail import AuditKind, Trail
from storage.audit.verify import Anchor, verify
from storage.declaration import MEASUREMENTS, Tier
from storage.delivery.books import books
from storage.delivery.delivery import Delivery
from storage.downsample.books import rolled_windows, touched_hours
from storage.downsample.run import roll_up
from storage.erasure.entity import Entity
from storage.erasure.proof import search
from storage.erasure.run import Places, erase
from storage.erasure.tombstones import HonouringSink, Tombstones
from storage.errors import TryAgain
from storage.frame import Frame, build_frame
from storage.lake import doctor
from storage.lake.layout import declared_tables
from storage.lake.maintenance import maintain
from storage.lake.sink import LakeSink
from storage.lake.store import EmbeddedStore
from storage.lake.table import LakeTable
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

PAUSE_S = 0.15
"""Between two kills, of any role, on average."""

STARVED = 15
"""So many kills of a role without a piece of work finished, and all are left alone until it finishes one: on a busy
machine every kill would hit a beginning."""

PATIENCE_S = 20.0
"""How long that is waited for: there may be nothing to archive yet."""

FINISHES = {"collect": "collected", "deliver": "delivered", "roll": "rolled", "merge": "merged", "archive": "archived",
            "delete": "erased"}  # fmt: skip
"""What each role counts."""

WEIGHTS = {"collect": 6, "deliver": 4, "roll": 2, "merge": 4, "archive": 3, "delete": 0.5}
"""How often each role is killed: what takes seconds must come to its end now and then, too."""


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
    delivery = _delivery(data)
    while True:
        if delivery.deliver_once():
            _counted(data, "delivered")
        else:
            time.sleep(0.02)


def _delivery(data: Path) -> Delivery:
    return Delivery(data / "spool", [HonouringSink(LakeSink(data / "lake", HOST), Tombstones(data))], HOST)


def roll(data: Path) -> None:
    """Downsample."""
    store = EmbeddedStore(data / "lake")
    while True:
        roll_up(store, _now(data))
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
        report = maintain(data / "lake", _now(data), retention_days={"mining_payload": PAYLOAD_DAYS})
        if report.troubles:
            raise AssertionError(report.troubles)
        trail = Trail.open(data, HOST)
        trail.record(AuditKind.COMPACTED, "lake", actor="merge", detail={"files": report.files_merged})
        _counted(data, "merged")
        time.sleep(0.05)


def archive(data: Path) -> None:
    """Move days that are past their retention into the archive."""
    while True:
        if _archive(data).files:
            _counted(data, "archived")
        time.sleep(0.05)


def _archive(data: Path) -> ArchiveReport:
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
            _erase(data, stop)
            _counted(data, "erased")
        time.sleep(0.2)


def _erase(data: Path, stop: int) -> None:
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


def _now(data: Path) -> int:
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


def _begin(role: str, data: Path) -> int:
    child = os.fork()
    if child:
        return child
    try:
        ROLES[role](data)
    except BaseException:  # whatever it is, the parent shall see it
        traceback.print_exc()
    os._exit(1)


@contextmanager
def _time_limit(seconds: int) -> Iterator[None]:
    """Die with a traceback rather than hang: nothing here waits for anybody for long."""

    def give_up(*_: object) -> None:
        raise TimeoutError(f"not finished within {seconds} s")

    signal.signal(signal.SIGALRM, give_up)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)


def kill_over_and_over(folder: Path, kills: int, seed: int) -> dict[str, object]:
    """Kill ``kills`` times in ``folder``; what was found at the end."""
    dice = random.Random(seed)
    data = folder / "data"
    data.mkdir(parents=True)
    running = {role: _begin(role, data) for role in ROLES}
    began, killed = time.monotonic(), dict.fromkeys(ROLES, 0)
    starving, finished = dict.fromkeys(ROLES, 0), dict.fromkeys(ROLES, 0)
    faults: list[str] = []
    while sum(killed.values()) < kills and not faults:
        time.sleep(dice.expovariate(1 / PAUSE_S))
        (role,) = dice.choices(list(WEIGHTS), [*WEIGHTS.values()])
        if starving[role] >= STARVED:
            _let_finish(folder, role, finished[role])
        now_finished = _finished(folder, role)
        starving[role] = 0 if now_finished > finished[role] or starving[role] >= STARVED else starving[role] + 1
        finished[role] = now_finished
        os.kill(running[role], signal.SIGKILL)
        _, status = os.waitpid(running[role], 0)
        if os.WIFEXITED(status):
            faults.append(f"{role} ended by itself after {sum(killed.values())} kills")
            break
        killed[role] += 1
        running[role] = _begin(role, data)
    for role, child in running.items():
        if not faults or not faults[0].startswith(role):
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
    work = {path.stem: path.stat().st_size for path in sorted(folder.glob("*.count"))}
    took_s = time.monotonic() - began
    with _time_limit(600):
        found = _settle_and_compare(data, faults)
    return {"kills": sum(killed.values()), "killed": killed, "seed": seed, "seconds": round(took_s, 1),
            "work": work, **found}  # fmt: skip


def _finished(folder: Path, role: str) -> int:
    """Pieces of work of ``role`` so far."""
    try:
        return (folder / f"{FINISHES[role]}.count").stat().st_size
    except FileNotFoundError:
        return 0


def _let_finish(folder: Path, role: str, before: int) -> None:
    until = time.monotonic() + PATIENCE_S
    while _finished(folder, role) == before and time.monotonic() < until:
        time.sleep(0.02)


def _settle_and_compare(data: Path, faults: list[str]) -> dict[str, object]:
    slots = int((data.parent / "acknowledged").read_text())
    with Lane.open(data / "spool", "miners", cap_bytes=2**30, segment_bytes=50_000):
        spooled = LaneReader(data / "spool" / "miners").last_sequence
    delivery = _delivery(data)
    while delivery.deliver_once():
        pass
    delivery.close()
    store = EmbeddedStore(data / "lake")
    roll_up(store, _now(data))
    report = maintain(data / "lake", _now(data), retention_days={"mining_payload": PAYLOAD_DAYS})
    stop = T0 + spooled * SLOT_S
    _archive(data)
    _erase(data, stop)
    faults += report.troubles
    if spooled < slots:
        faults.append(f"{slots} slots were acknowledged and {spooled} are spooled")

    rows = store.read(MEASUREMENTS["miner_telemetry"], Tier.RAW, 0, 2**33, columns=["hashrate_hs"]).to_pylist()
    kept = ArchiveReader(data / "archive").read(
        MEASUREMENTS["miner_telemetry"], Tier.RAW, 0, 2**33, columns=["hashrate_hs"]
    )
    rows += kept.to_pylist()
    found = {(row["miner_id"], int(row["time"].timestamp())): row["hashrate_hs"] for row in rows}
    wanted = {(name, T0 + slot * SLOT_S): value(slot, at) for at, name in enumerate(STEADY) for slot in range(spooled)}
    lost = sum(key not in found for key in wanted)
    wrong = sum(found[key] != number for key, number in wanted.items() if key in found)
    revived = sum(name == DOOMED for name, _ in found)
    table = LakeTable(data / "lake", MEASUREMENTS["miner_telemetry"], Tier.RAW)
    snapshot = table.snapshot(fresh=True)
    stored = sum(part.rows for part in snapshot.parts) if snapshot else 0
    catalogue = Catalogue.open(data / "archive")
    stored += sum(part.rows for part in catalogue.parts())
    faults += verify_archive(catalogue, catalogue.parts(), read=True).faults

    hours = store.read(MEASUREMENTS["miner_telemetry"], Tier.HOURLY, 0, 2**33).to_pylist()
    closed = (_now(data) - 120) // 3600 * 3600
    sums: dict[tuple[str, int], list[float]] = {}
    for (name, at), number in wanted.items():
        if at // 3600 * 3600 + 3600 <= closed:
            sums.setdefault((name, at // 3600 * 3600), []).append(number)
    rolled = {(row["miner_id"], int(row["time"].timestamp())): (row["hashrate_hs_count"], row["hashrate_hs_sum"])
              for row in hours}  # fmt: skip
    hours_wrong = sum(rolled.get(key) != (len(numbers), sum(numbers)) for key, numbers in sums.items())
    revived += sum(name == DOOMED for name, _ in rolled)
    store.close()

    unreadable = []
    for measurement, tier in declared_tables():
        one = LakeTable(data / "lake", measurement, tier)
        if one.exists():
            with one.locked():
                pass  # the doctor looks
            unreadable += [str(path) for path in doctor.scrub(data / "lake" / one.name)]
    proof = search([data], Entity({"miner_id": DOOMED}, 0, stop), whole=False)
    unreadable += proof.unreadable
    anchor = _anchor(data)
    lane_books = books(data / "spool")
    chain = verify(Trail.open(data, HOST).path, anchor)
    return {
        "slots": spooled, "rows": len(wanted), "archived": kept.num_rows, "hours": len(sums), "lost": lost,
        "doubled": stored - len(found),
        "wrong": wrong, "hours_wrong": hours_wrong, "revived": revived + sum(proof.hits.values()),
        "unreadable": unreadable, "backlog": sum(b.backlog for sinks in lane_books.values() for b in sinks.values()),
        "audit_entries": chain.entries, "audit_fault": chain.fault, "anchored": anchor.sequence, "faults": faults,
    }  # fmt: skip


def _anchor(data: Path) -> Anchor:
    """The newest entry that the lake knows; delivered first."""
    Trail.open(data, HOST).follow()
    delivery = _delivery(data)
    while delivery.deliver_once():
        pass
    delivery.close()
    store = EmbeddedStore(data / "lake")
    rows = store.read(MEASUREMENTS["audit_event"], Tier.RAW, 0, 2**33, columns=["sequence", "hash"]).to_pylist()
    store.close()
    newest = max(rows, key=lambda row: row["sequence"])
    return Anchor(newest["sequence"], newest["hash"])


def is_well(found: dict[str, object]) -> bool:
    """Whether nothing was lost, doubled, wrong, revived or unreadable, and the chain is whole."""
    numbers = ("lost", "doubled", "wrong", "hours_wrong", "revived", "backlog")
    return not any(found[name] for name in (*numbers, "unreadable", "audit_fault", "faults"))


def main() -> int:
    """Print what was found as one JSON line; exit code 1 where not all is well."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--kills", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=int(os.environ.get("LODELINE_KILL_SEED", "0")) or time.time_ns())
    parser.add_argument("--folder", type=Path, help="kept afterwards; a temporary one by default")
    wanted = parser.parse_args()
    if wanted.folder is not None:
        found = kill_over_and_over(wanted.folder, wanted.kills, wanted.seed)
    else:
        with tempfile.TemporaryDirectory(prefix="killing-") as folder:
            found = kill_over_and_over(Path(folder), wanted.kills, wanted.seed)
    print(json.dumps(found), flush=True)
    return 0 if is_well(found) else 1


if __name__ == "__main__":
    sys.exit(main())
