"""Holes in what pools and providers told, each with its reason, on the embedded store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from storage.frame import Frame, build_frame
from storage.lake.store import EmbeddedStore
from tasks.derive.source_gaps import SourceGap, source_gaps
from tasks.overrides.stretches import pauses_of_sources

T = 1_800_000_000 // 3_600 * 3_600
EVERY_S = 300
INTERVALS = {"miner": {"m": 60}, "pool": {"ltc": EVERY_S}, "price": {"coingecko": EVERY_S}}
PAUSE = "paused by hand until 2027-01-15 10:00:00 UTC by ana: new account"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EmbeddedStore]:
    store = EmbeddedStore(tmp_path / "lake")
    yield store
    store.close()


def rows(name: str, times: list[int], **columns: Any) -> Frame:
    return build_frame(
        name, times, {key: one if isinstance(one, list) else [one] * len(times) for key, one in columns.items()}
    )


def workers(*times: int, **more: Any) -> Frame:
    told = {"status": "online"} | more
    return rows("pool_performance", list(times), pool_id="ltc", worker_id="f.a", algorithm="scrypt", **told)


def every(start: int, stop: int) -> range:
    return range(T + start, T + stop, EVERY_S)


def requests(source: str, times: range, failure: str | None) -> Frame:
    return rows(
        "source_request", list(times), host="h", source=source, request="r", ok=failure is None, failure=failure
    )


def events(source: str, *told: tuple[int, str | None], host: str = "h") -> Frame:
    kinds = ["override_ended" if new is None else "override_began" for _, new in told]
    return rows(
        "source_event", [T + at for at, _ in told], host=host, source=source, kind=kinds, severity="info",
        new=[new for _, new in told],
    )  # fmt: skip


def test_a_hole_has_the_pause_as_its_reason(store: EmbeddedStore) -> None:
    store.write([workers(*every(0, 1_801), *every(5_400, 7_200)), events("ltc", (1_815, PAUSE), (5_385, None))])
    # the reading of 1,800 s is the last before, that of 5,400 s the first after
    assert source_gaps(store, INTERVALS, T, T + 7_200) == [SourceGap("pool", "ltc", T + 1_800, T + 5_400, False, PAUSE)]


def test_a_hole_has_what_requests_failed_of(store: EmbeddedStore) -> None:
    failed = [requests("ltc", every(2_100, 4_500), "timeout"), requests("ltc", every(4_500, 5_400), "not_json")]
    store.write([workers(*every(0, 1_801), *every(5_400, 7_200)), *failed, requests("ltc", every(5_400, 7_200), None)])
    (gap,) = source_gaps(store, INTERVALS, T, T + 7_200)
    assert gap.reason == "11 of 11 requests failed: timeout 8, not_json 3"  # 2,400 / 300 and 900 / 300


def test_a_hole_in_which_nobody_was_on_shift(store: EmbeddedStore) -> None:
    ticks = rows("collector_tick", [*every(0, 1_801), *every(5_400, 7_200)], host="h", lane="pools", points=1)
    told = [workers(*every(0, 1_801), *every(5_400, 7_200))]
    store.write([*told, ticks])
    assert [one.reason for one in source_gaps(store, INTERVALS, T, T + 7_200)] == [
        "nobody was on shift: no tick of lane pools"
    ]
    store.write([rows("collector_tick", [T + 3_600], host="h", lane="pools", points=1)])
    assert [one.reason for one in source_gaps(store, INTERVALS, T, T + 7_200)] == ["it was not asked"]


def test_one_that_lasts_is_open_and_one_that_began_before_is_whole(store: EmbeddedStore) -> None:
    store.write([workers(T - 9_000, T + 600)])
    assert [(one.start - T, one.stop - T, one.open) for one in source_gaps(store, INTERVALS, T, T + 7_200)] == [
        (-9_000, 600, False), (600, 7_200, True),
    ]  # fmt: skip


def test_two_intervals_are_no_hole_and_rows_without_a_reading_are_none(store: EmbeddedStore) -> None:
    nothing = {"status": None, "difficulty": 5.0}
    store.write([workers(*range(T, T + 3_601, 2 * EVERY_S)), workers(T + 4_200, T + 4_800, **nothing)])
    (gap,) = source_gaps(store, INTERVALS, T, T + 5_000)
    assert (gap.start, gap.stop) == (T + 3_600, T + 5_040)  # up to the minute that is begun


def test_who_never_told_anything_owes_from_its_first_request_on(store: EmbeddedStore) -> None:
    assert source_gaps(store, INTERVALS, T, T + 7_200) == []
    store.write([requests("coingecko", every(3_600, 7_200), "refused")])
    (gap,) = source_gaps(store, INTERVALS, T, T + 7_200)
    assert (gap.kind, gap.start - T, gap.open) == ("price", 3_600, True)
    assert gap.reason.endswith("requests failed: refused 11")  # the first is the hole's edge


def test_pauses_on_two_hosts_count_once(store: EmbeddedStore) -> None:
    store.write(
        [
            events("ltc", (600, PAUSE), (1_800, None)),
            events("ltc", (1_200, PAUSE), (2_400, None), host="other"),
            events("ltc", (900, PAUSE), (1_500, None), host="third"),
            events("coingecko", (600, PAUSE)),
        ]
    )
    found = [(one.subject, one.start - T, one.stop - T) for one in pauses_of_sources(store, T, T + 3_600)]
    assert found == [("coingecko", 600, 3_600), ("ltc", 600, 1_800), ("ltc", 1_800, 2_400)]
