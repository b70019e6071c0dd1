"""Status from files as a collector leaves them: running, standing still, failing, never started."""

import json
import os
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from deployments.command import app
from deployments.command.status import host_in_words, in_words
from storage.delivery.courier import Courier
from storage.delivery.delivery import Delivery
from storage.downsample import watermarks
from storage.errors import NeedsHuman
from storage.frame import build_frame
from storage.sink import Receipt
from storage.spool.lane import Lane
from storage.spool.record import Batch, SpoolRecord
from tasks.health.fleet import FleetHealth, keep
from tasks.health.status import read_status
from tasks.miners.report import MinerStanding, Tally, TickReport
from tasks.pools.prohashing.watch import LEFT
from tasks.sources.budget import Budget
from tasks.sources.source import Request
from tasks.sources.standing import RequestStanding, StandingsFile
from tests.delivery.sinks import MemorySink
from tests.health import test_exposition as exposed
from tests.health.test_sampling import state
from tests.spool.batches import batch

NOW = 1_800_000_000.0
SLOT = 1_799_999_940


def standing(number: int, failure: str | None, last_success: int | None) -> MinerStanding:
    return MinerStanding(
        miner_id=f"miner_{number:02}",
        last_polled=SLOT,
        last_success=last_success,
        failures_in_a_row=0 if failure is None else 3,
        failure=failure,
        driver="vnish-rest",
    )


def report(slot: int = SLOT, *, polled: int = 3, failed: int = 1, points: int = 30, **changed: object) -> TickReport:
    miners = (standing(1, None, slot), standing(2, None, slot - 60), standing(3, "connect_timeout", slot - 7200))
    tick = TickReport(
        lane="miners",
        host="edge-1",
        slot=slot,
        finished=slot + 1.5,
        polled=polled,
        failed=failed,
        failed_by_reason={"connect_timeout": failed},
        points=points,
        points_accepted=0,
        points_stored=0,
        points_dead_lettered=0,
        points_shed=0,
        backlog=0,
        tick_s=1.5,
        loop_lag_ms=2.0,
        store="embedded",
        miners=miners,
    )
    return msgspec.structs.replace(tick, **changed)


def leave(data: Path, *reports: TickReport) -> None:
    """Files under state/ as a collector writes them."""
    state = data / "state"
    state.mkdir(parents=True, exist_ok=True)
    (state / "miners.json").write_bytes(msgspec.json.encode(reports[-1]))
    lines = [msgspec.json.encode(msgspec.structs.replace(tick, miners=())) for tick in reports]
    (state / "miners.ticks.jsonl").write_bytes(b"\n".join(lines) + b"\n")


class Store:
    """A sink that takes everything, or nothing."""

    @property
    def name(self) -> str:
        return "lake"

    def __init__(self, trouble: str | None = None) -> None:
        self._trouble = trouble

    def deliver(self, records: Sequence[SpoolRecord]) -> Receipt:
        if self._trouble is not None:
            raise NeedsHuman(self._trouble, remedy="Set another token")
        return Receipt(stored=sum(record.batch.points for record in records))


def spooled(data: Path, points: int, sink: Store) -> None:
    frame = build_frame("miner_fan", list(range(points)), {"miner_id": ["m"] * points, "speed_rpm": [1] * points})
    lane = Lane.open(data / "spool", "miners", cap_bytes=2**24)
    lane.append(Batch("b1", SLOT, "run", [frame]))
    lane.close()
    Delivery(data / "spool", [sink], "edge-1").deliver_once()


def test_a_collector_that_runs_is_healthy(tmp_path: Path) -> None:
    leave(tmp_path, report(SLOT - 60), report())
    spooled(tmp_path, 30, Store())
    status = read_status(tmp_path, NOW)
    assert status.reasons == ()
    assert status.healthy
    (lane,) = status.lanes
    assert (lane.tick_age_s, lane.tick_every_s, lane.newest_data_age_s) == (60.0, 60, 60.0)
    assert [miner.miner_id for miner in lane.failing] == ["miner_03"]
    books = lane.sinks["lake"]
    assert (books.accepted, books.stored, books.backlog) == (30, 30, 0)


def test_a_lane_that_is_no_more_is_no_fault_once_all_of_it_is_stored(tmp_path: Path) -> None:
    leave(tmp_path, report(SLOT - 60), report())
    spooled(tmp_path, 30, Store())
    shutil.copytree(tmp_path / "spool" / "miners", tmp_path / "spool" / "pools")
    assert read_status(tmp_path, NOW).reasons == ()
    lane = Lane.open(tmp_path / "spool", "pools", cap_bytes=2**24)
    lane.append(Batch("b2", SLOT, "run", [build_frame("miner_fan", [0], {"miner_id": ["m"], "speed_rpm": [1]})]))
    lane.close()
    (reason,) = read_status(tmp_path, NOW).reasons
    assert reason.startswith("lane pools has a spool, but no tick in ")


@pytest.mark.parametrize(
    ("reports", "now", "reason"),
    [
        ([report(SLOT - 60), report()], NOW + 3600, "stands still: its last tick was 3660 s ago, one is due every 60"),
        ([report(SLOT - 900), report()], NOW + 1200, None),
        ([report()], NOW + 600, None),
        ([report()], NOW + 1200, "one is due every 300 s"),
        (
            [report(miners=(standing(1, "refused", SLOT), standing(2, "deadline", None)))],
            NOW,
            "none of its 2 miners answers",
        ),
        ([report(polled=1, failed=1)], NOW, None),  # a probe of the one miner that is dead
        ([report(SLOT - 900), report(SLOT - 60, next_slot=SLOT)], NOW + 600, "one is due every 60 s"),
        ([report(SLOT - 60), report(next_slot=SLOT + 900)], NOW + 1200, None),  # all are left alone so long
        ([report(polled=0, failed=0)], NOW, None),
    ],
)
def test_what_makes_a_lane_unhealthy(tmp_path: Path, reports: list[TickReport], now: float, reason: str | None) -> None:
    leave(tmp_path, *reports)
    status = read_status(tmp_path, now)
    assert status.healthy is (reason is None)
    assert [str(reason) in told for told in status.reasons] == [True] * (reason is not None)


@pytest.mark.parametrize(
    ("counts", "why"),
    [
        ((0, 100, 5), "the disk of {data} is full: 0 bytes free"),
        ((255, 100, 5), "the disk of {data} is full: 1,044,480 bytes free"),  # 255 blocks of 4,096
        ((256, 100, 5), None),
        ((1_000, 100, 0), "the disk of {data} is full: no inode is left"),
        ((1_000, 0, 0), None),  # a file system without a count of inodes
    ],
)
def test_a_full_disk_is_why_nothing_is_collected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, counts: tuple[int, int, int], why: str | None
) -> None:
    leave(tmp_path, report(SLOT - 60), report())
    bavail, files, favail = counts
    found = os.statvfs_result((4_096, 4_096, 1_000_000, bavail, bavail, files, favail, favail, 0, 255))
    monkeypatch.setattr("tasks.health.room.os.statvfs", lambda _folder: found)
    status = read_status(tmp_path, NOW)
    assert status.no_room == (None if why is None else why.format(data=tmp_path))
    assert status.healthy is (why is None)
    assert [reason.startswith(str(status.no_room)) for reason in status.reasons] == [True] * (why is not None)


def test_ticks_of_a_large_fleet_are_found_at_the_end_of_the_file(tmp_path: Path) -> None:
    long = {f"reason_{number}": 1 for number in range(20_000)}
    leave(tmp_path, report(SLOT - 120), report(SLOT - 60, failed_by_reason=long), report(failed_by_reason=long))
    assert read_status(tmp_path, NOW).lanes[0].tick_every_s == 60


def test_a_line_torn_by_a_crash_does_not_matter(tmp_path: Path) -> None:
    leave(tmp_path, report(SLOT - 60), report())
    with (tmp_path / "state" / "miners.ticks.jsonl").open("a") as ticks:
        ticks.write('{"lane":"miners","host"')
    assert read_status(tmp_path, NOW).lanes[0].tick_every_s == 60


def test_a_store_that_refuses_is_told_in_its_own_words(tmp_path: Path) -> None:
    leave(tmp_path, report())
    spooled(tmp_path, 30, Store("InfluxDB refuses the token"))
    status = read_status(tmp_path, NOW)
    (reason,) = status.reasons
    assert "30 points wait for lake" in reason
    assert "InfluxDB refuses the token" in reason


def test_nothing_collected_yet(tmp_path: Path) -> None:
    status = read_status(tmp_path / "none", NOW)
    assert not status.healthy
    assert "nothing has been collected yet" in status.reasons[0]


def test_a_state_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    leave(tmp_path, report())
    (tmp_path / "state" / "pools.json").write_text("{")
    status = read_status(tmp_path, NOW)
    assert len(status.lanes) == 1
    assert "pools.json cannot be read" in status.reasons[0]


def test_what_other_rooms_keep_there_is_no_lane(tmp_path: Path) -> None:
    """Configuration in force, budgets of sources, history of the disk; and an audit trail has a lane without ticks."""
    leave(tmp_path, report(failed=0))
    for name in ("configuration.json", "coinpaprika.pace.json", "disk.json"):
        (tmp_path / "state" / name).write_text('{"general": {"log_level": "INFO"}}')
    (tmp_path / "state" / "pools.sources.json").write_text("[]")
    with Lane.open(tmp_path / "spool", "audit-edge-1", cap_bytes=10**6) as lane:
        lane.append(Batch("audit/1", SLOT, "run", [build_frame("miner_telemetry", [SLOT], {"power_w": [1]})]))
    status = read_status(tmp_path, NOW)
    assert [lane.lane for lane in status.lanes] == ["miners"]
    assert not [reason for reason in status.reasons if "audit-" in reason or "cannot be read" in reason]


def test_credits_are_shown_with_what_is_to_be_expected(tmp_path: Path) -> None:
    """On January 11th at noon a third of the month is over: 20.5 days are left. At 300 s a day has 288 requests, so
    1,000 + 288 x 20.5 = 6,904 of 6,000 credits are expected; of the other account ten an hour are."""
    noon = 1_799_668_800.0  # 2027-01-11 12:00 UTC
    state = tmp_path / "state"
    now = [noon]
    leave(tmp_path, report(int(noon)))
    (state / "market.json").write_bytes(msgspec.json.encode(report(int(noon), lane="market", miners=())))
    asked = [
        RequestStanding(source="gecko", request="simple_price", every_s=300, success_slot=int(noon)),
        RequestStanding(source="cap", request="historical.bitcoin", every_s=3_600, cost=10.0, success_slot=int(noon)),
        RequestStanding(source="free", request="networks", every_s=300, success_slot=int(noon)),
    ]
    StandingsFile(state, "market").write(asked)
    for source, credits, costs in (("gecko", 6_000, {"simple_price": 1_000}), ("cap", 100_000, {"historical.a": 7})):
        budget = Budget(state, source, credits, clock=lambda: now[0])
        for name, cost in costs.items():
            budget.reserve(Request(name, 300, cost=float(cost)))
    status = read_status(tmp_path, noon)
    (lane,) = (lane for lane in status.lanes if lane.lane == "market")
    assert lane.credits.keys() == {"gecko", "cap"}
    assert (lane.credits["gecko"].used, lane.credits["gecko"].forecast) == (1_000, 6_904)
    assert lane.credits["cap"].forecast == 7 + 10 * 24 * 20.5
    words = "\n".join(in_words(status))
    assert (
        "gecko: 1,000 of 6,000 used this month (simple_price 1,000), 6,904 by its end at these intervals: what" in words
    )
    assert "cap: 7 of 100,000 used this month (historical 7), 4,927 by its end at these intervals\n" in words
    february = read_status(tmp_path, noon + 21 * 86_400)
    assert [lane.credits["gecko"].used for lane in february.lanes if lane.lane == "market"] == [0.0]


def test_what_is_not_asked_is_named_with_what_brings_it_or_why(tmp_path: Path) -> None:
    leave(tmp_path, report(SLOT))
    (tmp_path / "state" / "pools.json").write_bytes(msgspec.json.encode(report(SLOT, lane="pools", miners=())))
    (tmp_path / "state" / "pools.pauses.json").write_text('{"pauses": {"prohashing": "paused by hand until then"}}')
    asked = [
        RequestStanding(source="prohashing", request="workers", every_s=600, success_slot=SLOT, covered_by="wamp"),
        RequestStanding(source="prohashing_wamp", request="connection", every_s=300, covered_by=LEFT),
    ]
    StandingsFile(tmp_path / "state", "pools").write(asked)
    words = in_words(read_status(tmp_path, NOW))
    assert "  prohashing workers: brought by wamp" in words
    assert "  prohashing_wamp connection: not asked while its pool is paused" in words


def test_the_command_speaks_to_people_and_to_scripts(tmp_path: Path) -> None:
    now = int(time.time())
    leave(tmp_path, report(now - 60), report(now))
    spooled(tmp_path, 30, Store())
    runner = CliRunner(env={"LODELINE_DATA_DIRECTORY": str(tmp_path), "LODELINE_CONFIG": None})
    people = runner.invoke(app, ["status"])
    assert people.exit_code == 0
    assert "Healthy." in people.stdout
    assert "3 asked, 1 failed (connect_timeout 1)" in people.stdout
    assert "30 points accepted, 30 stored, 0 waiting" in people.stdout
    assert "miner_03: connect_timeout, silent since" in people.stdout
    script = json.loads(runner.invoke(app, ["status", "--json"]).stdout)
    assert script["healthy"] is True
    assert script["lanes"][0]["sinks"]["lake"]["stored"] == 30
    assert script["lanes"][0]["failing"][0]["miner_id"] == "miner_03"


def test_files_of_another_user_are_told_from_no_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    leave(tmp_path, report())
    monkeypatch.setattr("os.access", lambda path, mode: False)  # root, who runs CI, may read everything
    result = CliRunner(env={"LODELINE_DATA_DIRECTORY": str(tmp_path), "LODELINE_CONFIG": None}).invoke(app, ["status"])
    assert result.exit_code == 2
    assert "Run this as the user that collects" in result.stderr


def test_exit_codes(tmp_path: Path) -> None:
    runner = CliRunner(env={"LODELINE_DATA_DIRECTORY": str(tmp_path), "LODELINE_CONFIG": None})
    unhealthy = runner.invoke(app, ["status"])
    assert unhealthy.exit_code == 1
    assert "nothing has been collected yet" in unhealthy.stdout
    assert runner.invoke(app, ["status", "--config", str(tmp_path / "none")]).exit_code == 2


def test_how_far_it_is_rolled_up_is_told_and_no_lane_is_seen_in_it(tmp_path: Path) -> None:
    leave(tmp_path, report(SLOT - 60), report())
    assert "Rolled up" not in in_words(read_status(tmp_path, NOW))
    watermarks.keep(tmp_path / "state", {"miner_fan": SLOT - 7200, "miner_pool": SLOT}, SLOT)
    watermarks.keep(tmp_path / "state", {"miner_fan": SLOT, "market_data": SLOT - 3600}, SLOT + 60)
    status = read_status(tmp_path, NOW)
    assert (status.healthy, len(status.lanes)) == (True, 1)
    assert {name: mark.complete_until - SLOT for name, mark in status.rolled_up.items()} == {
        "miner_fan": 0, "miner_pool": 0, "market_data": -3600,
    }  # fmt: skip
    lines = in_words(status)
    assert [line.partition(": ")[2] for line in lines[lines.index("Rolled up") + 1 :]] == [
        "market_data", "miner_pool", "miner_fan",
    ]  # fmt: skip
    (tmp_path / "state" / watermarks.FILE).write_text("torn")
    assert watermarks.kept(tmp_path / "state") == {}


def test_answers_delivery_fleet_and_host_in_words(tmp_path: Path) -> None:
    tally = Tally().plus(missed=0, asked=4, failed={"deadline": 1}, answers_s=[0.2, 0.2, 3.0])
    exposed.keep(tmp_path, exposed.report(tally=tally))
    with Lane.open(tmp_path / "spool", "miners", cap_bytes=10**7) as lane:
        lane.append(batch("a", ["p1"], exposed.T))
    sink = MemorySink("lake")
    courier = Courier(
        tmp_path / "spool" / "miners", sink, ["lake"], holder="t", random=lambda: 0.5, now=lambda: exposed.T + 4.0
    )
    courier.attempt()
    courier.close()
    keep(
        tmp_path / "state",
        FleetHealth(
            time=exposed.T, miners=3, miners_known=2, miners_answering=1, delivered_ratio=0.8, credited_ratio=0.95,
            profit_day_usd=70.0, profit_mean_usd=105.0,
        ),
    )  # fmt: skip
    words = "\n".join(in_words(read_status(tmp_path, exposed.T + 5.0)))
    assert "75.0% answered, half within 0.21 s, 95 of 100 within 4.62 s" in words
    assert "95 of 100 points stored within 4.9 s of their reading" in words
    assert (
        "2 of 3 miners known; 80.0% of the hashrate delivered; 95.0% of what was predicted credited; "
        "profit of the last day 70.00 USD (mean of the days before 105.00)"
    ) in words


def test_the_host_in_words() -> None:
    told = state(memory_total=2**32, memory_available=2**30, temperature_c=81.4, throttled=True, under_voltage=True)
    assert host_in_words(told) == (
        "Host: load 0.5 on 4 cores, 1,024 of 4,096 MiB memory free, 0.1 of 1.0 GB disk free, 81 °C, slowed down, "
        "too little voltage"
    )
    bare = state(memory_total=None, memory_available=None, temperature_c=None, throttled=None)
    assert host_in_words(bare) == "Host: load 0.5 on 4 cores, 0.1 of 1.0 GB disk free"
