"""Small frames and records for the lake's tests, and a plain look at what its files hold."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import pyarrow.parquet as pq

from storage.declaration import MEASUREMENTS, Measurement, Tier
from storage.frame import Frame, Value, build_frame
from storage.lake.layout import Place, table_folder
from storage.lake.location import LakeLocation, open_table, readable
from storage.spool.record import Batch, SpoolRecord

NOON = 1_793_534_400  # 2026-11-01T12:00:00Z
MINER = MEASUREMENTS["miner_telemetry"]
FAN = MEASUREMENTS["miner_fan"]


def fan_frame(rows: Sequence[tuple[int, str, int | None]], **columns: Sequence[Value]) -> Frame:
    """Rows of ``miner_fan``: (time, miner, rpm)."""
    given: dict[str, Sequence[Value]] = {
        "miner_id": [miner for _, miner, _ in rows],
        "fan": ["0"] * len(rows),
        "speed_rpm": [rpm for _, _, rpm in rows],
        "status": ["ok"] * len(rows),
        **columns,
    }
    return build_frame("miner_fan", [time for time, _, _ in rows], given)


def record(sequence: int, *frames: Frame, lane: str = "miners", before: int = 0) -> SpoolRecord:
    return SpoolRecord(lane, sequence, before, Batch(f"{lane}/{sequence}", NOON, "run", list(frames)))


def tick(sequence: int, miners: int = 3, time: int | None = None) -> SpoolRecord:
    """One record with a row per miner whose value tells the sequence."""
    at = NOON + 60 * sequence if time is None else time
    return record(sequence, fan_frame([(at, f"m{miner:04}", sequence) for miner in range(miners)]))


def stored_rows(root: LakeLocation, measurement: Measurement = FAN, tier: Tier = Tier.RAW) -> list[dict[str, Any]]:
    """Every row that live files hold, read by pyarrow, unmerged: a doubled row shows twice."""
    rows: list[dict[str, Any]] = []
    for path in live_paths(root, measurement, tier):
        rows += pq.ParquetFile(readable(path), page_checksum_verification=True).read().to_pylist()
    return rows


def live_paths(root: Place, measurement: Measurement = FAN, tier: Tier = Tier.RAW) -> list[Place]:
    folder = table_folder(root, measurement, tier)
    uris = sorted(open_table(folder).file_uris())
    return [cast("Place", Path(uri) if isinstance(folder, Path) else folder / uri[len(f"{folder}/") :]) for uri in uris]


def log_of(root: Path, measurement: Measurement = FAN, tier: Tier = Tier.RAW) -> Path:
    return table_folder(root, measurement, tier) / "_delta_log"


def versions(root: LakeLocation, measurement: Measurement = FAN, tier: Tier = Tier.RAW) -> int:
    return open_table(table_folder(root, measurement, tier)).version()
