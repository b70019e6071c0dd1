"""The pipeline on the page, from the files and rows of world.py."""

from pathlib import Path

import pytest

from deployments.page.answer import Answer
from deployments.page.health import Health, Machines, SourceLine, read_health, read_machines, sources_of
from deployments.page.health_view import body, told
from storage.errors import NeedsHuman
from tasks import quantity
from tasks.overrides.file import OverrideFile
from tasks.overrides.override import Kind, Override, Target
from tests.page import world

NOW = 1_795_478_400 + 1_200


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("health")
    (where / "state").mkdir()
    world.tell_ticks(where, NOW)
    paused = Override(
        id="o1", kind=Kind.PAUSE, target=Target.SOURCE, subject="coingecko", made=NOW - 60.0, until=NOW + 600.0,
        by="ann", why="they move",
    )  # fmt: skip
    OverrideFile(where / "state").put(paused)
    return where


@pytest.fixture(scope="module")
def health(folder: Path) -> Health:
    return read_health(folder, NOW)


@pytest.fixture(scope="module")
def machines(folder: Path) -> Machines:
    store = world.stored(folder, world.measured(NOW))
    found = read_machines(store, NOW)
    store.close()
    return found


def test_what_waits_where_and_why(health: Health, machines: Machines) -> None:
    said = body(health, Answer(machines, NOW))
    assert "lane miners: 3 points wait for influx: the store refused the connection" in said
    assert "lane market: none of its sources answers" in said  # the other one is paused by hand
    assert "not healthy: 2 reasons" in told(health)
    assert "40, failed 2 (deadline 2)" in said
    assert 'data-label="Waiting" class="fig"><span>3<' in said
    assert f'data-age-of="{NOW - 90}"' in said  # the newest point that is stored was read then
    assert ">9 s</span></span></td>" in said  # 95 of 100 points come within, by what the host measured
    assert "influx, delivery not started" in said  # of lane market nothing was delivered: no zero


def test_sources_with_last_success_and_the_reason(health: Health, machines: Machines) -> None:
    refused, paused = sources_of(health.status)
    assert refused == SourceLine(
        "coinmarketcap", "market", NOW - 30 - 7_200, 1, 1, "listings: refused: the key is wrong"
    )
    assert (paused.source, paused.success, paused.failing) == ("coingecko", NOW - 90, 0)
    assert paused.why.startswith("paused by hand until 2026-11-24 00:30:00 UTC by ann: they move")
    said = body(health, Answer(machines, NOW))
    assert ">75%<" in said
    assert 'title="of 8 in the hour from 23:00 UTC"' in said
    assert 'title="not worked out yet">–<' in said  # noqa: RUF001
    assert "source coingecko: paused by hand" in said


def test_credits_and_disks(health: Health, machines: Machines) -> None:
    said = body(health, Answer(machines, NOW))
    # 812 used; a listing of one credit each 900 s until December: 6 d 23:40 h after the 24th, 00:20 UTC = 670.7
    assert "coinmarketcap: 812 of 10,000 credits of this month used, 1,483 by its end at these intervals" in said
    assert "edge-1, /srv/lodeline: 100 GB of 500 GB free (20%), full in 12 d; due: compact; measured " in said
    assert "edge-1: 31% of 4 cores busy, 3 GB of 8 GB memory free, 62 °C; measured " in said


def test_files_are_told_while_the_store_is_away(health: Health) -> None:
    said = body(health, Answer(None, None, NOW - 100.0, "the store refused the connection"))
    assert "Store away for " in said
    assert f"ago{quantity.DASH}" not in said  # nothing was read yet, so nothing is shown of it
    assert "is being read" not in said
    assert "lane miners: 3 points wait" in said
    assert "9 s" not in said


def test_nothing_collected(tmp_path: Path) -> None:
    said = body(read_health(tmp_path, NOW), Answer(Machines([], {}, [], {}), NOW))
    assert "nothing has been collected yet" in said
    assert "No collector has reported a tick yet" in said
    assert "No pool and no market source is asked on this host" in said
    assert "No host has measured itself yet" in said


def test_a_folder_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_folder: Path, _now: float) -> None:
        raise PermissionError(13, "Permission denied", str(tmp_path))

    monkeypatch.setattr("deployments.page.health.read_status", refuse)
    with pytest.raises(NeedsHuman, match="Run the page as the user that collects"):
        read_health(tmp_path, NOW)
