"""source_quality on the embedded store, from raw rows through the roll-up: once, again, killed, late, silent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from storage.declaration import MEASUREMENTS, Tier
from storage.downsample.run import GRACE_S, roll_up
from storage.frame import Frame, build_frame
from storage.lake.store import EmbeddedStore
from tasks.derive.source_quality.deriving import SourceQualityReport, derive_source_quality

HOUR_S, DAY_S = 3_600, 86_400
DAY = 1_800_000_000 // DAY_S * DAY_S
EVENING = DAY + DAY_S + GRACE_S
INTERVALS = {
    "miner": {"a": HOUR_S, "new": HOUR_S},
    "pool": {"p": HOUR_S},
    "price": {"coingecko": HOUR_S, "coinmarketcap": HOUR_S},
    "network": {"mempool.space": HOUR_S},
}


class Mortal(EmbeddedStore):
    """Counts what is written, and dies when told."""

    writes = 0
    dies_on = ""

    def write(self, frames: Sequence[Frame]) -> None:
        if self.dies_on and any(frame.measurement == self.dies_on for frame in frames):
            raise KeyboardInterrupt
        self.writes += 1
        super().write(frames)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Mortal]:
    store = Mortal(tmp_path / "lake")
    yield store
    store.close()


def rows(name: str, hours: Sequence[int], day: int = DAY, **columns: Any) -> Frame:
    """A row at each of ``hours``; a column that is no list is the same in all."""
    laid = {key: value if isinstance(value, list) else [value] * len(hours) for key, value in columns.items()}
    return build_frame(name, [day + hour * HOUR_S for hour in hours], laid)


def polls(hours: Sequence[int], miner: str = "a", day: int = DAY, **columns: Any) -> Frame:
    told = {"reachable": True, "state": "mining", "hashrate_hs": 1e14, "quality": 1.0} | columns
    return rows("miner_telemetry", hours, day, miner_id=miner, model="S19", site="hall", **told)


def arrive(store: EmbeddedStore, *frames: Frame, delivery: int = 1) -> None:
    """Store ``frames``, note the hours that they touch, roll them up."""
    store.write(frames)
    touched = sorted({(time // HOUR_S * HOUR_S, frame.measurement) for frame in frames for time in frame.times})
    columns: dict[str, Any] = {"host": ["h"] * len(touched), "measurement": [name for _, name in touched]}
    columns["touched_ns"] = [delivery] * len(touched)
    store.write([build_frame("window_touched", [hour for hour, _ in touched], columns)])
    names = {frame.measurement for frame in frames}
    latest = max(time for frame in frames for time in frame.times)
    roll_up(store, latest // DAY_S * DAY_S + DAY_S + GRACE_S, measurements=sorted(names))


def a_day(store: EmbeddedStore) -> None:
    """Miner a answers for 18 hours of 24, 6 of them badly; the pool never; a price of two providers, one of a new
    coin; the miner that is new comes at noon."""
    good, bad = range(12), range(12, 18)
    flags = "conflicting:hashrate_hs,impossible:power_w,impossible:voltage_v"
    arrive(
        store,
        polls(good),
        polls(bad, quality=0.5, quality_flags=flags),
        polls(range(18, 24), reachable=False, state="unreachable", hashrate_hs=None, quality=0.0),
        polls(range(12, 24), "new"),
        polls(range(24), "stranger"),
        rows("market_data", range(24), DAY - DAY_S, source="coingecko", coin_id="bitcoin", price_usd=100.0),
        rows(
            "market_data", range(24), source="coingecko", coin_id="bitcoin", price_usd=[100.0] * 23 + [120.0],
            quality=[0.7] * 6 + [1.0] * 18, quality_flags=["conflicting"] * 6 + [None] * 18,
        ),
        rows("market_data", range(12), source="coinmarketcap", coin_id="bitcoin", price_usd=100.0, quality=1.0),
        rows("market_data", range(12), source="coinmarketcap", coin_id="litecoin", price_usd=50.0, quality=1.0),
    )  # fmt: skip
    gaps = rows(
        "worker_match", range(4), pool_id="p", worker_id="acc.a", miner_id="a", status="matched",
        gap_unexplained_ratio=[0.02, -0.14, 0.16, None],
    )  # fmt: skip
    refused = rows("source_request", range(24), host="h", source="p", request="workers", ok=False, failure="refused")
    store.write([gaps, refused])


def stored(store: EmbeddedStore, day: int = DAY) -> dict[tuple[str, str], dict[str, Any]]:
    table = store.read(MEASUREMENTS["source_quality"], Tier.RAW, day, day + 1)
    return {(row["kind"], row["source"]): row for row in table.to_pylist()}


def test_a_day_by_hand(store: Mortal):
    a_day(store)
    assert derive_source_quality(store, INTERVALS, EVENING) == SourceQualityReport(rows=7, days=2)
    found = stored(store)
    assert sorted(found) == [
        ("miner", "a"), ("miner", "new"), ("miner", "stranger"), ("pool", "p"), ("price", "coingecko"),
        ("price", "coinmarketcap"),
    ]  # fmt: skip
    a = found["miner", "a"]
    assert (a["rows_due"], a["rows"], a["failed"], a["completeness"]) == (24, 18, 6, 0.75)
    # rows at 0 h to 17 h, each young for 1.5 h: 17 x 3,600 + 5,400 s = 66,600 of 86,400; from 17 h to the end 7 h
    assert a["timeliness"] == pytest.approx(66_600 / 86_400)
    assert (a["lag_median_s"], a["lag_worst_s"]) == (3_600, 25_200)
    # (12 x 1 + 6 x 0.5) / 18
    assert (a["accuracy"], a["whole_ratio"]) == (pytest.approx(15 / 18), pytest.approx(12 / 18))
    assert (a["flagged"], a["flags"]) == (6, "conflicting=6,impossible=6")
    # of three gaps that are known one is above 0.15
    assert (a["compared"], a["conflicting"], a["consistency"]) == (3, 1, pytest.approx(2 / 3))
    # (0.75 x 0.770833 x 0.833333 x 0.666667) ^ 1/4
    assert a["score"] == pytest.approx(0.752808, abs=1e-5)
    assert (a["outliers"], a["reason"]) == (None, "outliers:too_little_history,gap")

    what_is_not_known_is_null_with_a_reason(found)
    price_against_price(found)


def what_is_not_known_is_null_with_a_reason(found: dict[tuple[str, str], dict[str, Any]]) -> None:
    # it is due from its first poll on
    new = found["miner", "new"]
    assert (new["rows_due"], new["completeness"], new["timeliness"], new["score"]) == (12, 1.0, 1.0, 1.0)
    assert new["reason"] == "consistency:nothing_to_compare,outliers:too_little_history"
    stranger = found["miner", "stranger"]
    assert (stranger["rows"], stranger["rows_due"], stranger["completeness"], stranger["score"]) == (
        24,
        None,
        None,
        1.0,
    )
    assert stranger["reason"].startswith("completeness:not_configured,timeliness:not_configured,")
    pool = found["pool", "p"]
    assert (pool["rows_due"], pool["rows"], pool["failed"], pool["completeness"], pool["score"]) == (24, 0, 24, 0, 0)
    assert (pool["accuracy"], pool["lag_worst_s"], pool["conflicting"], pool["compared"]) == (None, 86_400, 1, 3)
    assert pool["reason"] == "accuracy:no_rows,outliers:too_little_history,gap"


def price_against_price(found: dict[tuple[str, str], dict[str, Any]]) -> None:
    gecko, cap = found["price", "coingecko"], found["price", "coinmarketcap"]
    # both tell bitcoin in 12 hours, in 6 of them coingecko's is flagged; litecoin is told by one alone
    assert (gecko["compared"], gecko["conflicting"], gecko["consistency"]) == (12, 6, 0.5)
    assert (cap["compared"], cap["conflicting"], cap["consistency"]) == (12, 0, 1.0)
    # the day before it stood at 100, so 120 is odd: a reach of 5 x 2 %
    assert (gecko["outliers"], gecko["reason"]) == (1, "")
    # two coins, 24 hours each
    assert (cap["rows_due"], cap["rows"], cap["completeness"]) == (48, 24, 0.5)


def test_twice_and_killed_are_the_same(store: Mortal):
    arrive(store, polls(range(3)), polls([5], "stranger"))
    store.dies_on = "window_rolled"
    with pytest.raises(KeyboardInterrupt):
        derive_source_quality(store, INTERVALS, EVENING)
    store.dies_on = ""
    killed = stored(store)
    assert killed["miner", "a"]["completeness"] == 3 / 24, "rows come before the mark"
    # still due, and its rows are there already
    assert derive_source_quality(store, INTERVALS, EVENING) == SourceQualityReport(rows=0, days=1)
    assert stored(store) == killed
    writes = store.writes
    assert derive_source_quality(store, INTERVALS, EVENING + HOUR_S) == SourceQualityReport()
    assert store.writes == writes


def test_a_silent_day_is_none_until_late_data_comes(store: Mortal):
    arrive(store, polls(range(3)), polls([5], "stranger"))
    next_evening, silence = EVENING + DAY_S, DAY + DAY_S
    assert derive_source_quality(store, INTERVALS, next_evening).days == 2
    assert list(stored(store, silence)) == [("miner", "a")], "who is not configured, or never came, owes nothing"
    silent = stored(store, silence)["miner", "a"]
    assert (silent["rows_due"], silent["rows"], silent["score"], silent["lag_worst_s"]) == (24, 0, 0.0, DAY_S)
    assert derive_source_quality(store, INTERVALS, next_evening) == SourceQualityReport()
    arrive(store, polls(range(12), day=silence), delivery=2)
    assert derive_source_quality(store, INTERVALS, next_evening) == SourceQualityReport(rows=1, days=1)
    late = stored(store, silence)["miner", "a"]
    assert (late["rows"], late["completeness"], late["accuracy"]) == (12, 0.5, 1.0)
    assert late["reason"].endswith("gap,late_data")
    # of another miner, later still: the first one's row is as it was, word and all
    arrive(store, polls(range(12, 24), "new", day=silence), delivery=3)
    assert derive_source_quality(store, INTERVALS, next_evening) == SourceQualityReport(rows=1, days=1)
    found = stored(store, silence)
    assert found["miner", "a"] == late
    assert (found["miner", "new"]["rows"], found["miner", "new"]["reason"].endswith("late_data")) == (12, True)


def test_a_pool_tells_by_any_of_its_workers_and_rows_without_a_word_are_none(store: Mortal):
    worker: dict[str, Any] = {"pool_id": "p", "algorithm": "sha256d"}
    arrive(
        store,
        rows("pool_performance", range(6), worker_id="acc.a", status="online", **worker),
        rows("pool_performance", range(3, 9), worker_id="acc.b", hashrate_effective_hs=1e14, **worker),
        rows("pool_performance", range(9, 12), worker_id="acc.b", quality_flags="unit_suspect", **worker),
    )
    derive_source_quality(store, INTERVALS, EVENING)
    pool = stored(store)["pool", "p"]
    assert (pool["rows"], pool["rows_due"], pool["completeness"]) == (9, 24, 0.375)
    assert (pool["accuracy"], pool["whole_ratio"]) == (None, None)
    assert pool["reason"].split(",")[0] == "accuracy:not_judged"


def test_an_empty_store_has_nothing_due(store: Mortal):
    assert derive_source_quality(store, INTERVALS, EVENING) == SourceQualityReport()


def test_a_pause_by_hand_is_owed_by_nobody(store: Mortal):
    """Miner a answers from 00:00 to 05:00, is paused from 06:00 to 18:00, and answers from 18:00 to 23:00: 12 slots of
    12. Miner new answers to 05:00, is not heard until 18:00, and nobody had paused it: 12 of 24."""
    arrive(store, polls(range(24), "a", day=DAY - DAY_S), polls(range(24), "new", day=DAY - DAY_S))
    arrive(store, *(polls(hours, miner) for miner in ("a", "new") for hours in (range(6), range(18, 24))))
    events = rows(
        "miner_event", [6, 18], miner_id="a", kind=["override_began", "override_ended"], subject="miner",
        severity="info", new=["paused by hand until 18:00 by ana: fan swap", None],
    )  # fmt: skip
    store.write([events])
    derive_source_quality(store, INTERVALS, EVENING)
    a, other = stored(store)["miner", "a"], stored(store)["miner", "new"]
    assert (a["rows_due"], a["rows"], a["completeness"], a["timeliness"]) == (12, 12, 1.0, 1.0)
    assert (a["lag_median_s"], a["lag_worst_s"]) == (3_600, 3_600)
    assert "paused_by_hand" in a["reason"].split(",")
    assert "gap" not in a["reason"].split(",")
    assert (other["rows_due"], other["rows"], other["completeness"]) == (24, 12, 0.5)
    assert "gap" in other["reason"].split(",")


def test_nor_is_the_pause_of_a_pool_or_a_provider(store: Mortal):
    """Pool p tells its workers, coingecko two coins, from 00:00 to 05:00 and from 18:00 to 23:00; in between they are
    paused: 12 slots of 12, of each coin. Coinmarketcap tells the same, and nobody had paused it: 24 of 48."""
    hours = [*range(6), *range(18, 24)]
    told = [
        rows("market_data", hours, source=source, coin_id=coin, price_usd=50.0, quality=1.0)
        for source in ("coingecko", "coinmarketcap")
        for coin in ("bitcoin", "litecoin")
    ]
    workers = [
        rows("pool_performance", at, day, pool_id="p", worker_id="acc.a", algorithm="scrypt", status="online")
        for at, day in ((range(24), DAY - DAY_S), (hours, DAY))
    ]
    arrive(store, *told, *workers)
    for source in ("p", "coingecko"):
        store.write([
            rows("source_event", [6, 18], host="h", source=source, kind=["override_began", "override_ended"],
                 severity="info", new=["paused by hand until 18:00 by response: rate limit", None]),
        ])  # fmt: skip
    derive_source_quality(store, INTERVALS, EVENING)
    pool, gecko, cap = (stored(store)[key] for key in
                        (("pool", "p"), ("price", "coingecko"), ("price", "coinmarketcap")))  # fmt: skip
    assert (pool["rows_due"], pool["rows"], pool["completeness"], pool["timeliness"]) == (12, 12, 1.0, 1.0)
    assert (gecko["rows_due"], gecko["rows"], gecko["completeness"], gecko["lag_worst_s"]) == (24, 24, 1.0, 3_600)
    assert "gap" not in f"{pool['reason']},{gecko['reason']}".split(",")
    assert (cap["rows_due"], cap["rows"], cap["completeness"]) == (48, 24, 0.5)


def test_a_day_that_was_paused_as_a_whole_has_no_completeness(store: Mortal):
    arrive(store, polls(range(23), day=DAY - DAY_S), polls(range(24), "new"))
    began = rows("miner_event", [23], DAY - DAY_S, miner_id="a", kind="override_began", subject="miner",
                 severity="info", new="paused by hand until 04:00 by ana: fan swap")  # fmt: skip
    store.write([began])
    derive_source_quality(store, INTERVALS, EVENING)
    a = stored(store)["miner", "a"]
    assert (a["rows_due"], a["completeness"], a["timeliness"], a["score"]) == (0, None, None, None)
    assert {"completeness:paused_by_hand", "timeliness:paused_by_hand"} <= set(a["reason"].split(","))
