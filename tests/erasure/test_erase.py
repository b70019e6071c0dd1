"""Erasing: nothing of the entity is left in any byte, nothing of others is touched, and it does not come back."""

from __future__ import annotations

import gzip
import importlib
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from storage.audit.trail import AuditKind, Trail
from storage.audit.verify import verify
from storage.declaration import MEASUREMENTS, Tier
from storage.delivery.books import books
from storage.downsample.run import roll_up
from storage.erasure.entity import Entity
from storage.erasure.proof import search
from storage.erasure.run import Erasure, erase
from storage.erasure.spool import erase_from_spool
from storage.erasure.tombstones import Tombstones
from storage.errors import NeedsHuman, TryAgain
from storage.lake.maintenance import maintain
from storage.lake.store import EmbeddedStore
from storage.spool.lane import Lane, LaneReader
from tests.erasure.host import GONE, HOST, OTHERS, SLOTS, T0, batch, deliver, fill, places
from tests.progress.heard import heard, rises

NOW = int(time.time()) + 3600  # entries of the audit trail are of the present
WHOLE = Entity({"miner_id": GONE}, 0, NOW + 1)


def erased(data: Path, entity: Entity = WHOLE) -> Erasure:
    return erase(places(data), entity, host=HOST, actor="test", now=NOW)


def totals(data: Path, tier: Tier = Tier.RAW) -> dict[str, tuple[int, float]]:
    """Rows and sum of every miner in the store, by a way that the code under test does not use."""
    store = EmbeddedStore(data / "lake")
    column = "hashrate_hs" if tier is Tier.RAW else "hashrate_hs_sum"
    rows = store.read(MEASUREMENTS["miner_telemetry"], tier, 0, 2**33, columns=[column]).to_pylist()
    store.close()
    values: dict[str, list[float]] = {}
    for row in rows:
        values.setdefault(row["miner_id"], []).append(row[column])
    return {name: (len(numbers), math.fsum(numbers)) for name, numbers in values.items()}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    fill(tmp_path)
    return tmp_path


def test_nothing_is_left_in_any_byte_and_others_are_as_before(data: Path) -> None:
    before = {tier: totals(data, tier) for tier in Tier}
    books_before = books(data / "spool")
    assert set(before[Tier.RAW]) == {GONE, *OTHERS}
    found = search([data], WHOLE, whole=True)
    assert {Path(path).relative_to(data).parts[0] for path in found.hits} == {"spool", "lake", "state", "logs", "audit"}

    done = erased(data)

    assert done.is_done, done
    assert done.proof.files > 30
    assert not search([data], WHOLE, whole=True).hits
    for tier in Tier:
        assert totals(data, tier) == {name: total for name, total in before[tier].items() if name != GONE}
    assert done.others
    for table, (rows_before, rows_after, sum_before, sum_after) in done.others.items():
        assert (rows_before, sum_before) == (rows_after, sum_after), table
    assert books(data / "spool")["miners"] == books_before["miners"]


def test_texts_lose_the_name_and_keep_the_rest(data: Path) -> None:
    erased(data)
    store = EmbeddedStore(data / "lake")
    rows = store.read(MEASUREMENTS["source_payload"], Tier.RAW, 0, 2**33).to_pylist()
    store.close()
    assert len(rows) == SLOTS
    assert {row["body"] for row in rows} == {f"workers erased, {', '.join(OTHERS)} seen"}
    assert OTHERS[1] in (data / "logs" / "collect_miners.log").read_text()
    assert OTHERS[1] in gzip.decompress((data / "logs" / "collect_miners.log.1.gz").read_bytes()).decode()
    kept = msgspec.json.decode((data / "state" / "miners.json").read_bytes())["miners"]
    assert [one["miner_id"] for one in kept] == list(OTHERS)


def test_the_audit_trail_tells_of_it_without_the_name_and_stays_whole(data: Path) -> None:
    done = erased(data)
    trail = Trail.open(data, HOST)
    assert verify(trail.path).is_whole
    entries = list(trail.entries())
    assert entries[0].is_redacted
    assert not entries[1].is_redacted
    (told,) = [entry for entry in entries if entry.kind == AuditKind.ERASED]
    assert told.detail is not None
    assert told.detail["hits"] == 0
    assert told.detail["bytes_searched"] == done.proof.bytes
    assert done.case in (told.subject or "")
    assert GONE.encode() not in trail.path.read_bytes()


def test_it_does_not_come_back_by_a_late_delivery_a_replay_or_upkeep(data: Path) -> None:
    erased(data)
    kept = totals(data)
    with Lane.open(data / "spool", "replay", cap_bytes=2**30) as lane:
        lane.append(batch(T0 + 60))
        accepted = LaneReader(data / "spool" / "replay").points_accepted
    deliver(data)
    assert maintain(data / "lake", NOW).troubles == []
    assert totals(data) == kept
    stored = books(data / "spool")["replay"]["lake"]
    assert (stored.accepted, stored.stored, stored.backlog) == (accepted, accepted, 0)
    assert erased(data).is_done  # what the replay has put into the spool goes too
    assert not search([data], WHOLE, whole=True).hits


def test_what_comes_after_the_range_is_kept(data: Path) -> None:
    erased(data)
    with Lane.open(data / "spool", "miners", cap_bytes=2**30) as lane:
        lane.append(batch(NOW + 60))
    deliver(data)
    assert totals(data)[GONE][0] == 1


def test_of_a_range_only_the_range_goes(data: Path) -> None:
    before = totals(data)
    with heard() as told:
        done = erased(data, Entity({"miner_id": GONE}, T0 + 3600, T0 + 7200))
    assert done.is_done, done
    assert rises(told, at_least=10)
    assert {"spool", "lake", "audit", "searching"} <= {what for _, what in told}
    after = totals(data)
    assert after[GONE][0] == before[GONE][0] - 60
    assert {name: after[name] for name in OTHERS} == {name: before[name] for name in OTHERS}
    assert totals(data, Tier.HOURLY)[GONE][0] == 2  # of three hours
    again = search([data], Entity({"miner_id": GONE}, T0 + 3600, T0 + 7200), whole=False)
    assert again.is_clean


@pytest.mark.parametrize(
    ("first", "stop", "later_days", "hours", "days"),
    [(1800, 5400, 3, [30, 30, 1], [61]), (3600, 7200, 100, [60, 1], [61])],
    ids=["it cuts hours", "it cuts a day whose raw rows have ended"],
)
def test_windows_that_a_range_cuts_are_rolled_up_again_of_what_is_left(
    data: Path, first: int, stop: int, later_days: int, hours: list[int], days: list[int]
) -> None:
    """121 polls from midnight on, one a minute."""

    def polls(tier: Tier) -> dict[str, list[int]]:
        rows = store.read(MEASUREMENTS["miner_telemetry"], tier, 0, 2**33, columns=["power_w_count"]).to_pylist()
        return {name: [r["power_w_count"] for r in rows if r["miner_id"] == name] for name in (GONE, *OTHERS)}

    store = EmbeddedStore(data / "lake")
    assert erased(data, Entity({"miner_id": GONE}, T0 + first, T0 + stop)).is_done
    assert polls(Tier.DAILY)[GONE] == []
    roll_up(store, T0 + later_days * 86_400)
    assert polls(Tier.HOURLY) == {GONE: hours, **{name: [60, 60, 1] for name in OTHERS}}
    assert polls(Tier.DAILY) == {GONE: days, **{name: [121] for name in OTHERS}}
    store.close()


def test_an_entity_of_several_tags_goes_by_its_rows(data: Path) -> None:
    done = erased(data, Entity({"miner_id": GONE, "path": "/api"}, 0, NOW + 1))
    assert done.is_done, done
    assert GONE in totals(data)
    store = EmbeddedStore(data / "lake")
    left = store.read(MEASUREMENTS["raw_payload"], Tier.RAW, 0, 2**33, columns=["status"])
    store.close()
    assert GONE not in left["miner_id"].to_pylist()
    assert left.num_rows == SLOTS * len(OTHERS)


def test_twice_changes_nothing_the_second_time(data: Path) -> None:
    erased(data)
    again = erased(data)
    assert again.is_done
    assert sum(again.counts.values()) == 0
    assert len(Tombstones(data).cases()) == 2  # the first was done, so this is a case of its own


class Killed(BaseException):
    """A kill -9 as far as Python code can show it: no handler of Exception sees it."""


@contextmanager
def killed_at(monkeypatch: pytest.MonkeyPatch, name: str, call: int) -> Iterator[None]:
    """Die at the ``call``-th call of ``name``, once it has done its work or before it."""
    module, _, attribute = name.rpartition(".")
    calls = 0
    holder = importlib.import_module(module)
    real = getattr(holder, attribute)

    def dying(*args: object, **kwargs: object) -> object:
        nonlocal calls
        calls += 1
        if calls == call:
            raise Killed
        return real(*args, **kwargs)

    with monkeypatch.context() as patched:
        patched.setattr(holder, attribute, dying)
        yield


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("storage.erasure.spool.replace_file", 2),
        ("storage.erasure.files.replace_file", 1),
        ("storage.erasure.lake.read_file", 3),
        ("storage.erasure.lake.sync", 1),
        ("storage.erasure.lake._begin_log_anew", 1),
        ("storage.erasure.lake._delete_dead", 2),
        ("storage.erasure.run.erase_from_trails", 1),
        ("storage.erasure.run.search", 1),
    ],
)
def test_killed_anywhere_the_same_call_again_finishes_the_same_case(
    data: Path, monkeypatch: pytest.MonkeyPatch, name: str, call: int
) -> None:
    before = totals(data)
    with killed_at(monkeypatch, name, call), pytest.raises(Killed):
        erased(data)
    (case,) = Tombstones(data).cases()
    done = erased(data)
    assert done.is_done, done
    assert done.case == case.number
    assert totals(data) == {name: total for name, total in before.items() if name != GONE}
    assert verify(Trail.open(data, HOST).path).is_whole


def test_a_lane_in_use_is_waited_for_and_then_named(data: Path) -> None:
    with (
        Lane.open(data / "spool", "miners", cap_bytes=2**30),
        pytest.raises(TryAgain, match="lane miners is in use by process"),
    ):
        erase_from_spool(data / "spool", WHOLE, patience_s=0)


def test_a_damaged_file_stops_it_and_is_named(data: Path) -> None:
    path = max((data / "lake" / "mining_raw" / "miner_telemetry").glob("date=*/*"), key=lambda p: p.stat().st_size)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(bytes(content))
    with pytest.raises(NeedsHuman, match=path.name):
        erased(data)
    assert Tombstones(data).cases()[0].state == "begun"


@pytest.mark.parametrize("tags", [{}, {"miner_id": ""}, {"miner_id": "  "}])
def test_an_entity_without_a_name_is_refused(tags: dict[str, str]) -> None:
    with pytest.raises(NeedsHuman):
        Entity(tags)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("rig1", True), ('"rig1"', True), ("rig1: timeout", True), ("it is rig1.", True), ("a,rig1,b", True),
        ("rig10", False), ("rig1.a", False), ("a.rig1", False), ("rig1-b", False), ("big rig 1", False),
        ("xrig1", False),
    ],
)  # fmt: skip
def test_a_name_is_found_as_a_whole_only(text: str, found: bool) -> None:
    entity = Entity({"miner_id": "rig1"})
    assert entity.mentions(text) is found
    assert entity.in_bytes is not None
    assert bool(entity.in_bytes.search(text.encode())) is found


def test_a_name_is_found_as_json_writes_it() -> None:
    entity = Entity({"worker_id": 'mü"ller\\1'})
    assert entity.in_bytes is not None
    assert entity.in_bytes.search(msgspec.json.encode({"a": 'mü"ller\\1'}))
    assert entity.in_bytes.search(b'{"a":"m\\u00fc\\"ller\\\\1"}')
