"""The detector on the stream: miners of one kind over some hours, as their polls come."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from storage.records.events import MinerEvent
from storage.records.miner import Miner, MinerTelemetry, PoolReading
from tasks.abacus.settings import AnomalyDetectionSettings, RealTimeSettings
from tasks.derive.anomaly.memory import DAY_S
from tasks.derive.anomaly.stream import Watch, Watched
from tasks.derive.anomaly.watch_file import WatchFile, Watching, watching_of

START = 1_800_000_000 // DAY_S * DAY_S
SETTLED = START + 4 * 3_600
"""48 windows of 300 s: thirty are needed, and every median has been renewed within the last twelve."""
MINERS = [Miner(f"m{number}", "S19", "north") for number in range(8)]
Change = Callable[[int], dict[str, Any]]


def pool(url: str) -> tuple[PoolReading, ...]:
    return (PoolReading(slot="0", status="active", is_fee=False, url=url),)


def reading(number: int, slot: int, **over: Any) -> MinerTelemetry:
    noise = np.random.default_rng((number, slot)).normal(0, 1, 3)
    since = (slot - START) // 60
    usual: dict[str, Any] = {
        "hashrate_hs": 98e12 * (1 + 0.005 * noise[0]),
        "hashrate_nominal_hs": 100e12,
        "chip_temp_max_c": round(60 + noise[1]),
        "power_w": round(2950 + 10 * noise[2]),
        "power_limit_w": 3000,
        "boards_mining": 3,
        "boards_expected": 3,
        "fans_running": 4,
        "shares_accepted": 1000 + 7 * since,
        "shares_rejected": 5 + since // 25,
        "uptime_s": 500_000 + slot - START,
        "pools": pool("own:3333"),
    }
    return MinerTelemetry(time=slot, miner=MINERS[number], reachable=True, **{"state": "mining"} | usual | over)


def tick(watch: Watch, slot: int, change: Change | None = None) -> Watched:
    """All miners; miner 2 is changed."""
    over = change(slot) if change else {}
    return watch.look(slot, [reading(number, slot, **(over if number == 2 else {})) for number in range(8)])


def settled() -> Watch:
    watch = Watch(MINERS)
    for slot in range(START, SETTLED, 300):
        assert not tick(watch, slot).events
    return watch


def events(watch: Watch, slots: Iterable[int], change: Change | None = None) -> list[MinerEvent]:
    return [event for slot in slots for event in tick(watch, slot, change).events]


STATE = settled().memory.state()
STATE = {name: array.copy() for name, array in STATE.items()}


@pytest.fixture
def watch() -> Watch:
    watch = Watch(MINERS)
    watch.memory.recall(STATE)
    return watch


@pytest.mark.parametrize(
    ("over", "polls", "words"),
    [
        ({"hashrate_hs": 65e12, "power_w": 1970}, 4, "hashrate: -"),
        ({"chip_temp_max_c": 85}, 4, "temperature: +"),
        ({"boards_mining": 2}, 3, "hashrate: 1 boards lost"),
        ({"fans_running": 3}, 3, "temperature: 3 of 4 fans turn"),
        ({"pools": pool("thief:3333")}, 3, "shares: mines at another pool than usual"),
        ({"hashrate_hs": None, "quality_flags": "unit_suspect"}, 3, "its unit seems to have changed"),
        ({"hashrate_hs": None, "quality_flags": "a,stale"}, 3, "hashrate: the same to the last digit"),
        ({"hashrate_hs": 98.1e12}, 12, "hashrate: the same to the last digit"),
    ],
)
def test_a_fault_begins_one_anomaly_that_ends_with_it(
    watch: Watch, over: dict[str, Any], polls: int, words: str
) -> None:
    began = events(watch, range(SETTLED, SETTLED + 1_200, 60), lambda _: over)
    assert [(event.kind, event.miner.miner_id, event.severity) for event in began] == [
        ("anomaly_began", "m2", "warning")
    ]
    assert began[0].time <= SETTLED + 60 * (polls - 1), "three odd readings of five"
    assert words in began[0].message
    assert watch.anomalous == {"m2"}
    ended = events(watch, range(SETTLED + 1_200, SETTLED + 2_400, 60))
    assert [(event.kind, event.severity) for event in ended] == [("anomaly_ended", "info")]
    assert watch.anomalous == set()


def test_shares_refused_more_than_ever(watch: Watch) -> None:
    # From some 0.6 % to a third refused, for half an hour.
    def refused(slot: int) -> dict[str, Any]:
        since = (slot - SETTLED) // 60
        return {"shares_rejected": 5 + 240 // 25 + 3 * since}

    (began,) = events(watch, range(SETTLED, SETTLED + 1_800, 60), refused)
    assert "refused, usually 0." in began.message


@pytest.mark.parametrize(
    "over",
    [
        {"state": "paused", "hashrate_hs": 0.0, "power_w": 50, "boards_mining": 0},
        {"state": "starting", "hashrate_hs": 0.0, "uptime_s": 30, "boards_mining": 0, "fans_running": 0},
        {"uptime_s": 300, "chip_temp_max_c": 30},
        {"boards_mining": None, "fans_running": None, "power_w": None, "chip_temp_max_c": None},
    ],
    ids=["paused", "starts", "warms up", "tells little"],
)
def test_what_is_no_anomaly(watch: Watch, over: dict[str, Any]) -> None:
    assert events(watch, range(SETTLED, SETTLED + 1_200, 60), lambda _: over) == []
    assert events(watch, range(SETTLED + 1_200, SETTLED + 2_400, 60)) == []


OFF = {"hashrate_hs": 30e12, "boards_mining": 1, "fans_running": 1, "chip_temp_max_c": 25, "uptime_s": None}


@pytest.mark.parametrize("asked", [True, False], ids=["in maintenance", "paused, so not asked"])
def test_a_miner_that_is_off_by_hand_is_not_judged_nor_while_it_settles(watch: Watch, *, asked: bool) -> None:
    """Two odd readings, an hour off, then a quarter of an hour with cold chips; the miner does not tell its uptime."""
    assert events(watch, range(SETTLED, SETTLED + 120, 60), lambda _: OFF) == []
    for slot in range(SETTLED + 120, SETTLED + 3_720, 60):
        others = [reading(number, slot, **(OFF if number == 2 else {})) for number in range(8) if asked or number != 2]
        assert not watch.look(slot, others, {"m2", "a stranger"}).events
    cold = {"chip_temp_max_c": 25, "uptime_s": None, "shares_accepted": 0, "shares_rejected": 0}
    assert events(watch, range(SETTLED + 3_720, SETTLED + 4_560, 60), lambda _: cold) == []
    warm = lambda slot: {"uptime_s": None, "shares_accepted": (slot - SETTLED - 3_600) // 9, "shares_rejected": 0}  # noqa: E731
    assert events(watch, range(SETTLED + 4_620, SETTLED + 5_820, 60), warm) == []
    began = events(watch, range(SETTLED + 5_820, SETTLED + 6_420, 60), lambda _: {"boards_mining": 2})
    assert [event.kind for event in began] == ["anomaly_began"], "after that it is judged as ever"


def test_a_miner_that_was_paused_is_not_judged_while_it_warms_up(watch: Watch) -> None:
    """A pause does not end its uptime, and ten minutes after it the chips are still cold."""
    paused = {"state": "paused", "hashrate_hs": 0.0, "power_w": 50, "chip_temp_max_c": 25}
    assert events(watch, range(SETTLED, SETTLED + 1_800, 60), lambda _: paused) == []
    assert events(watch, range(SETTLED + 1_800, SETTLED + 2_400, 60), lambda _: {"chip_temp_max_c": 30}) == []
    assert events(watch, range(SETTLED + 2_400, SETTLED + 3_600, 60)) == []


def test_an_anomaly_lasts_over_a_pause(watch: Watch) -> None:
    events(watch, range(SETTLED, SETTLED + 600, 60), lambda _: {"boards_mining": 2})
    for slot in range(SETTLED + 600, SETTLED + 1_200, 60):
        assert not watch.look(slot, [reading(0, slot)], {"m2"}).events
    assert watch.anomalous == {"m2"}


def test_no_share_for_an_hour_is_told_after_an_hour_of_hashing(watch: Watch) -> None:
    """A restart while nobody looked, two hours long, sets the counters to 0; the pool is dead. The miner does not tell
    since when it is up."""
    back = SETTLED + 7_200
    dead = {"shares_accepted": 0, "shares_rejected": 0, "uptime_s": None}
    assert events(watch, range(back, back + 3_600, 120), lambda _: dead) == []
    (began,) = events(watch, range(back + 3_600, back + 4_800, 120), lambda _: dead)
    assert "none accepted for an hour" in began.message


def test_a_state_of_a_version_before_is_taken_over() -> None:
    old = {name: array for name, array in STATE.items() if name not in {"settled_at", "since", "heard_at"}}
    watch = Watch(MINERS)
    watch.memory.recall(old)
    assert events(watch, range(SETTLED, SETTLED + 300, 60), lambda _: {"boards_mining": 2})


def test_another_preset_is_none(watch: Watch) -> None:
    def faster(slot: int) -> dict[str, Any]:
        rate = 98e12 * (1 + 0.001 * (slot // 60 % 7))
        return {
            "hashrate_hs": 1.2 * rate, "hashrate_nominal_hs": 120e12, "power_w": 3935, "power_limit_w": 4000,
            "chip_temp_max_c": 78,
        }  # fmt: skip

    assert events(watch, range(SETTLED, SETTLED + 2_400, 60), faster) == []


def test_a_miner_that_does_not_answer_stays_what_it_was(watch: Watch) -> None:
    events(watch, range(SETTLED, SETTLED + 600, 60), lambda _: {"boards_mining": 2})
    silent = MinerTelemetry(time=SETTLED + 600, miner=MINERS[2], reachable=False, state="unreachable")
    for slot in range(SETTLED + 600, SETTLED + 1_800, 60):
        assert not watch.look(slot, [msgspec.structs.replace(silent, time=slot)]).events
    assert watch.anomalous == {"m2"}


def test_what_has_stood_for_a_day_is_how_the_miner_is(watch: Watch) -> None:
    slots = range(SETTLED, SETTLED + DAY_S + 6_000, 600)
    told = events(watch, slots, lambda _: {"fans_running": 3, "pools": pool("new:3333")})
    assert [event.kind for event in told] == ["anomaly_began", "anomaly_ended"]
    assert told[1].time - SETTLED >= DAY_S
    assert events(watch, range(slots[-1] + 60, slots[-1] + 600, 60), lambda _: {"fans_running": 2})


def test_scores_of_a_window_with_their_reasons(watch: Watch) -> None:
    young = Watch(MINERS)
    frames = [frame for slot in range(START, START + 360, 60) for frame in tick(young, slot).frames]
    (frame,) = frames
    assert set(frame.times) == {START}
    assert set(frame.columns["time_period"]) == {"300s"}
    assert frame.columns["temperature"] != [None] * 8, "peers are known at once"
    lonely = Watch(MINERS[:2])
    two = [lonely.look(slot, [reading(0, slot), reading(1, slot)]).frames for slot in range(START, START + 360, 60)]
    alone = two[-1][0].columns
    assert {"overall", "anomalous", "hashrate"}.isdisjoint(alone), "null"
    assert alone["reasons"] == ["not judged: too little is known of it and of its peers"] * 2
    odd = [
        frame
        for slot in range(SETTLED, SETTLED + 660, 60)
        for frame in tick(watch, slot, lambda _: {"boards_mining": 2}).frames
    ][-1]
    assert odd.columns["anomalous"] == [number == 2 for number in range(8)]
    assert odd.columns["hashrate"][2] == 0.9
    assert odd.columns["reasons"][2] == "hashrate: 1 boards lost"


def test_the_same_slot_again_and_strangers_change_nothing(watch: Watch) -> None:
    tick(watch, SETTLED)
    assert tick(watch, SETTLED, lambda _: {"boards_mining": 2}) == Watched() == tick(watch, SETTLED - 60)
    stranger = msgspec.structs.replace(reading(0, SETTLED + 60), miner=Miner("other", "S19", "north"))
    assert watch.look(SETTLED + 60, [stranger]) == Watched()


def test_a_clock_that_was_ahead_for_a_tick_silences_nobody(watch: Watch) -> None:
    events(watch, [SETTLED, SETTLED + 3 * DAY_S])
    events(watch, range(SETTLED + 60, SETTLED + 600, 60))
    (began,) = events(watch, range(SETTLED + 600, SETTLED + 900, 60), lambda _: {"boards_mining": 2})
    assert (began.kind, began.time) == ("anomaly_began", SETTLED + 720)
    (ended,) = events(watch, range(SETTLED + 900, SETTLED + 2_100, 60))
    assert ended.kind == "anomaly_ended"
    assert tick(watch, SETTLED + 2_100).frames[0].times[0] == SETTLED + 1_800


def test_a_restart_goes_on_where_it_stood(tmp_path: Path, watch: Watch) -> None:
    path = tmp_path / "state" / "miners.anomalies.npz"
    file = WatchFile(watch, path)
    change: Change = lambda _: {"boards_mining": 2}  # noqa: E731
    assert not events(watch, range(SETTLED, SETTLED + 120, 60), change), "two odd readings are no anomaly yet"
    file.keep(SETTLED + 60)
    assert not path.exists(), "the hour is young"
    file.keep(SETTLED + 3_600)
    assert path.exists()
    after = Watch(list(reversed(MINERS)))
    WatchFile(after, path)
    (began,) = events(after, [SETTLED + 120], change)
    assert began.miner.miner_id == "m2"
    file.keep(None)
    other = Watch(MINERS, window_s=60)
    WatchFile(other, path)
    assert not events(other, [SETTLED + 120], change), "another window begins anew"


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04", b"no zip"])
def test_a_damaged_file_is_told_and_begins_anew(
    tmp_path: Path, damage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "x.npz"
    path.write_bytes(damage)
    WatchFile(Watch(MINERS), path)
    assert "learnt anew" in caplog.text
    np.savez(path, times=np.array([300, 1]), miners=np.array(["m1"]), pools=np.array([["", ""]]))
    caplog.clear()
    WatchFile(Watch(MINERS), path)
    assert "learnt anew" in caplog.text


def test_what_the_configuration_wants() -> None:
    assert watching_of(RealTimeSettings()) == Watching(300, "medium", 0.8)
    assert watching_of(RealTimeSettings(anomaly_detection=AnomalyDetectionSettings(enabled=False))) is None
    wanted = RealTimeSettings(
        streaming_window_seconds=60, anomaly_detection=AnomalyDetectionSettings(sensitivity="low", alert_threshold=0.9)
    )
    assert watching_of(wanted) == Watching(60, "low", 0.9)
