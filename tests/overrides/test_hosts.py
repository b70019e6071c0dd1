"""Overrides where several hosts ask: set where they are followed, and known to the watch at another host."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from deployments.command import app
from deployments.farm.faults import Fault
from storage.errors import TryAgain
from storage.frame import Value
from storage.lake.store import EmbeddedStore
from storage.store import Store
from tasks.alerts.settings import AlertSettings
from tasks.alerts.watch import Watch
from tasks.overrides.file import OverrideFile
from tasks.overrides.hosts import Asking, asking
from tasks.overrides.override import STATES, Kind, Override
from tasks.responses.acting import CannotDo, Hands
from tasks.responses.book import ResponseBook
from tasks.responses.response import Act
from tasks.shift.journal import Journal
from tests.alerts.shelf import Shelf, rows
from tests.alerts.world import WELL, miner
from tests.health.test_exposition import report
from tests.overrides.given import T, override
from tests.responses.stand import T as BEGIN
from tests.responses.stand import stand

LANES = ("miners", "miners-north")


def ticked(state: Path, lane: str, slot: int) -> None:
    Journal(state, lane).write(report(lane=lane, slot=slot))


def away() -> Store:
    raise TryAgain("the store does not answer")


def having(*ticks: tuple[str, str, int]) -> Callable[[], Store]:
    """Opens a store that has ticks: host, lane and seconds ago."""
    shelf = Shelf()
    for host, lane, ago in ticks:
        shelf.write([rows("collector_tick", {"host": host, "lane": lane, "polled": 1}, time=T - ago)])
    return lambda: cast("Store", shelf)


@pytest.mark.parametrize(
    ("ticked_ago", "store", "found"),
    [
        (30, away, Asking(here=True)),
        (30, having(("edge-b", "miners-north", 20)), Asking(here=True)),
        (None, having(("edge-b", "miners-north", 20)), Asking(here=False, elsewhere="edge-b")),
        (None, having(("edge-b", "miners", 90), ("edge-c", "miners-north", 20)), Asking(False, "edge-c")),
        (None, having(("edge-b", "pools", 20)), Asking(here=False)),
        (None, having(("edge-b", "miners-north", 4_000)), Asking(here=False)),
        (None, having(("edge-a", "miners-north", 20)), Asking(here=True)),
        (None, away, Asking(here=False)),
        (7_200, away, Asking(here=True)),  # it stands still, and an override must work then as well
        (7_200, having(("edge-b", "miners-north", 20)), Asking(here=False, elsewhere="edge-b")),  # it took over
    ],
)
def test_who_asks(tmp_path: Path, ticked_ago: int | None, store: Callable[[], Store], found: Asking) -> None:
    if ticked_ago is not None:
        ticked(tmp_path, "miners-north", T - ticked_ago)
    assert asking(LANES, tmp_path, store, host="edge-a", now=float(T)) == found


@pytest.fixture
def command(tmp_path: Path) -> Callable[..., Any]:
    """``lodeline override``, with a site ``north`` and one that is not polled from here."""
    sites = {"north": "127.0.0.1", "south": "127.0.0.2"}
    miners = [{"id": f"m_{site}", "ip": ip, "model": "S19", "site": site} for site, ip in sites.items()]
    told = {"sites": list(sites), "miners": miners, "market_data": {"coingecko": {}}}
    (tmp_path / "data_collection_config.yaml").write_text(yaml.safe_dump(told))
    runner = CliRunner(env={"LODELINE_CONFIG": str(tmp_path), "LODELINE_DATA_DIRECTORY": str(tmp_path / "data")})
    ticked(tmp_path / "data" / "state", "miners-north", int(time.time()) - 30)
    return lambda *words: runner.invoke(app, ["override", *words])


def test_what_another_host_asks_is_refused_and_the_host_named(command: Callable[..., Any], tmp_path: Path) -> None:
    done = command("pause", "miner", "m_north", "--why", "x")
    assert done.exit_code == 0, done.output
    refused = command("pause", "miner", "m_south", "--why", "x")
    assert refused.exit_code == 2
    assert f"stands at site south, and {socket.gethostname()} has never polled there" in refused.output
    store = EmbeddedStore(tmp_path / "data" / "lake")
    tick: dict[str, Value] = {"lane": "miners-south", "polled": 1}
    store.write([rows("collector_tick", {"host": "edge-south", **tick}, time=int(time.time()) - 40)])
    store.write([rows("collector_tick", {"host": "office", **tick, "lane": "pools"}, time=int(time.time()) - 40)])
    store.close()
    refused = command("force", "miner", "m_south", "--state", "maintenance", "--why", "x")
    assert refused.exit_code == 2
    assert "miner m_south is asked by host edge-south, and this is" in refused.output
    assert "Say it on edge-south" in refused.output
    refused = command("pause", "source", "coingecko", "--why", "x")
    assert "source coingecko is asked by host office" in refused.output
    assert [one.subject for one in OverrideFile(tmp_path / "data" / "state").read()] == ["m_north"]
    assert json.loads(command("list", "--json").output)["overrides"][0]["subject"] == "m_north"


@given(
    st.sampled_from([(Kind.PAUSE, ""), *((Kind.FORCE, state) for state in STATES)]),
    st.integers(T, T + 30 * 86_400),
    st.text(min_size=1).map(str.strip).filter(bool),
)
def test_what_is_told_in_words_is_read_from_them(what: tuple[Kind, str], until: int, why: str) -> None:
    kind, state = what
    given = override("m1", kind, state=state, until=float(until), why=why)
    read = Override.from_words(given.in_words(), miner_id="m1", made=given.made)
    assert read == msgspec.structs.replace(given, id="told m1")
    assert Override.from_words("detected anew", miner_id="m1", made=0.0) is None


class Office:
    """A watch that polls nobody, and a miner of a site that falls silent after its first reading."""

    def __init__(self, folder: Path, *, several_hosts: bool) -> None:
        self.store, self.now, self.told = Shelf(), T, list[str]()
        self.store.write([rows("miner_telemetry", {"miner_id": "m1", "model": "S19", "site": "north", **WELL}, time=T)])
        names = ("miner_stale",)
        off = {name: {"enabled": False} for name in AlertSettings().rules_in_force() if name not in names}
        told = {"channels": [{"name": "ops", "url": "json://127.0.0.1"}], "rules": off}
        self.watch = Watch(
            lambda: cast("Store", self.store),
            folder,
            miners=[miner("m1")],
            pool_ids=frozenset(),
            settings=AlertSettings.model_validate(told),
            send=lambda _url, message: self.told.append(message.title),
            several_hosts=several_hosts,
        )

    def event(self, kind: str, new: str | None) -> None:
        row: dict[str, Value] = {"miner_id": "m1", "model": "S19", "site": "north", "kind": kind, "subject": "miner"}
        self.store.write([rows("miner_event", {**row, "severity": "info", "new": new}, time=self.now)])

    def minutes(self, number: int) -> None:
        for _ in range(number):
            self.now += 60
            self.watch.look(self.now + 1.0)


def test_the_watch_knows_what_was_set_at_the_host_that_polls(tmp_path: Path) -> None:
    office = Office(tmp_path, several_hosts=True)
    office.event("override_began", override("m1", until=T + 86_400.0).in_words())
    office.minutes(10)
    assert office.told == []
    office.event("override_ended", None)
    office.minutes(5)
    assert office.told == ["[warning] miner_stale: m1"]


def test_one_that_ran_out_while_its_host_was_down_mutes_no_more(tmp_path: Path) -> None:
    office = Office(tmp_path, several_hosts=True)
    office.event("override_began", override("m1", until=T + 300.0).in_words())
    office.minutes(5)
    assert office.told == []
    office.minutes(5)
    assert office.told == ["[warning] miner_stale: m1"]


def test_where_there_is_one_host_its_file_says_it_all(tmp_path: Path) -> None:
    office = Office(tmp_path, several_hosts=False)
    office.event("override_began", override("m1", until=T + 86_400.0).in_words())
    office.minutes(10)
    assert office.told == ["[warning] miner_stale: m1"]


async def test_no_response_orders_what_another_host_would_have_to_follow(tmp_path: Path) -> None:
    auto = miner("m1").model_copy(update={"driver": "auto"})
    hands = Hands({"m1": auto}, tmp_path, elsewhere=lambda _act, _subject, _now: "edge-b")
    for act, subject in ((Act.REDETECT, "m1"), (Act.PAUSE_SOURCE, "coingecko")):
        with pytest.raises(CannotDo, match=r"host edge-b asks it, and follows its own overrides alone"):
            await hands.plan(act, subject, hours=1.0, slot=T)
    assert (await hands.plan(Act.SHED_LOW_PRIORITY, "edge-a", hours=1.0, slot=T)).words.startswith("leave out")


async def test_no_response_touches_what_is_paused_at_the_host_that_polls(tmp_path: Path) -> None:
    async with stand(tmp_path, (0,)) as farm:
        one = farm.farm.miners[0].miner_id
        farm.farm.inject(one, Fault(kind="fans_slow", start=BEGIN - 3_600.0))
        began: dict[str, Value] = {"miner_id": one, "model": "S19", "site": "north", "kind": "override_began"}
        words = override(one, until=BEGIN + 86_400.0).in_words()
        farm.store.write(
            [rows("miner_event", {**began, "subject": "miner", "severity": "info", "new": words}, time=BEGIN)]
        )
        farm.responder = farm.new_responder(several_hosts=True)
        await farm.minutes(4)
        assert farm.responses() == {}
        book = ResponseBook.open(tmp_path / "state")
        assert [why.partition(" until ")[0] for why in book.held_back().values()] == ["paused by hand"]
        book.close()
