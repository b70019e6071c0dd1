"""What was stored comes out of the kept answers again; a changed parser shows, and puts right what is stored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from deployments.farm import DEFAULT_MIX, Fault
from storage.declaration import MEASUREMENTS, Tier
from storage.declaration.payload import RAW_PAYLOAD
from storage.downsample.run import roll_up
from storage.lake.store import EmbeddedStore
from storage.spool.lane import Lane, LaneReader
from storage.spool.record import Batch
from tasks.normalize import hashrate
from tasks.replay.replay import LANE, Replayed, replay
from tests.replay.collected import START, STEP_S, collect, deliver

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


async def test_all_variants_with_every_fault_read_the_same_again(tmp_path: Path) -> None:
    """Faults go round over the miners, so that every variant has several of them, each between two sound polls."""
    names = [f"miner_{number:04}" for number in range(1, len(DEFAULT_MIX) + 1)]
    faults = {
        tick: {
            name: msgspec.structs.replace(KINDS[(tick * 5 + at) % len(KINDS)], start=START + STEP_S * tick - 1)
            for at, name in enumerate(names)
        }
        for tick in (1, 3)
    }
    outcomes = await collect(tmp_path, 5, faults)
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
    found = await replay(store, store, START + STEP_S, START + STEP_S + 1, [name])
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
    """Presets are asked every ten minutes: a session that begins in between asks at slots that have none kept."""
    await collect(tmp_path, 5, step_s=200)
    monkeypatch.setattr("tasks.replay.replay.WARM_UP_S", 600)
    store = opened(tmp_path)
    found = await replay(store, store, START + 800, STOP)
    store.close()
    assert found.polls > 0
    assert found.difference.fields == {}
