"""The online store never goes back in time; that it says the same as the offline one: test_both_the_same.py."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.errors import NeedsHuman, TryAgain
from storage.features.online import OnlineStore
from storage.features.rows import feature_schema, with_entity
from tests.downsample.memory_store import MemoryStore
from tests.features.farm import HOUR, HOURLY, T, follow, poll

NAMES = [feature.name for feature in HOURLY.features]


def rows_of(*rows: tuple[str, int, int, float | None]) -> pa.Table:
    """Published rows of (entity, event, known, hashrate)."""
    made = [
        {"time": event * 1_000_000, "miner_id": entity, "known": known, "backfilled": False, "hashrate_hs": rate}
        for entity, event, known, rate in rows
    ]
    return with_entity(HOURLY, pa.Table.from_pylist(made, schema=feature_schema(HOURLY)))


@settings(max_examples=30, deadline=None)
@given(rows=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=12, unique=True))
def test_in_whatever_order_rows_come_the_newest_stands(
    rows: list[tuple[int, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    with OnlineStore(tmp_path_factory.mktemp("online") / "online.sqlite") as online:
        for event, known in rows:
            online.put(HOURLY, rows_of(("m1", event, known, float(10 * event + known))))
        reading = online.get(HOURLY, "m1", 5)
        assert (reading.event, reading.known) == max(rows)
        assert reading.values["hashrate_hs"] == 10 * max(rows)[0] + max(rows)[1]


def test_it_does_not_answer_for_the_past(tmp_path: Path) -> None:
    """The value that counted a quarter of an hour before its newest row was known is not in it."""
    with OnlineStore(tmp_path / "online.sqlite") as online:
        online.put(HOURLY, rows_of(("m1", T, T + 1800, 1.0)))
        with pytest.raises(NeedsHuman, match="Ask the offline store for the past"):
            online.get(HOURLY, "m1", T + 900)


def test_a_row_is_taken_once(tmp_path: Path) -> None:
    with OnlineStore(tmp_path / "online.sqlite") as online:
        assert online.put(HOURLY, rows_of(("m1", T, T, 1.0), ("m2", T, T, 1.0))) == 2
        assert online.put(HOURLY, rows_of(("m1", T, T, 1.0), ("m2", T - HOUR, T + HOUR, 9.0))) == 0
        assert online.put(HOURLY, rows_of(("m1", T, T + 1, 2.0))) == 1


def test_floats_come_back_bit_for_bit(tmp_path: Path) -> None:
    values = [0.1 + 0.2, 1e-310, 1.7976931348623157e308, -0.0, 2**53 + 2.0]
    with OnlineStore(tmp_path / "online.sqlite") as online:
        for value in values:
            online.put(HOURLY, rows_of((str(value), T, T, value)))
            got = online.get(HOURLY, str(value), T).values["hashrate_hs"]
            assert isinstance(got, float)
            assert got.hex() == value.hex()


def test_expired_absent_and_missing_are_three_things(tmp_path: Path) -> None:
    with OnlineStore(tmp_path / "online.sqlite") as online:
        online.put(HOURLY, rows_of(("m1", T, T, 1.0)))
        good = online.get(HOURLY, "m1", T + HOURLY.ttl_s)
        assert good.values["hashrate_hs"] == 1.0
        assert good.reasons["power_w"] == "missing"
        old = online.get(HOURLY, "m1", T + HOURLY.ttl_s + 1)
        assert set(old.values.values()) == {None}
        assert old.reasons == dict.fromkeys(NAMES, "expired")
        assert old.event == T
        assert online.get(HOURLY, "m9", T).reasons == dict.fromkeys(NAMES, "absent")


def test_an_entity_can_be_forgotten_to_the_last_byte(tmp_path: Path) -> None:
    path = tmp_path / "online.sqlite"
    with OnlineStore(path) as online:
        online.put(HOURLY, rows_of(("site01-r00-u07", T, T, 1.0), ("m2", T, T, 2.0)))
        assert (
            online.forget(
                lambda view, entity, event, told: (view, event) == ("miner_hourly_v1", T) and entity[0] == "s"
            )
            == 1
        )
        assert online.entities(HOURLY) == ["m2"]
        held = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert b"site01-r00-u07" not in held
    assert b"m2" in held


def test_while_somebody_reads_it_is_not_said_to_be_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "online.sqlite"
    with OnlineStore(path, wait_s=0) as online:
        online.put(HOURLY, rows_of(("m1", T, T, 1.0)))
        reader = sqlite3.connect(path, isolation_level=None)
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM latest").fetchall()
        with pytest.raises(TryAgain, match="is being read"):
            online.forget(lambda *_: True)
        reader.close()
        assert online.forget(lambda *_: True) == 0


def test_a_file_that_is_no_store_is_named(tmp_path: Path) -> None:
    path = tmp_path / "online.sqlite"
    path.write_bytes(b"not a database, but long enough to be taken for one" * 20)
    with pytest.raises(NeedsHuman, match=r"online\.sqlite cannot be opened"):
        OnlineStore(path)


def test_a_lost_file_is_filled_again(tmp_path: Path) -> None:
    store = MemoryStore()
    follow(store, tmp_path, T)
    poll(store, ["m1"], T, 100e12, at=T + HOUR)
    follow(store, tmp_path, T + HOUR + 300)
    for file in tmp_path.glob("online.sqlite*"):
        file.unlink()
    follow(store, tmp_path, T + HOUR + 600)
    with OnlineStore(tmp_path / "online.sqlite") as online:
        assert online.get(HOURLY, "m1", T + 2 * HOUR).values["hashrate_hs"] == 100e12


def test_a_host_that_did_not_publish_follows_by_its_own_next_run(tmp_path: Path) -> None:
    """Of two hosts on one lake each has an online store; both publish in turns, and the other's rows come along."""
    store, hosts = MemoryStore(), [tmp_path / "a", tmp_path / "b"]
    for host in hosts:
        host.mkdir()
        (host / "lake").symlink_to(tmp_path / "lake")
    (tmp_path / "lake").mkdir()
    follow(store, hosts[0], T)
    follow(store, hosts[1], T + 60)
    for hour, host in enumerate((hosts[0], hosts[1], hosts[0])):
        poll(store, [f"m{hour}", "m9"], T + hour * HOUR, 1e14 + hour, at=T + (hour + 1) * HOUR)
        assert follow(store, host, T + (hour + 1) * HOUR + 300).rows == {"miner_hourly": 2}
    assert follow(store, hosts[1], T + 3 * HOUR + 301).rows == {}
    told = []
    for host in hosts:
        with OnlineStore(host / "online.sqlite") as online:
            told.append([online.get(HOURLY, miner, T + 4 * HOUR) for miner in online.entities(HOURLY)])
    assert [reading.entity for reading in told[0]] == ["m0", "m1", "m2", "m9"]
    assert told[0] == told[1]


def test_readers_see_whole_rows_while_one_writes(tmp_path: Path) -> None:
    path = tmp_path / "online.sqlite"
    with OnlineStore(path) as writer, OnlineStore(path) as reader:
        writer.put(HOURLY, rows_of(("m1", T, T, 1.0)))
        held = sqlite3.connect(path, isolation_level=None)
        held.execute("BEGIN IMMEDIATE")
        held.execute("UPDATE latest SET known = known + 1")
        assert reader.get(HOURLY, "m1", T).known == T
        held.execute("COMMIT")
        held.close()
        assert reader.get(HOURLY, "m1", T).known == T + 1


def test_a_file_that_breaks_meanwhile_is_named_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "online.sqlite"
    with OnlineStore(path) as online:
        for number in range(200):
            online.put(HOURLY, rows_of((f"m{number}", T, T, 1.0)))
    content = bytearray(path.read_bytes())
    content[4096:] = b"x" * (len(content) - 4096)
    path.write_bytes(content)
    with OnlineStore(path) as online:
        for ask in (lambda: online.get(HOURLY, "m1", T), lambda: online.entities(HOURLY)):
            with pytest.raises(NeedsHuman, match=r"online\.sqlite cannot be read: .*Delete the file: the next publ"):
                ask()


def test_what_is_read_of_a_table_is_not_erased_before_it_is_put_in(tmp_path: Path) -> None:
    path = tmp_path / "online.sqlite"
    with OnlineStore(path) as follower, OnlineStore(path, wait_s=0) as eraser:
        with follower.writing() as put:
            rows = rows_of(("gone", T, T, 1.0))  # read before the erasure of the table
            with pytest.raises(TryAgain, match="locked"):
                eraser.forget(lambda *_: True)
            assert put(HOURLY, rows, T) == 1
        assert eraser.forget(lambda *_: True) == 1
        assert follower.entities(HOURLY) == []
