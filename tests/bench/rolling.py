"""Roll-up of an hour of 1,000 miners, on InfluxDB against its own SELECT INTO, and of days on the embedded store."""

from __future__ import annotations

import gc
import os
import resource
import tempfile
from pathlib import Path

from storage.declaration import BUCKETS, MEASUREMENTS, Measurement, Tier, Type
from storage.declaration.rollup import rollup_columns
from storage.downsample.run import GRACE_S, roll_up
from storage.influx.provision import provision
from storage.influx.settings import InfluxSettings
from storage.influx.sink import InfluxSink
from storage.influx.store import InfluxStore
from storage.lake.sink import LakeSink
from storage.lake.store import EmbeddedStore
from storage.sink import Sink
from storage.spool.record import Batch, SpoolRecord
from tests.bench.figure import Cost, Figure, cost
from tests.bench.fleet import ticks
from tests.bench.rolling_days import day_figures
from tests.influx.server import InfluxServer

START = 1795478400
MINERS = int(os.environ.get("LODELINE_BENCH_ROLLUP_MINERS", "1000"))
HOURS = int(os.environ.get("LODELINE_BENCH_ROLLUP_HOURS", "1"))
MEASURED = ("miner_telemetry", "miner_board", "miner_fan", "miner_pool")
_IN_INFLUXQL = ("mean", "min", "max", "sum", "count", "last")


def figures() -> list[Figure]:
    """Wall seconds of both, and of the same roll-up on the embedded store; then days of fleets of several sizes."""
    days = day_figures()  # first: a process begins with the peak memory of the one that started it
    with tempfile.TemporaryDirectory() as folder:
        server = InfluxServer(Path(folder) / "influxd").start()
        try:
            settings = InfluxSettings(url=server.url, timeout_s=120)
            provision(settings, dict.fromkeys(BUCKETS, 36500))
            points = _fill(InfluxSink(settings, "bench"))
            into = _into(server)
            store = InfluxStore(settings)
            ours = _rolled(store)
            store.close()
        finally:
            server.stop()
        lake = Path(folder) / "lake"
        _fill(LakeSink(lake, "bench"))
        embedded = _rolled(EmbeddedStore(lake))
    size = f"{points} points, {HOURS} h of {MINERS} miners"
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return [
        Figure(
            name="rollup_influx",
            ratio=round(ours.wall_s / into.wall_s, 3),
            target="at most 0.6",
            ok=ours.wall_s / into.wall_s <= 0.6,
            note=f"{ours.wall_s:.1f} s against {into.wall_s:.1f} s of SELECT INTO without resets and states; {size}",
        ),
        Figure(
            name="rollup_embedded",
            ratio=round(embedded.wall_s / ours.wall_s, 3),
            target="at most 0.2",
            ok=embedded.wall_s / ours.wall_s <= 0.2,
            note=f"{embedded.wall_s:.2f} s against {ours.wall_s:.1f} s on InfluxDB; peak of this process {peak:.0f} MB",
        ),
        *days,
    ]


def _fill(sink: Sink) -> int:
    points = 0
    for number, (slot, frames) in enumerate(ticks(MINERS, START, 60 * HOURS), 1):
        record = SpoolRecord("bench", number, points, Batch(f"bench/{slot}", slot, "bench", frames))
        points += sink.deliver([record]).stored
    return points


def _rolled(store: InfluxStore | EmbeddedStore) -> Cost:
    gc.collect()
    with cost() as spent:
        report = roll_up(store, START + 3600 * HOURS + GRACE_S, measurements=MEASURED)
    assert set(report.hours.values()) == {HOURS}, report
    return spent


def _into(server: InfluxServer) -> Cost:
    with cost() as spent:
        for name in MEASURED:
            answer = server.query(_statement(MEASUREMENTS[name]), "mining_raw")
            assert "error" not in answer["results"][0], answer
    for name in MEASURED:
        server.query(f'DROP MEASUREMENT "{name}_hourly"', "mining_hourly")
    return spent


def _statement(measurement: Measurement) -> str:
    """What InfluxQL can say of our hourly columns: not the reset-aware growth of counters, and no counts of a state."""
    chosen = [
        f'{column.aggregate}("{column.field.name}") AS "{column.name}"'
        for column in rollup_columns(measurement)
        if column.aggregate in _IN_INFLUXQL
        and (column.field.type in (Type.FLOAT, Type.INTEGER) or column.aggregate in ("count", "last"))
    ]
    return (
        f'SELECT {", ".join(chosen)} INTO "mining_hourly".."{measurement.stored_name(Tier.HOURLY)}" '
        f'FROM "{measurement.name}" WHERE time >= {START}s AND time < {START + 3600 * HOURS}s '
        "GROUP BY time(1h), * fill(none)"
    )
