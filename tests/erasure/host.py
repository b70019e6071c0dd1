"""A host with three miners in every place that an erasure has to look at, made without any network."""

from __future__ import annotations

import gzip
from pathlib import Path

import msgspec

from storage.audit.trail import AuditKind, Trail
from storage.delivery.dead_letters import DeadLetterFile
from storage.delivery.delivery import Delivery
from storage.downsample.run import roll_up
from storage.erasure.run import Places
from storage.erasure.tombstones import HonouringSink, Tombstones
from storage.frame import Frame, build_frame
from storage.lake.sink import LakeSink
from storage.lake.store import EmbeddedStore
from storage.sink import DeadLetter
from storage.spool.lane import Lane
from storage.spool.record import Batch

GONE = "site01-r00-s00-u00"
OTHERS = ("site01-r00-s00-u000", "site01-r00-s00-u01", "site01-r00-s00-u00-b")
"""Names that begin alike. GONE is the first in order, so statistics of files and logs name it."""

T0 = 1_700_000_000 // 86_400 * 86_400
SLOTS = 121
HOST = "mine-1"


def frames(slot: int) -> list[Frame]:
    """One tick of all miners."""
    ids = [GONE, *OTHERS]
    at = [slot] * len(ids)
    return [
        build_frame("miner_telemetry", at, {"miner_id": ids, "hashrate_hs": [1e14 + slot % 977 + n for n in range(4)],
                                            "power_w": [3000 + n for n in range(4)]}),
        build_frame("raw_payload", at, {"miner_id": ids, "path": ["/api"] * 4, "status": [200] * 4,
                                        "body": [f'{{"id":"{name}","slot":{slot}}}' for name in ids]}),
        build_frame("source_payload", [slot], {"source": ["pool"], "request": ["workers"], "page": ["1"],
                                               "body": [f"workers {', '.join(ids)} seen"]}),
    ]  # fmt: skip


def batch(slot: int) -> Batch:
    """The same as a batch of the spool."""
    return Batch(f"miners/{slot}/0", slot, "run", frames(slot))


def deliver(data: Path) -> None:
    """Deliver what is spooled, as a shift does."""
    sink = HonouringSink(LakeSink(data / "lake", HOST), Tombstones(data))
    delivery = Delivery(data / "spool", [sink], HOST)
    while delivery.deliver_once():
        pass
    delivery.close()


def fill(data: Path, slots: int = SLOTS) -> None:
    """Collect, deliver and roll up, and leave traces beside: states, logs, a dead letter, audit entries."""
    with Lane.open(data / "spool", "miners", cap_bytes=2**30, segment_bytes=20_000) as lane:
        for tick in range(slots):
            lane.append(batch(T0 + tick * 60))
            if tick % 40 == 0:
                deliver(data)
    deliver(data)
    store = EmbeddedStore(data / "lake")
    roll_up(store, T0 + slots * 60 + 86_400 * 3)
    store.close()
    line = f"miner_telemetry,miner_id={GONE} power_w=1i 1"
    DeadLetterFile(data / "spool" / "miners", "lake").write(1, [DeadLetter("miner_telemetry", line, "no")], [])
    (data / "spool" / "miners" / "quarantine").mkdir(exist_ok=True)
    (data / "spool" / "miners" / "quarantine" / "torn.bin").write_bytes(b"\x01torn and not to be inflated")
    (data / "state").mkdir()
    standings = [{"miner_id": name, "state": "mining"} for name in (GONE, *OTHERS)]
    (data / "state" / "miners.json").write_bytes(msgspec.json.encode({"lane": "miners", "miners": standings}))
    lines = b"".join(msgspec.json.encode(one) + b"\n" for one in standings)
    (data / "state" / "miners.miners.jsonl").write_bytes(lines)
    (data / "logs").mkdir()
    text = f"WARNING {GONE}: timeout\nWARNING {OTHERS[1]}: timeout\n"
    (data / "logs" / "collect_miners.log").write_text(text)
    (data / "logs" / "collect_miners.log.1.gz").write_bytes(gzip.compress(text.encode()))
    trail = Trail.open(data, HOST)
    trail.record(AuditKind.CONFIGURATION_CHANGED, "data_collection_config.yaml", actor="test",
                 detail={"miners[0].id": GONE})  # fmt: skip
    trail.record(AuditKind.COMPACTED, "mining_raw/miner_telemetry", actor="test")
    deliver(data)


def places(data: Path) -> Places:
    """Of that host."""
    return Places(data, data / "lake", None, None)
