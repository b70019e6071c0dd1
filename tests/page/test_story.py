"""What the page tells of one miner, from the rows of world.py."""

from pathlib import Path

import pytest

from deployments.page.alerts import read_alerts
from deployments.page.configured import Configured
from deployments.page.story import EVENTS, Story, read_story
from deployments.page.story_view import advice, events, money, odd
from tasks.collection_settings import CollectionSettings
from tests.page import world

STOP = 1_795_478_400 // 86_400 * 86_400 + 8 * 3_600
NOW = STOP + 1_200
CONFIGURED = Configured.of(CollectionSettings.model_validate(world.settings()))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("story")
    world.stored(where, [world.money(STOP), *world.happened(NOW)]).close()
    return where


def read(folder: Path, miner_id: str) -> Story:
    store = world.stored(folder)
    found = read_story(store, CONFIGURED, miner_id, NOW)
    store.close()
    return found


def test_money_of_a_miner(folder: Path) -> None:
    said = money(read(folder, "s02"))
    assert ">1.80 USD<" in said  # six hours of today at 0.30 USD
    assert ">13.80 USD<" in said  # 46 hours are stored
    assert ">46 of 46<" in said
    silent = money(read(folder, "s01"))
    assert ">0 of 6<" in silent
    assert "0.00 USD" not in silent  # of who is out of reach nothing is known


def test_what_is_odd_worth_changing_and_happened(folder: Path) -> None:
    found = read(folder, "s02")
    assert "Repair board 3" in advice(found.advice)
    assert "1.75 USD a day, 90% sure" in advice(found.advice)
    assert "Measured: 2 of 3 boards in 24 of 24 h. Wrong if: board 3 mines again" in advice(found.advice)
    assert 'class="bad">0.93<' in odd(found.scores)
    assert "<span>0.10</span>" in odd(found.scores)
    assert "<span>–</span>" in odd(found.scores)  # noqa: RUF001 - of power nothing was judged
    assert "hashrate: own history" in odd(found.scores)
    assert [(row["kind"], row["message"]) for row in found.events] == [
        ("board_lost", "board 3 is gone"), ("started", "started with VNish 1.2.6"),
    ]  # fmt: skip


def test_alerts_of_the_miner_stand_before_its_events(folder: Path, tmp_path: Path) -> None:
    world.tell_alerts(tmp_path, NOW)
    said = events(read(folder, "s02"), read_alerts(tmp_path), "s02")
    assert said.index("board lost: 2 of 3 boards mine") < said.index("board 3 is gone")
    assert "chip too hot" not in said


def test_a_miner_of_which_nothing_is_known(folder: Path) -> None:
    found = read(folder, "l09")
    assert "Nothing is worth changing, or flow advise has not run" in advice(found.advice)
    assert "Nothing was judged within three hours" in odd(found.scores)
    assert "Nothing happened in seven days" in events(found, None, "l09")


def test_of_many_events_the_newest_are_shown_and_the_others_counted(tmp_path: Path) -> None:
    tags = {"miner_id": "s09", "model": "", "site": "", "kind": "unreachable", "subject": "miner", "severity": "info"}
    rows = [tags | {"time": NOW - 60 * number, "message": f"number {number}"} for number in range(EVENTS + 5)]
    store = world.stored(tmp_path, [world.frame("miner_event", rows)])
    found = read_story(store, CONFIGURED, "s09", NOW)
    store.close()
    assert (len(found.events), found.more, found.events[0]["message"]) == (EVENTS, 5, "number 0")
    assert "and 5 more: lodeline query miner_event" in events(found, None, "s09")
