"""A host in one process that works whenever it is asked to: it collects, delivers to its lake and rolls up."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable

from storage.audit.trail import AuditKind, Trail
from storage.backup.making import Sources
from storage.declaration import MEASUREMENTS, Tier
from storage.delivery.books import Books, books
from storage.delivery.delivery import Delivery
from storage.downsample.run import roll_up
from storage.frame import Value, build_frame
from storage.lake.sink import LakeSink
from storage.lake.store import EmbeddedStore
from storage.settings import LakeSettings, StorageSettings
from storage.spool.lane import Lane, LaneReader
from storage.spool.record import Batch

T = 1_795_392_000
EVERY_S = 300
MINERS = ("m1", "m2")
TELEMETRY = MEASUREMENTS["miner_telemetry"]
NAME = "host"


def value(slot: int, miner: int) -> float:
    """Hashrate, exact in 16 bits."""
    return float((slot * 7 + miner * 13) % 4_096) * 2.0**30


class Host:
    """One over ``data``; begun again over a copy it goes on where that ends. Segments hold three records."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.lane = Lane.open(data / "spool", "miners", cap_bytes=2**24, segment_bytes=700)
        self.delivery = Delivery(data / "spool", [LakeSink(data / "lake", NAME)], NAME)
        self.slot = LaneReader(data / "spool" / "miners").last_sequence
        self.stored = self.slot
        self.steps = 0

    @property
    def settings(self) -> StorageSettings:
        return StorageSettings(data_directory=self.data, lake=LakeSettings())

    @property
    def sources(self) -> Sources:
        return Sources.of(self.settings, self.data / "archive")

    def collect(self, count: int = 1) -> None:
        for _ in range(count):
            at = [T + self.slot * EVERY_S] * len(MINERS)
            rows: dict[str, Sequence[Value]] = {
                "miner_id": list(MINERS),
                "hashrate_hs": [value(self.slot, n) for n in range(len(MINERS))],
            }
            frame = build_frame("miner_telemetry", at, rows)
            self.lane.append(Batch(f"miners/{self.slot}", at[0], "run", [frame]))
            self.slot += 1

    def deliver(self) -> None:
        while self.delivery.deliver_once():
            pass
        self.stored = LaneReader(self.data / "spool" / "miners").last_sequence

    def roll(self) -> None:
        store = EmbeddedStore(self.data / "lake")
        roll_up(store, T + self.slot * EVERY_S, measurements=[TELEMETRY.name])
        store.close()

    def work(self) -> None:
        """Collect for half an hour, deliver what there was before, roll up, and say so in the audit trail."""
        self.steps += 1
        self.deliver()
        self.collect(6)
        if self.steps % 2:
            self.roll()
            Trail.open(self.data, NAME).record(AuditKind.COMPACTED, "lake", actor="test")

    def stop(self) -> None:
        self.delivery.close()
        self.lane.close()

    @property
    def books(self) -> Books:
        return books(self.data / "spool")["miners"]["lake"]

    def rows_in_files(self) -> list[tuple[str, int, float]]:
        """As the files have them: the store's own read would merge what was stored twice."""
        files = DeltaTable(self.data / "lake" / "mining_raw" / "miner_telemetry").file_uris()
        columns = ["miner_id", "time", "hashrate_hs"]
        rows = pa.concat_tables([pq.ParquetFile(file).read(columns=columns) for file in files]).to_pylist()
        return sorted((row["miner_id"], int(row["time"].timestamp()), row["hashrate_hs"]) for row in rows)

    def wanted_rows(self) -> list[tuple[str, int, float]]:
        return sorted(
            (miner, T + slot * EVERY_S, value(slot, n)) for n, miner in enumerate(MINERS) for slot in range(self.slot)
        )

    def hours(self) -> dict[tuple[str, int], tuple[int, float]]:
        """Count and sum of each hour that is rolled up."""
        store = EmbeddedStore(self.data / "lake")
        rows = store.read(TELEMETRY, Tier.HOURLY, 0, 2**32).to_pylist()
        store.close()
        return {
            (row["miner_id"], int(row["time"].timestamp())): (row["hashrate_hs_count"], row["hashrate_hs_sum"])
            for row in rows
        }

    def wanted_hours(self) -> dict[tuple[str, int], tuple[int, float]]:
        closed = (T + self.slot * EVERY_S - 120) // 3600 * 3600
        sums: dict[tuple[str, int], tuple[int, float]] = {}
        for miner, at, number in self.wanted_rows():
            hour = at // 3600 * 3600
            if hour + 3600 <= closed:
                count, total = sums.get((miner, hour), (0, 0.0))
                sums[miner, hour] = (count + 1, total + number)
        return sums
