"""Alerts of the page, from a book as the watch writes it; see world.py."""

from pathlib import Path

import pytest

from deployments.page.alerts import Alerts, acknowledge_alerts, read_alerts
from deployments.page.alerts_view import body, told
from storage.errors import NeedsHuman
from tasks.alerts.book import Book, Look
from tasks.alerts.composite import FARM
from tasks.alerts.life_cycle import Event
from tasks.alerts.rule import Level
from tests.page import world

NOW = 1_795_478_400.0
CHANNELS = ("mail", "sms", "pager")


@pytest.fixture
def state(tmp_path: Path) -> Path:
    world.tell_alerts(tmp_path, NOW)
    return tmp_path


def test_alerts_of_one_rule_and_site_are_one_group_the_worst_first(state: Path) -> None:
    found = read_alerts(state, CHANNELS)
    assert [(group.name, group.site, group.level, len(group.lines)) for group in found.groups] == [
        ("chip too hot", "hall-1", "critical", 3), ("board lost", "hall-1", "warning", 1),
    ]  # fmt: skip
    assert (found.firing, found.loud) == (4, 4)
    said = body(found)
    assert "chip too hot: 3" in said
    assert 'aria-label="Acknowledge all: chip too hot"' in said
    assert '<a href="/miner/s02" title="s02">s02</a>' in said


def test_an_alert_of_a_composite_rule_links_to_its_miner_and_one_of_the_farm_to_none(state: Path) -> None:
    book = Book.open(state)
    with book.transaction():
        book.put_alert(world.alert("hot_and_slow", "s03", Level.WARNING, NOW, "chip_too_hot and hashrate_low"))
        book.put_alert(world.alert("cheap_power", FARM, Level.INFO, NOW, "price_usd below 0.02"))
    book.close()
    lines = {group.rule: group.lines[0].miner_id for group in read_alerts(state).groups}
    assert (lines["hot_and_slow"], lines["cheap_power"]) == ("s03", None)
    said = body(read_alerts(state))
    assert '<a href="/miner/s03" title="s03">s03</a>' in said
    assert f"cheap power: {FARM}" in said


def test_a_group_is_acknowledged_all_or_none(state: Path) -> None:
    group = read_alerts(state).groups[0]
    assert acknowledge_alerts(state, [*group.to_acknowledge, "gone"], NOW, 8.0) == 3
    found = read_alerts(state)
    assert [(one.name, one.quiet, len(one.lines)) for one in found.groups] == [
        ("board lost", False, 1), ("chip too hot", True, 3),
    ]  # fmt: skip
    assert found.groups[1].to_acknowledge == ()
    assert "Acknowledge all" not in body(found)
    book = Book.open(state)
    assert [change.event for change in book.changes(0)] == [Event.ACKNOWLEDGED] * 3
    book.close()


def test_a_muted_alert_is_apart_from_those_that_are_told(state: Path) -> None:
    loud = world.alert("chip_too_hot", "s08", Level.CRITICAL, NOW, "chips at 99 °C")
    book = Book.open(state)
    with book.transaction():
        book.put_alert(loud)
        book.note_look(Look(at=NOW, muted={loud.id: "silenced by ann"}))
    book.close()
    found = read_alerts(state)
    assert [(one.name, one.quiet, len(one.lines)) for one in found.groups][-1] == ("chip too hot", True, 1)
    assert "silenced by ann" in body(found)
    assert "4 to be looked at, 1 muted or acknowledged" in told(found, NOW)


def test_each_channel_says_when_it_was_last_told_and_what_is_wrong(state: Path) -> None:
    mail, sms, pager = read_alerts(state, CHANNELS).channels
    assert (mail.last_success, mail.trouble) == (NOW - 240, None)
    assert (sms.last_success, sms.last_failure, sms.trouble) == (NOW - 90_000, NOW - 100, "refused: no credit")
    assert (pager.last_success, pager.last_failure) == (None, None)
    said = body(read_alerts(state, CHANNELS))
    assert ": refused: no credit" in said
    assert "never told anything: lodeline alerts test" in said
    assert "No channel is configured" in body(Alerts((), NOW))


def test_a_watch_that_stands_still_is_told(state: Path) -> None:
    assert "is watch-alerts running?" in told(read_alerts(state), NOW + 301)
    assert "is watch-alerts running?" not in told(read_alerts(state), NOW + 299)


def test_no_book(tmp_path: Path) -> None:
    found = read_alerts(tmp_path, CHANNELS)
    assert (found.groups, found.looked, len(found.channels)) == ((), None, 3)
    assert "flow watch-alerts has not looked yet" in told(found, NOW)
    with pytest.raises(NeedsHuman, match="there is no book of alerts"):
        acknowledge_alerts(tmp_path, ["x"], NOW, 8.0)
