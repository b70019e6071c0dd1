"""The feature store on 1,000 miners of 30 days by the hour, a twentieth of it late, a fiftieth corrected.

The join against pandas' merge_asof, which goes by event time and so looks ahead; online against offline on 10,000
look-ups; how long one look-up takes.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
from pydantic import SecretStr

from deployments.farm.abacus.server import FakeAbacus
from storage.arrow_schema import FILE_TIME, integers
from storage.features.join import Line
from storage.features.offline import OfflineStore
from storage.features.online import OnlineStore
from storage.features.rows import feature_schema, newest_versions, with_entity
from storage.features.table import feature_table
from storage.features.views import VIEWS
from tasks.abacus.connection import Abacus
from tasks.abacus.sdk import Endpoints
from tasks.abacus.settings import IngestionSettings
from tests.bench.figure import Figure, cost, median_cost

MINERS, DAYS = 1_000, 30
HOUR, DAY = 3600, 86_400
START = 1_795_392_000
END = START + DAYS * DAY
VIEW = VIEWS["miner_hourly"]
LOOK_UPS = 10_000
CHECKED = 2_000

Numbers = npt.NDArray[np.int64]


def figures() -> list[Figure]:
    """All figures of the feature store."""
    with tempfile.TemporaryDirectory() as folder:
        rows = history(MINERS, DAYS)
        return [*_join(rows), *_stores(rows, Path(folder)), *_served(Path(folder) / "served.sqlite")]


def history(miners: int, days: int) -> tuple[Numbers, Numbers, Numbers]:
    """(miner, event, known) of every version of every hour."""
    dice = np.random.default_rng(8)
    hours = START + HOUR * np.arange(1, days * 24 + 1)
    miner, event = (grid.ravel() for grid in np.meshgrid(np.arange(miners), hours, indexing="ij"))
    late = np.where(dice.random(len(event)) < 0.05, dice.integers(HOUR, 2 * DAY, len(event)), 0)
    known = event + dice.integers(300, 1_200, len(event)) + late
    again = np.flatnonzero(dice.random(len(event)) < 0.02)
    known_again = known[again] + dice.integers(1, 2 * DAY, len(again))
    everything = np.append(known, known_again)
    whole = np.minimum(everything, hours[-1] + 1_200)  # nothing comes after the end, so that then all is settled
    return np.append(miner, miner[again]), np.append(event, event[again]), whole


def _join(rows: tuple[Numbers, Numbers, Numbers]) -> list[Figure]:
    miner, event, known = rows
    labels = np.arange(START + HOUR // 2, END, HOUR)
    whose, times = (grid.ravel() for grid in np.meshgrid(np.arange(MINERS), labels, indexing="ij"))
    ours: list[Numbers] = []

    def pointwise() -> None:
        ours[:] = [Line.of(miner, event, known).at(whose, times, VIEW.ttl_s)]

    right = pd.DataFrame({"miner": miner, "event": event, "row": np.arange(len(event))})
    left = pd.DataFrame({"miner": whose, "time": times})
    found: list[pd.DataFrame] = []

    def merge_asof() -> None:
        ahead = right.sort_values("event", kind="stable")
        asked = left.sort_values("time", kind="stable")
        found[:] = [
            pd.merge_asof(asked, ahead, left_on="time", right_on="event", by="miner", tolerance=VIEW.ttl_s).sort_index()
        ]

    own, theirs = median_cost(pointwise, 3), median_cost(merge_asof, 3)
    chosen = np.random.default_rng(1).choice(len(times), CHECKED, replace=False)
    wrong = sum(int(ours[0][at]) != _naive(rows, int(whose[at]), int(times[at])) for at in chosen)
    asof = pd.merge_asof(
        left.assign(at=np.arange(len(left))).sort_values("time", kind="stable"),
        right.sort_values("event", kind="stable"),
        left_on="time", right_on="event", by="miner", tolerance=VIEW.ttl_s,
    ).sort_values("at")  # fmt: skip
    ahead = known[asof["row"].fillna(0).astype(np.int64).to_numpy()] > times
    return [
        Figure(
            name="features_point_in_time_join",
            ratio=round(own.cpu_s / theirs.cpu_s, 3),
            target="<= 2 of pandas merge_asof, which knows no known time",
            ok=own.cpu_s <= 2 * theirs.cpu_s,
            note=f"{len(times):,} labels on {len(event):,} rows: {own.wall_s:.2f} s against {theirs.wall_s:.2f} s; of "
            f"merge_asof's answers {100 * float(np.mean(ahead & asof['row'].notna())):.0f} % were not known yet",
        ),
        Figure(
            name="features_join_against_every_row",
            value=wrong,
            unit="wrong",
            target=f"0 of {CHECKED} answers other than by looking at every row",
            ok=wrong == 0,
        ),
    ]


def _naive(rows: tuple[Numbers, Numbers, Numbers], whose: int, time_: int) -> int:
    miner, event, known = rows
    seen = np.flatnonzero((miner == whose) & (event <= time_) & (known <= time_))
    if not len(seen):
        return -1
    best = max(seen.tolist(), key=lambda row: (event[row], known[row], row))
    return -2 if time_ - int(event[best]) > VIEW.ttl_s else best


def _stores(rows: tuple[Numbers, Numbers, Numbers], folder: Path) -> list[Figure]:
    names, table = [f"miner_{number:04}" for number in range(MINERS)], published_rows(*rows)
    written = feature_table(folder, VIEW)
    for day in range(DAYS):
        times = np.asarray(rows[1])
        of_day = np.flatnonzero((times > START + day * DAY) & (times <= START + (day + 1) * DAY))
        written.append([(0, table.take(integers(of_day)))])
    offline = OfflineStore(folder)
    labels = np.arange(START + HOUR // 2, END, HOUR)
    whose, times = (grid.ravel() for grid in np.meshgrid(np.arange(MINERS), labels, indexing="ij"))
    asked = pa.array(names).take(integers(whose))
    with cost() as spent:
        joined = offline.join(VIEW, asked, times, ["hashrate_hs", "power_w"])
    with OnlineStore(folder / "online.sqlite") as online:
        return [
            Figure(
                name="features_offline_join_from_disk",
                value=round(spent.wall_s, 1),
                unit="s",
                target="< 60 s",
                ok=spent.wall_s < 60 and joined.num_rows == len(times),
                note=f"{joined.num_rows:,} labels, two features; {spent.cpu_s:.1f} CPU seconds",
            ),
            *_look_ups(online, offline, table, names),
        ]


def _look_ups(online: OnlineStore, offline: OfflineStore, table: pa.Table, names: list[str]) -> list[Figure]:
    """Everything is settled 20 minutes after the end: asked is then and beyond the TTL."""
    newest = newest_versions(with_entity(VIEW, table))
    with cost() as filling:
        for first in range(0, newest.num_rows, 24 * MINERS):
            online.put(VIEW, newest.slice(first, 24 * MINERS))
    dice = np.random.default_rng(2)
    asked = [names[number] for number in dice.integers(0, MINERS, LOOK_UPS)]
    settled = int(np.asarray(table["known"]).max())
    times = settled + dice.integers(0, 2 * VIEW.ttl_s, LOOK_UPS)
    table_ = offline.join(VIEW, asked, times, VIEW.feature_names).to_pylist()
    told = [online.get(VIEW, entity, int(at)) for entity, at in zip(asked, times.tolist(), strict=True)]
    same = sum(
        one.values == {name: row[name] for name in VIEW.feature_names}
        and (one.event, one.known)
        == tuple(None if row[n] is None else int(row[n].timestamp()) for n in ("event", "known"))
        for one, row in zip(told, table_, strict=True)
    )
    fresh = [int(at) for at in END + dice.integers(0, HOUR, LOOK_UPS)]
    fast = _each(lambda number: online.get(VIEW, asked[number], settled + fresh[number] % HOUR), LOOK_UPS)
    slow = _each(lambda number: offline.get(VIEW, asked[number], fresh[number]), 50)
    return [
        Figure(
            name="features_online_and_offline_agree",
            value=same,
            unit="look-ups",
            target=f"= {LOOK_UPS}",
            ok=same == LOOK_UPS,
            note=f"{sum(row['reason'] is None for row in table_)} with values; {len(VIEW.features)} features each; "
            f"{newest.num_rows:,} rows put in {filling.wall_s:.1f} s",
        ),
        Figure(
            name="features_online_look_up_p99",
            value=round(float(np.percentile(fast, 99)), 1),
            unit="us",
            target="< 1000 us",
            ok=float(np.percentile(fast, 99)) < 1_000,
            note=_distribution(fast, "us"),
        ),
        Figure(
            name="features_offline_look_up_p50",
            value=round(float(np.percentile(slow, 50)) / 1_000, 1),
            unit="ms",
            target="< 1000 ms",
            ok=float(np.percentile(slow, 50)) < 1_000_000,
            note=_distribution([one / 1_000 for one in slow], "ms"),
        ),
    ]


SERVED = 50
"""Entities that the fake of Abacus.AI serves; few, for it reads all of them for every answer."""


def _served(file: Path) -> list[Figure]:
    """The same look-ups, asked of a group of the fake through the SDK over loopback, and of our own store."""
    names = [f"miner_{number:04}" for number in range(SERVED)]
    dice = np.random.default_rng(9)
    values = dice.normal(1e14, 1e12, SERVED)
    known = np.full(SERVED, END, dtype=np.int64)
    table = published_rows(np.arange(SERVED), known, known)
    table = table.set_column(table.schema.get_field_index("hashrate_hs"), "hashrate_hs", pa.array(values))
    asked = dice.integers(0, SERVED, LOOK_UPS)
    with FakeAbacus("key of the bench") as fake, OnlineStore(file) as online:
        online.put(VIEW, newest_versions(with_entity(VIEW, table)))
        shelf, rows = fake.backend.shelf, zip(names, values.tolist(), strict=True)
        shelf.put("featureGroup", "g", {
            "featureGroupId": "g", "tableName": "miner_telemetry", "featureGroupSourceType": "ONLINE",
            "primaryKey": "miner_id", "updateTimestampKey": None, "features": [],
        })  # fmt: skip
        shelf.put("online", "g", {"rows": [{"miner_id": name, "hashrate_th_s": value / 1e12} for name, value in rows]})
        shelf.put("deployment", "d", {"deploymentId": "d", "featureGroupId": "g"})
        shelf.put("deploymentToken", "t", {"deploymentToken": "t"})
        endpoints = Endpoints(fake.url, fake.url, fake.url)
        abacus = Abacus(SecretStr("key of the bench"), endpoints, IngestionSettings())
        told: list[float] = []

        def ask(number: int) -> None:
            query = {"miner_id": names[asked[number]]}
            (row,) = abacus.call("look-up", lambda sdk: sdk.lookup_features("t", "d", query, limit_results=1))
            told.append(row["hashrate_th_s"])

        took = _each(ask, LOOK_UPS)
        abacus.close()
        own: list[float] = []

        def look(number: int) -> None:
            value = online.get(VIEW, names[asked[number]], END + HOUR).values["hashrate_hs"]
            own.append(float(value or 0.0) / 1e12)

        here = _each(look, LOOK_UPS)
    same = sum(a == b for a, b in zip(told, own, strict=True))
    return [
        Figure(
            name="features_served_and_online_agree",
            value=same,
            unit="look-ups",
            target=f"= {LOOK_UPS}",
            ok=same == LOOK_UPS,
        ),
        Figure(
            name="features_served_look_up_p99",
            value=round(float(np.percentile(took, 99)) / 1_000, 2),
            unit="ms",
            target="< 50 ms through the SDK to the fake on this host, whose own work is in it",
            ok=float(np.percentile(took, 99)) < 50_000,
            note=f"{_distribution(took, 'us')}; of our own store {_distribution(here, 'us')}",
        ),
    ]


def published_rows(miner: Numbers, event: Numbers, known: Numbers) -> pa.Table:
    """Rows of the view with some features filled, values by chance."""
    dice = np.random.default_rng(5)
    schema = feature_schema(VIEW)
    columns = {name: pa.nulls(len(miner), schema.field(name).type) for name in schema.names}
    columns["time"] = integers(event * 1_000_000).cast(FILE_TIME)
    columns["miner_id"] = pa.array([f"miner_{number:04}" for number in range(MINERS)]).take(integers(miner))
    columns["known"] = integers(known)
    columns["backfilled"] = pa.array(np.zeros(len(miner), dtype=np.bool_))
    columns["model"] = pa.array(["S19", "S21", "L7"]).take(integers(miner % 3))
    for name in ("hashrate_hs", "power_w", "chip_temp_max_c", "efficiency_j_th"):
        columns[name] = pa.array(dice.normal(100, 3, len(miner)))
    columns["shares_accepted"] = integers(dice.integers(0, 10_000, len(miner)))
    return pa.table(columns, schema=schema)


def _each(act: Callable[[int], object], times: int) -> list[float]:
    """Microseconds of each."""
    took = []
    for number in range(times):
        started = time.perf_counter()
        act(number)
        took.append((time.perf_counter() - started) * 1e6)
    return took


def _distribution(took: list[float], unit: str) -> str:
    ends = [float(np.percentile(took, part)) for part in (50, 90, 99, 99.9, 100)]
    return "p50 {:.0f}, p90 {:.0f}, p99 {:.0f}, p99.9 {:.0f}, max {:.0f} ".format(*ends) + unit
