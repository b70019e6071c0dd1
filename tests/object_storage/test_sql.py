"""SQL and the warehouse over a lake on an object store answer as over a lake on a disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from storage.downsample.run import GRACE_S
from storage.errors import NeedsHuman
from storage.lake.location import LakeLocation
from storage.lake.object_store import ObjectLocation
from storage.lake.store import EmbeddedStore
from storage.warehouse.build import build
from storage.warehouse.sql import answer
from tests.downsample.memory_store import MemoryStore
from tests.lake.rows import NOON, fan_frame
from tests.warehouse.seed import DAY, TOLD, T, built, deliver, farm, frame_of

NOW = T + DAY + GRACE_S
STATEMENTS = (
    "SELECT miner_id, count(*) AS hours, sum(power_sum_w) AS w FROM fact_telemetry_hourly GROUP BY ALL ORDER BY ALL",
    "SELECT m.model, min(t.utc_date) AS day, count(*) AS rows FROM fact_telemetry_hourly "
    "JOIN dim_miner AS m USING (miner_key) JOIN dim_time AS t USING (time_key) GROUP BY ALL ORDER BY ALL",
    "SELECT time, miner_id, speed_rpm FROM miner_fan ORDER BY ALL",
    "SELECT * FROM fact_event JOIN miner_board USING (miner_id)",
)


def test_the_same_statements_have_the_same_answers(root: ObjectLocation, tmp_path: Path) -> None:
    source = MemoryStore()
    first_day = [frame_of(name, [row for row in rows if row["time"] < T + DAY]) for name, rows in farm().of.items()]
    deliver(source, [frame for frame in first_day if frame.measurement in ("miner_telemetry", "miner_configuration")])
    answers = []
    places: tuple[LakeLocation, ...] = (tmp_path, root)
    for place in places:
        built(source, place, NOW)
        assert build(source, place, NOW, TOLD).rows == 0, "what is built is not built again"
        store = EmbeddedStore(place)
        for rpm in (1, 2):  # two files that share a key
            store.write([fan_frame([(NOON, "m1", rpm), (NOON + rpm, "m2", rpm)])])
        store.close()
        answers.append([answer(place, statement, timeout_s=60) for statement in STATEMENTS])
    assert answers[0] == answers[1]
    assert [rows.num_rows for rows in answers[1]] == [6, 3, 3, 0]


def test_nothing_but_the_files_of_the_tables_can_be_read(root: ObjectLocation, tmp_path: Path) -> None:
    store = EmbeddedStore(root)
    store.write([fan_frame([(NOON, "m1", 1)])])
    store.close()
    other = root / "other.parquet"
    for target in (f"lake://{other.address}", f"s3://{other.address}", str(tmp_path / "x.parquet")):
        with pytest.raises(NeedsHuman, match=r"(?i)permission|disabled"):
            answer(root, f"SELECT * FROM miner_fan, read_parquet('{target}')", timeout_s=60)
