"""What an override is about is not judged: nothing new fires, what fires stays and is muted, crowds do not count it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from storage.frame import Value
from storage.store import Store
from tasks.alerts.book import Book
from tasks.alerts.rules import RULES
from tasks.alerts.settings import AlertSettings
from tasks.alerts.watch import Watch, ask
from tasks.overrides.file import OverrideFile
from tasks.overrides.override import Kind, Target
from tests.alerts.shelf import Shelf, rows
from tests.alerts.world import WELL, World, miner
from tests.overrides.given import T, override

OFF = {"enabled": False}
NOT_ASKED = RULES.keys() - {"miner_failed", "miner_stale", "many_miner_stale", "many_miner_failed"}
"""The rest only takes time here."""


class Looking:
    """Miners m1 to m4 of one rack, a watch every minute, and all that it told."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.store, self.now = folder, Shelf(), T
        self.told: list[str] = []
        self.watch = Watch(
            lambda: cast("Store", self.store),
            folder,
            miners=[miner(f"m{number}", f"rack_1_position_{number}") for number in range(1, 5)],
            pool_ids=frozenset(),
            settings=AlertSettings.model_validate(
                {"channels": [{"name": "ops", "url": "json://127.0.0.1"}], "rules": {name: OFF for name in NOT_ASKED}}
            ),
            send=lambda _url, message: self.told.append(message.title),
        )

    def minutes(self, number: int, **wrong: dict[str, Any]) -> None:
        for _ in range(number):
            for name in ("m1", "m2", "m3", "m4"):
                fields = {"miner_id": name, "model": "S19", "site": "north", **WELL, **wrong.get(name, {})}
                if fields.pop("silent", False) is False:
                    self.store.write([rows("miner_telemetry", fields, time=self.now)])
            self.watch.look(self.now + 1.0)
            self.now += 60

    @property
    def muted(self) -> dict[str, str]:
        look = Book.open(self.folder / "state").last_look()
        assert look is not None
        return look.muted


def test_nothing_new_fires_of_a_miner_in_maintenance_and_after_it_everything_does(tmp_path: Path) -> None:
    farm = Looking(tmp_path)
    OverrideFile(tmp_path / "state").put(override("m1", Kind.FORCE, state="maintenance", until=T + 300.0))
    farm.minutes(5, m1={"state": "failed"}, m2={"state": "failed"})
    assert farm.told == ["[critical] miner_failed: m2"]
    farm.minutes(4, m1={"state": "failed"}, m2={"state": "failed"})
    assert farm.told == ["[critical] miner_failed: m2", "[critical] miner_failed: m1"]


def test_what_fires_already_stays_is_muted_with_the_reason_and_is_told_over_after_the_pause(tmp_path: Path) -> None:
    farm = Looking(tmp_path)
    farm.minutes(4, m1={"state": "failed"})
    assert farm.told == ["[critical] miner_failed: m1"]
    OverrideFile(tmp_path / "state").put(override("m1", made=farm.now, until=farm.now + 600.0))
    farm.minutes(9, m1={"silent": True})
    assert farm.told == ["[critical] miner_failed: m1"], "neither stale nor resolved"
    (reason,) = farm.muted.values()
    assert reason.startswith("paused by hand until")
    farm.minutes(8)
    assert farm.told[1:] == ["[resolved] miner_failed: m1"]


def test_miners_that_are_paused_make_no_crowd(tmp_path: Path) -> None:
    farm = Looking(tmp_path)
    file = OverrideFile(tmp_path / "state")
    farm.minutes(1)
    for name in ("m1", "m2", "m3"):
        file.put(override(name))
    away: dict[str, Any] = {"silent": True}
    farm.minutes(7, m1=away, m2=away, m3=away, m4=away)
    assert farm.told == ["[warning] miner_stale: m4"]


def test_a_paused_source_is_not_told_to_be_away_and_its_workers_are_not_judged(tmp_path: Path) -> None:
    world = World(tmp_path)
    failed: dict[str, Value] = {"host": "h", "request": "workers", "ok": False, "failure": "unreachable"}
    for second in range(0, 7_200, 600):
        world.store.write(
            [
                rows(
                    "source_request",
                    *({**failed, "source": name} for name in ("ltc", "gecko")),
                    time=T - 7_200 + second,
                )
            ]
        )
    worker: dict[str, Value] = {"pool_id": "ltc", "worker_id": "w1", "algorithm": "scrypt", "status": "offline"}
    world.put("pool_performance", worker)
    assert {"ltc"} == set(world.find("pool_away"))
    file = OverrideFile(tmp_path / "state")
    for name in ("ltc", "gecko"):
        file.put(override(name, target=Target.SOURCE))
    asked, not_asked = ask(RULES, world.facts())
    found = asked.found
    assert not not_asked
    for rule in ("pool_away", "market_source_away", "worker_offline"):
        assert found[rule].findings == (), rule
    assert {"ltc", "gecko"} <= found["pool_away"].unknown
    assert "w1" in found["worker_offline"].unknown
