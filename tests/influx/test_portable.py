"""Cases of a roll-up over the InfluxQL that all servers share, on the real one. README.md lists the others' tests."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import httpx
import pyarrow as pa
import pytest

from storage.declaration import MEASUREMENTS, Kind, Tier, Type
from storage.declaration.rollup import rollup_columns
from storage.downsample.run import GRACE_S, roll_up
from storage.erasure.entity import Entity
from storage.erasure.influx import erase_from_influx
from storage.errors import FrameError, StoreError
from storage.frame import build_frame
from storage.influx.reading import read_table
from storage.influx.settings import InfluxSettings
from storage.influx.store import InfluxStore
from storage.store import Store
from tests.downsample.test_run import deliver
from tests.influx.server import InfluxServer

pytestmark = pytest.mark.influx

T = 1795478400  # 2026-11-24T00:00Z
HOUR, DAY = 3600, 86400
BOARD, TELEMETRY = MEASUREMENTS["miner_board"], MEASUREMENTS["miner_telemetry"]


@pytest.fixture
def store(influx: InfluxSettings) -> Iterator[InfluxStore]:
    one = InfluxStore(influx)
    yield one
    one.close()


def put(store: Store, rows: Iterable[tuple[int, float | int]], field: str = "hashrate_hs") -> None:
    """Rows of one board, delivered."""
    times, values = zip(*rows, strict=True)
    deliver(store, build_frame("miner_board", list(times), {"miner_id": ["a"] * len(times), field: list(values)}))


def rolled(store: Store, column: str, *, hours: int = 4, tier: Tier = Tier.HOURLY) -> dict[int, Any]:
    """Rolled up: value of ``column`` by seconds after T."""
    roll_up(store, T + hours * HOUR + GRACE_S, measurements=["miner_board"])
    rows = store.read(BOARD, tier, T, T + 7 * DAY, columns=[column]).to_pylist()
    return {int(row["time"].timestamp()) - T: row[column] for row in rows}


def test_an_empty_hour_has_no_row(store) -> None:
    put(store, [(T, 1.0), (T + 10_800, 10.0)])
    assert rolled(store, "hashrate_hs_count") == {0: 1, 10_800: 1}


def test_the_last_nanosecond_of_an_hour_is_in_it(store, influx_server: InfluxServer) -> None:
    put(store, [(T, 1.0), (T + HOUR, 3.0)])
    line = f"miner_board,miner_id=a hashrate_hs=2 {(T + HOUR) * 10**9 - 1}"
    written = httpx.post(f"{influx_server.url}/write", params={"db": "mining_raw", "precision": "ns"}, content=line)
    assert written.status_code == 204
    assert rolled(store, "hashrate_hs_count") == {0: 2, HOUR: 1}
    assert rolled(store, "hashrate_hs_sum") == {0: 3.0, HOUR: 3.0}


def test_a_day_of_unequal_hours_is_no_mean_of_means(store) -> None:
    put(store, [*((T + 60 * minute, 1.0) for minute in range(60)), (T + HOUR, 61.0)])
    assert rolled(store, "hashrate_hs_mean", hours=24, tier=Tier.DAILY) == {0: pytest.approx(121 / 61, rel=1e-15)}


def test_a_reboot_loses_nothing_counted_after_it(store) -> None:
    hours = [[100, 110, 125, 3, 10, 20], [30, 0, 5], [50]]
    put(
        store,
        [(T + HOUR * hour + 600 * at, value) for hour, values in enumerate(hours) for at, value in enumerate(values)],
        "hardware_errors",
    )
    assert rolled(store, "hardware_errors_inc") == {0: 45, HOUR: 15, 2 * HOUR: 45}


def without_the_end(blocks: Iterable[bytes], keep: Callable[[bytes], bytes]) -> Iterator[bytes]:
    yield keep(b"".join(blocks))


@pytest.mark.parametrize("keep", [lambda body: body[: body.rindex(b"\n", 0, -1) + 1], lambda body: body[:-9]])
def test_a_stream_that_is_cut_leaves_no_hour_and_no_watermark(store, monkeypatch, keep) -> None:
    times = [(T + 60 * minute, 1.0) for minute in range(60)]
    for miner in ("a", "b", "c"):  # each series is an object of the stream
        frame = build_frame("miner_board", [time for time, _ in times], {"miner_id": [miner] * 60, "power_w": [7] * 60})
        deliver(store, frame)

    def cut(blocks: Iterable[bytes], tags: Any, columns: Any) -> pa.Table:
        is_raw = "power_w" in [column.name for column in columns]
        return read_table(without_the_end(blocks, keep) if is_raw else blocks, tags, columns)

    with monkeypatch.context() as patched:
        patched.setattr("storage.influx.store.read_table", cut)
        with pytest.raises(StoreError):
            rolled(store, "power_w_sum")
    assert store.read(BOARD, Tier.HOURLY, T, T + DAY).num_rows == 0
    marks = store.read(MEASUREMENTS["window_rolled"], Tier.RAW, T, T + DAY, where={"tier": "hourly"})
    assert marks.num_rows == 0
    assert rolled(store, "power_w_sum") == {0: 420.0}  # of the last series; the others are as whole
    assert store.read(BOARD, Tier.HOURLY, T, T + DAY).num_rows == 3


def test_a_type_that_drifts_is_coerced_or_refused_by_us_since_the_server_takes_it(store, influx_server) -> None:
    put(store, [(T, 1.5), (T + DAY, 1)])
    raw = store.read(BOARD, Tier.RAW, T, T + 2 * DAY, columns=["hashrate_hs"])
    assert raw["hashrate_hs"].to_pylist() == [1.5, 1.0]
    assert raw.schema.field("hashrate_hs").type == pa.float64()
    with pytest.raises(FrameError, match="hashrate_hs"):
        build_frame("miner_board", [T + 2 * DAY], {"miner_id": ["a"], "hashrate_hs": ["s"]})
    for day, value in ((14, "1i"), (28, '"s"')):  # each in a shard of its own
        assert influx_server.write(
            "mining_raw", f"miner_board,miner_id=a hashrate_hs={value} {T + day * DAY}"
        ).is_success
    with pytest.raises(StoreError, match=r"another type than declared.*hashrate_hs"):
        store.read(BOARD, Tier.RAW, T + 28 * DAY, T + 29 * DAY)


def test_erasing_one_miner_leaves_the_tiers_of_others_and_a_delete_reaches_one_tier(
    store, influx, influx_server
) -> None:
    for miner in ("a", "b"):
        frame = build_frame("miner_telemetry", [T], {"miner_id": [miner], "reachable": [True], "power_w": [3000]})
        deliver(store, frame)
    roll_up(store, T + HOUR + GRACE_S, measurements=["miner_telemetry"])
    before = store.read(TELEMETRY, Tier.HOURLY, T, T + HOUR, where={"miner_id": "a"})
    assert before.num_rows == 1
    influx_server.query("DELETE FROM \"miner_telemetry\" WHERE miner_id = 'a'", "mining_raw")
    assert store.read(TELEMETRY, Tier.RAW, T, T + HOUR)["miner_id"].to_pylist() == ["b"]
    assert store.read(TELEMETRY, Tier.HOURLY, T, T + HOUR, where={"miner_id": "a"}).equals(before)
    erase_from_influx(influx, Entity({"miner_id": "b"}), "h")
    assert store.read(TELEMETRY, Tier.RAW, T, T + HOUR).num_rows == 0
    assert store.read(TELEMETRY, Tier.HOURLY, T, T + HOUR).equals(before)


_ORACLE = ("mean", "min", "max", "count", "last")


@pytest.mark.parametrize("seed", range(3))
def test_hours_are_what_the_server_itself_says(store, influx_server, seed: int) -> None:
    chance = random.Random(seed)
    rows = [
        (time, miner, chance.uniform(1e13, 2e14) if chance.random() < 0.8 else None, chance.randrange(2000, 3500))
        for miner in "abc"
        for time in range(T, T + 6 * HOUR, 60)
        if chance.random() < 0.7 and not (miner == "b" and T + HOUR <= time < T + 3 * HOUR)
    ]
    times, miners, rates, powers = (list(column) for column in zip(*rows, strict=True))
    columns = {"miner_id": miners, "hashrate_hs": rates, "power_w": powers}
    deliver(
        store, build_frame("miner_board", times, {**columns, "status": [chance.choice(BOARD_STATES) for _ in rows]})
    )
    roll_up(store, T + 6 * HOUR + GRACE_S, measurements=["miner_board"])
    chosen = [
        column
        for column in rollup_columns(BOARD)
        if column.field.name in {*columns, "status"}
        and column.aggregate in _ORACLE
        and (column.field.kind is Kind.GAUGE or column.aggregate in ("count", "last"))
    ]
    assert len(chosen) == 12
    asked = ", ".join(f'{column.aggregate}("{column.field.name}") AS "{column.name}"' for column in chosen)
    answer = influx_server.rows(
        f"SELECT {asked} FROM miner_board WHERE time >= {T}s AND time < {T + 6 * HOUR}s "
        "GROUP BY time(1h), * fill(none)",
        "mining_raw",
    )
    wanted = {(row["miner_id"], row["time"]): row for row in answer}
    hours = store.read(BOARD, Tier.HOURLY, T, T + 6 * HOUR).to_pylist()
    assert len(hours) == len(wanted) == 16
    for hour in hours:
        row = wanted[hour["miner_id"], int(hour["time"].timestamp())]
        for column in chosen:
            if column.aggregate == "mean":
                assert hour[column.name] == pytest.approx(row[column.name], rel=1e-12)
            else:
                assert hour[column.name] == row[column.name], column.name
            assert column.type is not Type.FLOAT or hour[column.name] is None or isinstance(hour[column.name], float)


BOARD_STATES = ("mining", "stopped", None)
