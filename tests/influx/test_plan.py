"""From what shall be and what is to steps: a table, no server."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.declaration import BUCKETS
from storage.errors import NeedsHuman
from storage.influx.provisioning.plan import (
    ChangeKeeping,
    ChangeRights,
    CreateBucket,
    CreateMapping,
    Drift,
    GiveAccess,
    plan,
)
from storage.influx.provisioning.state import (
    ACCESSES,
    DAY_S,
    Access,
    Desired,
    Found,
    Keeping,
    declared_accesses,
    desired_state,
)
from storage.influx.settings import IN_FIVE, InfluxSettings

MONTH, WEEK = Keeping(30 * DAY_S, DAY_S), Keeping(7 * DAY_S, DAY_S)
WRITER = Access("writer", frozenset(), frozenset({"raw"}))
DESIRED = Desired({"raw": MONTH}, {"raw": "raw"}, {"writer": WRITER})
WELL = Found({"raw": MONTH}, {}, True, {"writer": WRITER})


def found(**others: Any) -> Found:
    return replace(WELL, **others)


TABLE: dict[str, tuple[Desired, Found, tuple[str, ...], list[Any]]] = {
    "all is well": (DESIRED, WELL, (), []),
    "nothing is there": (DESIRED, Found({}, {}, True, {}), (), [CreateBucket("raw", MONTH), GiveAccess(WRITER)]),
    "foreign buckets are nobody's business": (DESIRED, found(buckets={"raw": MONTH, "theirs": WEEK}), (), []),
    "kept too short": (DESIRED, found(buckets={"raw": WEEK}), (), [ChangeKeeping("raw", WEEK, MONTH)]),
    "kept for ever": (
        DESIRED,
        found(buckets={"raw": Keeping(0, DAY_S)}),
        (),
        [ChangeKeeping("raw", Keeping(0, DAY_S), MONTH)],
    ),
    "other shards": (
        DESIRED,
        found(buckets={"raw": Keeping(30 * DAY_S, 7 * DAY_S)}),
        (),
        [ChangeKeeping("raw", Keeping(30 * DAY_S, 7 * DAY_S), MONTH)],
    ),
    "a server without shards": (DESIRED, found(buckets={"raw": Keeping(30 * DAY_S)}), (), []),
    "no mapping by name": (DESIRED, found(maps_by_name=False), (), [CreateMapping("raw", "raw")]),
    "mapped as it shall be": (DESIRED, found(maps_by_name=False, mappings={"raw": "raw"}), (), []),
    "a foreign name": (
        replace(DESIRED, buckets={"farm/raw": MONTH}, databases={"raw": "farm/raw"}, accesses={}),
        found(buckets={"farm/raw": MONTH}),
        (),
        [CreateMapping("raw", "farm/raw")],
    ),
    "an access is missing": (DESIRED, found(accesses={}), (), [GiveAccess(WRITER)]),
    "an access made anew": (DESIRED, WELL, ("writer",), [GiveAccess(WRITER, anew=True)]),
    "other rights that can be set right": (
        DESIRED,
        found(accesses={"writer": Access("writer", frozenset({"raw"}), frozenset())}, regrants=True),
        (),
        [ChangeRights(WRITER, Access("writer", frozenset({"raw"}), frozenset()))],
    ),
    "no accesses to make": (DESIRED, found(accesses={}, no_accesses="by hand"), (), []),
    "exactly as many as it takes": (
        DESIRED,
        found(buckets={"a": WEEK, "b": WEEK}, most_buckets=3),
        (),
        [CreateBucket("raw", MONTH)],
    ),
    "more than it takes, but all are there": (
        DESIRED,
        found(buckets={"raw": MONTH, "b": WEEK}, most_buckets=1),
        (),
        [],
    ),
}


@pytest.mark.parametrize("case", TABLE)
def test_plan(case) -> None:
    desired, present, rotate, steps = TABLE[case]
    assert plan(desired, present, rotate) == steps


def test_what_must_not_be_corrected_is_told() -> None:
    other = found(accesses={"writer": Access("writer", frozenset({"raw"}), frozenset({"raw"}))})
    (rights,) = plan(DESIRED, other)
    assert isinstance(rights, Drift)
    (mapped,) = plan(DESIRED, found(mappings={"raw": "theirs"}))
    assert isinstance(mapped, Drift)
    assert "theirs" in str(mapped)


@pytest.mark.parametrize(
    ("present", "rotate", "said"),
    [
        (found(buckets={"a": WEEK, "b": WEEK}, most_buckets=2), (), "takes 2 databases: it has 2, and 1"),
        (found(no_accesses="do it by hand"), ("writer",), "do it by hand"),
    ],
)
def test_what_cannot_be_done(present, rotate, said) -> None:
    with pytest.raises(NeedsHuman, match=said):
        plan(DESIRED, present, rotate)


@pytest.mark.parametrize(
    ("before", "after", "shortens", "said"),
    [
        (30 * DAY_S, 7 * DAY_S, True, "from 30 d to 7 d, shards of 1 d: DELETES 23 d of data"),
        (0, 7 * DAY_S, True, "from for ever to 7 d, shards of 1 d: DELETES all data older than 7 d"),
        (7 * DAY_S, 30 * DAY_S, False, "from 7 d to 30 d, shards of 1 d"),
        (7 * DAY_S, 0, False, "from 7 d to for ever, shards of 1 d"),
        (36 * 3600, DAY_S, True, "from 36 h to 1 d, shards of 1 d: DELETES 12 h of data"),
    ],
)
def test_a_change_of_retention(before, after, shortens, said) -> None:
    step = ChangeKeeping("raw", Keeping(before, DAY_S), Keeping(after, DAY_S))
    assert step.shortens is shortens
    assert str(step) == f"change raw {said}"


keepings = st.builds(Keeping, st.integers(0, 10_000).map(lambda days: days * DAY_S), st.just(DAY_S))
names = st.sampled_from(["raw", "hourly", "daily"])


@given(st.dictionaries(names, keepings), st.dictionaries(names, keepings))
def test_taken_steps_lead_to_what_shall_be(wanted, present) -> None:
    desired = Desired(wanted, {}, {})
    buckets = dict(present)
    for step in plan(desired, Found(present, {}, True, {})):
        if isinstance(step, CreateBucket):
            assert step.bucket not in buckets
            buckets[step.bucket] = step.keeping
        else:
            assert isinstance(step, ChangeKeeping)
            buckets[step.bucket] = step.after
    assert plan(desired, Found(buckets, {}, True, {})) == []
    assert {name: buckets[name] for name in wanted} == wanted
    assert set(buckets) == set(wanted) | set(present), "nothing is ever deleted"


def test_five_hold_all_and_nothing_goes_early() -> None:
    settings = InfluxSettings(url="http://influx:8086", databases="five")
    desired = desired_state(settings, {})
    assert len(desired.buckets) == 5
    for bucket in BUCKETS.values():
        if bucket.in_influx:
            assert desired.buckets[settings.bucket(bucket.name)].retention_s >= bucket.retention_days * DAY_S
    assert set(IN_FIVE.values()) <= set(desired.buckets)


def test_accesses_are_the_least() -> None:
    accesses = declared_accesses(InfluxSettings(url="http://influx:8086"))
    assert set(accesses) == set(ACCESSES)
    assert accesses["writer"].reads == frozenset()
    assert accesses["grafana"].writes == frozenset()
    assert not accesses["downsampler"].writes & {"mining_raw", "mining_audit", "mining_financial"}
    assert {"mining_raw", "mining_operational"} <= accesses["downsampler"].reads
    assert "mining_daily" not in accesses["writer"].writes
