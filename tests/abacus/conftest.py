from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pydantic import SecretStr

from deployments.farm.abacus.server import FakeAbacus
from storage.arrow_schema import ARROW_TYPES, FILE_TIME
from storage.features.views import VIEWS
from tasks.abacus.connection import Abacus
from tasks.abacus.definition import Definition, definitions_of
from tasks.abacus.export import Export, ExportReport
from tasks.abacus.registration import Registry
from tasks.abacus.sdk import Endpoints
from tasks.abacus.settings import AbacusSettings
from tests.abacus.stepped import SteppedAbacus, SteppedFile

KEY = "abacus-key-of-the-test"
T0 = 1_760_000_400  # 2025-10-09T09:00:00Z

MINER = {
    "name": "miner_telemetry",
    "description": "Telemetry data from cryptocurrency miners",
    "entity_id_column": "miner_id",
    "timestamp_column": "timestamp",
    "features": [
        {"name": "hashrate_th_s", "type": "FLOAT", "description": "Mining hashrate in TH/s"},
        {"name": "power_consumption_w", "type": "FLOAT"},
        {"name": "accepted_shares", "type": "INTEGER"},
        {"name": "model", "type": "STRING"},
    ],
}


def settings(url: str = "http://127.0.0.1:9", groups: Any = (MINER,), **ingestion: Any) -> AbacusSettings:
    return AbacusSettings.model_validate(
        {
            "general": {"project_id": "mining", "api_key": KEY, "api_url": url},
            "data_ingestion": {"timeout_seconds": 60, **ingestion},
            "feature_groups": list(groups),
        }
    )


def endpoints_of(said: AbacusSettings) -> Endpoints:
    """What the fake tells where it is asked, which test_connection.py does."""
    return Endpoints(*[said.general.api_url] * 3)


def view_rows(count: int, *, known: int | list[int] = T0, start: int = T0, miners: int = 3) -> pa.Table:
    """Rows of view miner_hourly as storage/features/changes.py hands them over."""
    view = VIEWS["miner_hourly"]
    at = np.arange(count)
    times = pa.array((start + at // miners * 3600) * 1_000_000, pa.int64()).cast(FILE_TIME)
    columns: dict[str, Any] = {
        "time": times,
        "miner_id": pa.array([f"miner_{number:02d}" for number in (at % miners).tolist()]),
        "known": pa.array(np.full(count, known) if isinstance(known, int) else known, pa.int64()),
        "backfilled": pa.array([False] * count),
    }
    for feature in view.features:
        columns[feature.name] = pa.nulls(count, ARROW_TYPES[feature.type])
    columns["hashrate_hs"] = pa.array(1e14 + at * 1e9)
    columns["power_w"] = pa.array(3000.0 + at)
    columns["shares_accepted"] = pa.array(at * 10)
    columns["model"] = pa.array(["S19"] * count)
    return pa.table(columns)


class Host:
    """A process of ours that exports to the fake; it can be begun anew as often as it is killed."""

    def __init__(self, fake: FakeAbacus | str, root: Path, rows: pa.Table, **ingestion: Any) -> None:
        self.root, self.rows = root, rows
        self.settings = settings(fake if isinstance(fake, str) else fake.url, **ingestion)
        self.part_bytes = 2_000
        self.slept = 0.0
        self.step: Callable[[], None] = lambda: None
        self.file_format = "PARQUET"

    def source(self, after: int, until: int) -> pa.Table:
        known = self.rows["known"].to_numpy()
        return self.rows.filter(pa.array((known > after) & (known <= until)))

    def abacus(self) -> Abacus:
        endpoints = endpoints_of(self.settings)
        made = SteppedAbacus(SecretStr(KEY), endpoints, self.settings.data_ingestion, sleep=self._sleep)
        made.host = self
        return made

    def _sleep(self, seconds: float) -> None:
        self.slept += seconds

    def definition(self) -> Definition:
        (definition,) = definitions_of(self.settings.feature_groups)
        return definition

    def run(self, until: int = T0, first: int = T0 - 7 * 86400) -> ExportReport:
        abacus = self.abacus()
        try:
            registered, _ = Registry(abacus, "mining", "test").register(self.definition())
            file = SteppedFile(self.root, registered.table)
            file.host = self
            export = Export(
                abacus,
                self.definition(),
                registered,
                file,
                self.source,
                file_format=self.file_format,
                part_bytes=self.part_bytes,
                clock=lambda: float(T0),
            )
            return export.run(until, first)
        finally:
            abacus.close()


@pytest.fixture
def fake() -> Iterator[FakeAbacus]:
    with FakeAbacus(KEY, least_part_bytes=2_000) as fake:
        yield fake


def keys_of(fake: FakeAbacus, table: str = "miner_telemetry_batches") -> list[tuple[str, Any]]:
    """(record, known) of every row that the service holds, sorted: twice is seen as twice."""
    return sorted((row["record_id"], row["known_at"]) for row in fake.rows(table))
