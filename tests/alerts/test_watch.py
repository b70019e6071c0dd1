"""The watch and its book: what is told once is told once, through failures, kills and an absent store."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any, cast

import pytest
from pydantic import SecretStr

from storage.declaration.event import ALERT_EVENT
from storage.errors import NeedsHuman, TryAgain
from storage.frame import Value
from storage.store import Store
from tasks.alerts import watch as watching
from tasks.alerts.book import FILE_NAME, Book
from tasks.alerts.life_cycle import Event
from tasks.alerts.rules import RULES
from tasks.alerts.settings import AlertSettings
from tasks.alerts.telling import Message
from tasks.alerts.watch import Watch, ask
from tests.alerts.shelf import Shelf, rows
from tests.alerts.world import WELL, miner

T = 1_800_000_000
FAILED: dict[str, Value] = {"miner_id": "m1", "model": "S19", "site": "north", **WELL, "state": "failed"}


class Channel:
    """Takes messages, or does not."""

    def __init__(self) -> None:
        self.got: list[Message] = []
        self.trouble: str | None = None
        self.asked = 0

    def __call__(self, _url: SecretStr, message: Message) -> str | None:
        self.asked += 1
        if self.trouble is None:
            self.got.append(message)
        return self.trouble


class Farm:
    """One miner in an embedded store, and a watch that looks every minute."""

    def __init__(self, folder: Path, **alerts: Any) -> None:
        self.folder = folder
        self.store = cast("Store", Shelf())
        self.channel = Channel()
        channels = [{"name": "ops", "url": "json://127.0.0.1", "messages_per_hour": 3}]
        self.settings = AlertSettings.model_validate({"channels": channels, **alerts})
        self.opened = self._watch()
        self.now = T

    def _watch(self) -> Watch:
        return Watch(
            lambda: self.store,
            self.folder,
            miners=[miner("m1")],
            pool_ids=frozenset(),
            settings=self.settings,
            send=self.channel,
        )

    def minutes(self, number: int, **fields: Any) -> None:
        for _ in range(number):
            self.store.write([rows("miner_telemetry", FAILED | fields, time=self.now)])
            self.opened.look(self.now + 1.0)
            self.now += 60

    def restart(self) -> None:
        self.opened = self._watch()

    @property
    def titles(self) -> list[str]:
        return [message.title for message in self.channel.got]

    def book(self) -> Book:
        return Book.open(self.folder / "state")


def test_an_alert_is_told_once_and_its_end_once_over_restarts(tmp_path: Path) -> None:
    farm = Farm(tmp_path)
    for _ in range(4):
        farm.minutes(1)
        farm.restart()
    assert farm.titles == ["[critical] miner_failed: m1"]
    for _ in range(6):
        farm.minutes(1, state="mining")
        farm.restart()
    assert farm.titles == ["[critical] miner_failed: m1", "[resolved] miner_failed: m1"]
    history = farm.store.newest(ALERT_EVENT, T)
    assert sorted(history["event"].to_pylist()) == ["fired", "resolved"]


def test_a_channel_that_fails_gets_it_later_and_once(tmp_path: Path) -> None:
    farm = Farm(tmp_path)
    farm.channel.trouble = "it is down"
    farm.minutes(5)
    assert farm.channel.asked == 2, "at once and a minute later; then the waits grow"
    (standing,) = farm.book().channels()
    assert (standing.trouble, standing.waiting, standing.last_success) == ("it is down", 1, None)
    farm.channel.trouble = None
    farm.minutes(5)
    assert farm.titles == ["[critical] miner_failed: m1"]
    (standing,) = farm.book().channels()
    assert (standing.trouble, standing.waiting) == (None, 0)


def test_a_message_is_given_up_after_a_day(tmp_path: Path) -> None:
    farm = Farm(tmp_path, repeat_hours=168)
    farm.channel.trouble = "it is down"
    farm.minutes(4)
    farm.now += 90_000
    farm.minutes(1)
    (standing,) = farm.book().channels()
    assert standing.waiting == 0


@pytest.mark.parametrize("point", ["advance", "due", "worded", "frame_of"])
def test_a_kill_within_a_look_neither_loses_nor_doubles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    farm = Farm(tmp_path)
    farm.minutes(2)

    class Killed(BaseException):
        pass

    def dies(*_args: object, **_named: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(watching, point, dies)
        with pytest.raises(Killed):
            farm.minutes(1)
    farm.restart()
    farm.minutes(3)
    assert farm.titles == ["[critical] miner_failed: m1"]
    history = farm.store.newest(ALERT_EVENT, T)
    assert history["event"].to_pylist() == ["fired"]


def test_without_a_store_the_pipeline_is_watched_and_miners_stay_as_they_are(tmp_path: Path) -> None:
    class Away:
        def newest(self, *_args: object, **_named: object) -> None:
            raise TryAgain("refused")

        def close(self) -> None:
            pass

    farm = Farm(tmp_path)
    farm.minutes(4)
    there = farm.store
    farm.store = Away()  # type: ignore[assignment]
    farm.restart()
    for _ in range(5):
        farm.opened.look(farm.now + 1.0)
        farm.now += 60
    assert farm.titles == ["[critical] miner_failed: m1", "[critical] store_away: store"]
    book = farm.book()
    look = book.last_look()
    assert look is not None
    assert set(look.not_asked) == {name for name, rule in RULES.items() if rule.needs_store}
    assert len(book.unstored()) == 1, "it fired while the store was away, and is history all the same"
    farm.store = there
    farm.restart()
    farm.minutes(3)
    assert farm.titles[2:] == ["[resolved] store_away: store"]
    assert farm.book().unstored() == []
    assert sorted(there.newest(ALERT_EVENT, T)["rule"].to_pylist()) == ["miner_failed", "store_away", "store_away"]


def test_no_more_messages_than_allowed_and_the_rest_comes_together(tmp_path: Path) -> None:
    farm = Farm(tmp_path, rules={"miner_failed": {"for_seconds": 0, "keep_seconds": 0}})
    for _ in range(4):  # fires and is resolved again and again, until it is seen to flap
        farm.minutes(1)
        farm.minutes(1, state="mining")
    assert len(farm.titles) == 3


def test_a_rule_that_fails_is_shown_and_does_not_blind_the_others(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from dataclasses import replace

    farm = Farm(tmp_path)
    farm.minutes(1)

    def broken(_facts: object, _limit: float | None) -> Any:
        raise KeyError("chip_temp_max_c")

    facts = farm.opened._facts(T + 1.0)
    rules = RULES | {"chip_too_hot": replace(RULES["chip_too_hot"], find=broken)}
    asked, not_asked = ask(rules, facts)
    assert not_asked == {"chip_too_hot": "KeyError: 'chip_temp_max_c'"}
    assert asked.found.keys() == rules.keys() - {"chip_too_hot"}
    assert "rule chip_too_hot fails" in caplog.text


def test_a_damaged_book_is_named(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"no database" * 1_000)
    with pytest.raises(NeedsHuman, match=r"alerts\.sqlite cannot be opened"):
        Book.open(tmp_path)


def test_a_book_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    Book.open(tmp_path).close()
    with sqlite3.connect(tmp_path / FILE_NAME) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(NeedsHuman, match="version 99"):
        Book.open(tmp_path)


def test_the_book_is_for_its_user_alone(tmp_path: Path) -> None:
    Book.open(tmp_path).close()
    assert (tmp_path / FILE_NAME).stat().st_mode & 0o077 == 0


def test_acknowledged_while_the_watch_looks_is_not_lost(tmp_path: Path) -> None:
    from tasks.alerts.life_cycle import acknowledge

    farm = Farm(tmp_path)
    farm.minutes(4)
    book = farm.book()
    with book.transaction():
        (alert,) = book.alerts().values()
        known, change = acknowledge(alert, by="ana", now=farm.now, hours=8)
        book.put_alert(known)
        book.add_changes([change])
    farm.minutes(2)
    (alert,) = book.alerts().values()
    assert alert.acknowledged_by == "ana"
    assert [change.event for change in book.changes(0)] == [Event.FIRED, Event.ACKNOWLEDGED]
