"""What was stored comes out of the kept answers again; a changed parser shows, and puts right what is stored."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from deployments.farm import ALL_VARIANTS, Fault
from storage.declaration import MEASUREMENTS, Tier
from storage.declaration.payload import RAW_PAYLOAD
from storage.downsample.run import roll_up
from storage.lake.store import EmbeddedStore
from storage.spool.lane import Lane, LaneReader
from storage.spool.record import Batch
from tasks.miners.fleet import Fleet
from tasks.miners.settings import MinerSettings
from tasks.normalize import hashrate
from tasks.replay.replay import LANE, Replayed, replay
from tests.miners.library_payloads import board, library_reading, rate
from tests.miners.test_asic_rs import SILENT
from tests.progress.heard import heard
from tests.replay.collected import IMPATIENT, SETTINGS, START, STEP_S, collect, deliver, keep

STOP = START + 3600
TELEMETRY = MEASUREMENTS["miner_telemetry"]


@pytest.fixture
async def data(tmp_path: Path) -> Path:
    await collect(tmp_path)
    return tmp_path


def opened(data: Path) -> EmbeddedStore:
    return EmbeddedStore(data / "lake")


async def replayed(data: Path, *, correct: bool = False, **more: Any) -> Replayed:
    store = opened(data)
    try:
        if not correct:
            return await replay(store, store, START, STOP, **more)
        with Lane.open(data / "spool", LANE, cap_bytes=2**26) as lane:
            found = await replay(store, store, START, STOP, correct=lane.append, **more)
    finally:
        store.close()
    deliver(data)
    return found


def stored(data: Path, name: str = "miner_telemetry", tier: Tier = Tier.RAW) -> list[dict[str, Any]]:
    store = opened(data)
    try:
        return list(store.read(MEASUREMENTS[name], tier, START, STOP).to_pylist())
    finally:
        store.close()


KINDS: tuple[Any, ...] = (
    Fault(kind="board_lost", board=1), Fault(kind="fan_lost", fan=2), Fault(kind="paused"), Fault(kind="overheating"),
    Fault(kind="unit_switched"), Fault(kind="wrong_password"), Fault(kind="dead"), Fault(kind="hanging"),
    Fault(kind="slow_drip"), Fault(kind="http_500"), Fault(kind="html"), Fault(kind="truncated_json"),
    Fault(kind="reboot", boot_s=20),
)  # fmt: skip


async def test_every_dialect_with_every_fault_reads_the_same_again(tmp_path: Path) -> None:
    """Faults go round over the miners, so that every variant has several of them, each between two sound polls."""
    names = [f"miner_{number:04}" for number in range(1, len(ALL_VARIANTS) + 1)]
    faults = {
        tick: {
            name: msgspec.structs.replace(KINDS[(tick * 5 + at) % len(KINDS)], start=START + STEP_S * tick - 1)
            for at, name in enumerate(names)
        }
        for tick in range(1, 11, 2)
    }
    outcomes = await collect(tmp_path, 12, faults, settings=IMPATIENT)
    polls = sum(outcome.polled for outcome in outcomes)
    failed = sum(outcome.failed for outcome in outcomes)
    assert polls > failed > 3

    found = await replayed(tmp_path)
    assert found.difference.fields == {}
    assert (found.polls, sum(found.failed.values()), found.newly_failed) == (polls, failed, 0)
    assert (found.unreadable, found.corrections) == ({}, 0)
    difference = found.difference
    assert (difference.rows_changed, difference.rows_added, difference.rows_gone) == (0, 0, 0)
    reasons: dict[str, int] = {}
    for row in stored(tmp_path):
        if row["failure"]:
            reasons[row["failure"]] = reasons.get(row["failure"], 0) + 1
    assert found.failed == reasons
    assert difference.rows == sum(
        len([row for row in stored(tmp_path, name) if row.get("reachable") is not False])
        for name in ("miner_telemetry", "miner_board", "miner_fan", "miner_pool", "miner_error", "miner_configuration")
    )


class Library(httpx.AsyncBaseTransport):
    """What driver asic-rs is handed in place of the library: ``readings``, one after the other."""

    def __init__(self, readings: Iterable[tuple[int, Any]]) -> None:
        self._readings = iter(readings)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        status, said = next(self._readings)
        content = said if isinstance(said, bytes) else json.dumps(said).encode()
        return httpx.Response(status, content=content, request=request)


async def test_what_the_library_read_is_read_the_same_again(tmp_path: Path) -> None:
    """The farm speaks no dialect of the library's: here it gives what it was recorded to give."""
    scrypt = {
        "hashrate": rate(9_400.0, "MH/s", "Scrypt"), "wattage": None,
        "hashboards": [board(0, 3_100.0), board(1, 3_100.0, active=False)],
        "device_info": {"make": "Antminer", "model": "L7", "firmware": "Stock", "algo": "Scrypt"},
    }  # fmt: skip
    said: list[tuple[int, Any]] = [
        (200, library_reading()),
        (200, library_reading(hashboards=[board(0), board(2)], uptime=93_844.0)),
        (200, library_reading(**scrypt)),
        (200, {**SILENT, "ip": "127.79.0.9"}),
        (404, b"no miner known to the library"),
        (200, b'{"hashrate": {"value": 1'),
        (502, b"the library failed"),
        (200, library_reading(hashrate=rate(114e12, "H/s"), uptime=94_000.0)),
    ]
    miners = [
        MinerSettings(id=f"w{at}", ip=f"127.79.0.{at + 1}", driver="asic-rs", model=model, adaptive=False)
        for at, model in enumerate(("WHATSMINER_M50", "ANTMINER_L7", "unheard of"))
    ]

    def opened(base_url: httpx.URL, *, connect_timeout_s: float, deadline_s: float) -> Library:
        at = int(base_url.host.rpartition(".")[2]) - 1
        return Library([*said[at:], *said[:at]])

    fleet = Fleet(miners, SETTINGS, payloads="every", open_transport=opened)
    outcomes = await keep(tmp_path, fleet, range(START, START + len(said) * STEP_S, STEP_S))
    failed = sum(outcome.failed for outcome in outcomes)
    assert (sum(outcome.polled for outcome in outcomes), failed) == (3 * len(said), 3 * 4)
    found = await replayed(tmp_path)
    assert found.difference.fields == {}
    assert (found.polls, sum(found.failed.values()), found.newly_failed) == (3 * len(said), failed, 0)
    assert (found.unreadable, found.difference.rows_added, found.difference.rows_gone) == ({}, 0, 0)
    assert found.difference.rows > 3 * 4 * 6


@pytest.fixture
def other_unit(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was collected took hashrates for a thousandth less than today's release does."""
    factors = hashrate.hashrate_factor

    def today(unit: str | None) -> float | None:
        factor = factors(unit)
        return None if factor is None else 1.001 * factor

    for dialect in ("vnish_rest.session", "vnish_cgi.parse"):
        monkeypatch.setattr(f"tasks.miners.{dialect}.hashrate_factor", today)


@pytest.mark.usefixtures("other_unit")
async def test_a_changed_parser_shows_and_replaces_once(data: Path) -> None:
    before = stored(data)
    store = opened(data)
    roll_up(store, STOP + 3600)
    store.close()
    hours = stored(data, tier=Tier.HOURLY)

    compared_only = await replayed(data)
    assert stored(data) == before
    changed = compared_only.difference.fields["miner_telemetry.hashrate_hs"]
    vnish = [row for row in before if row["hashrate_hs"]]
    assert 0 < changed.changed <= len(vnish)
    assert changed.example is not None
    assert changed.example.read / changed.example.stored == pytest.approx(1.001, rel=1e-4)
    assert "miner_telemetry.poll_ms" not in compared_only.difference.fields
    assert (compared_only.corrections, compared_only.batches) == (0, 0)

    corrected = await replayed(data, correct=True)
    assert corrected.difference == compared_only.difference
    assert corrected.corrections > 0
    after = stored(data)
    assert [(row["time"], row["miner_id"], row["poll_ms"]) for row in after] == [
        (row["time"], row["miner_id"], row["poll_ms"]) for row in before
    ]
    rises = [now["hashrate_hs"] / was["hashrate_hs"] for was, now in zip(before, after, strict=True)]
    assert sum(rise == pytest.approx(1.001, rel=1e-4) for rise in rises) == changed.changed

    again = await replayed(data, correct=True)
    assert (again.difference.fields, again.corrections) == ({}, 0)

    store = opened(data)
    report = roll_up(store, STOP + 3600)
    store.close()
    assert report.hours["miner_telemetry"] == 1, "the corrected hour is rolled up again"
    risen = [
        now["hashrate_hs_mean"] / was["hashrate_hs_mean"]
        for was, now in zip(hours, stored(data, tier=Tier.HOURLY), strict=True)
    ]
    assert max(risen) == pytest.approx(1.001, rel=1e-4)
    polls = {(row["time"], row["miner_id"]) for row in stored(data, "replayed_poll")}
    assert len(polls) >= changed.changed


@pytest.mark.usefixtures("other_unit")
async def test_a_replay_that_was_killed_goes_on_without_doubling(data: Path) -> None:
    class Killed(Exception):
        pass

    store = opened(data)
    with Lane.open(data / "spool", LANE, cap_bytes=2**26) as lane:

        def spooled_then_killed(batch: Batch) -> None:
            lane.append(batch)
            raise Killed

        with pytest.raises(Killed):
            await replay(store, store, START, STOP, correct=spooled_then_killed, run_id="first")
        records = LaneReader(data / "spool" / LANE).last_sequence
        found = await replay(store, store, START, STOP, correct=lane.append, run_id="second")
        assert found.batches == records == LaneReader(data / "spool" / LANE).last_sequence == 1
    store.close()


async def test_one_miner_and_one_slot(data: Path) -> None:
    (name, *_) = sorted({row["miner_id"] for row in stored(data)})
    store = opened(data)
    with heard() as told:
        found = await replay(store, store, START + STEP_S, START + STEP_S + 1, [name])
        await replay(store, store, START - 3_600, START + 3_600, [name])
    assert [part for part, _ in told] == [0, 0, 0.5], "an hour after the other"
    store.close()
    assert (found.polls, found.miners, found.difference.rows_changed) == (1, 1, 0)


async def test_what_can_not_be_tried_is_counted(data: Path) -> None:
    found = await replayed(data, drivers={})
    assert sum(found.unreadable.values()) == found.polls > 0
    assert all("is not known any more" in reason for reason in found.unreadable)


async def test_a_mask_never_replaces_what_was_read_before_it(tmp_path: Path) -> None:
    """A password that is a word of the answers themselves: the mask is in the kept text only."""
    await collect(tmp_path, 2, password="invalid")
    before = stored(tmp_path, "miner_pool")
    store = opened(tmp_path)
    rows = store.read(RAW_PAYLOAD, Tier.RAW, START, STOP).to_pylist()
    store.close()
    bodies = [row["body"] or "" for row in rows if row["driver"] == "vnish-rest"]
    assert any("pool.***:3333" in body for body in bodies)
    assert not any("invalid" in body for body in bodies)
    await replayed(tmp_path, correct=True)
    assert stored(tmp_path, "miner_pool") == before
    assert not [row for row in stored(tmp_path) if "***" in str(row)]


async def test_what_is_asked_seldom_is_known_from_polls_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Presets are asked every ten minutes, what a stock firmware is at the first poll and with its configuration: a
    session that begins in between asks at slots that have none kept."""
    await collect(tmp_path, 5, step_s=200)
    monkeypatch.setattr("tasks.replay.replay.WARM_UP_S", 800)
    store = opened(tmp_path)
    found = await replay(store, store, START + 800, STOP)
    store.close()
    assert found.polls > 0
    assert found.difference.fields == {}
