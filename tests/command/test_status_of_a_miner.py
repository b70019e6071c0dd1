"""``lodeline status --miner``: from the state that a collector leaves to the words an operator reads."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from typer.testing import CliRunner

from deployments.command import app
from deployments.miner_status import in_words, read_miner
from storage.errors import NeedsHuman
from tasks.miners import breaker, cadence
from tasks.miners.breaker import CLOSED, BreakerLimits
from tasks.miners.cadence import Bounds
from tasks.miners.memory import Happened, MemoryFile, MinerMemory

SLOT = 1_800_000_000
BOUNDS = Bounds(12, 60, 120)


def remembered(name: str, **known: object) -> MinerMemory:
    pace = cadence.at_first(BOUNDS)
    return MinerMemory(miner_id=name, driver="vnish-rest", telemetry=pace, configuration=pace, **known)  # type: ignore[arg-type]


def degraded() -> MinerMemory:
    pace = cadence.after_unrest(cadence.at_first(BOUNDS), BOUNDS, "it is degraded")
    return MinerMemory(
        miner_id="m1", driver="vnish-rest", telemetry=pace, configuration=pace, polled=SLOT, succeeded=SLOT,
        state="degraded", quality_flags="repaired,stale", configured=SLOT - 840,
        events=(Happened(SLOT - 600, "m1 board 2 is lost"), Happened(SLOT, "m1 changed its state")),
    )  # fmt: skip


def dead() -> MinerMemory:
    tripped = CLOSED
    for at in (SLOT - 120, SLOT - 60, SLOT):
        tripped = breaker.after_failure(tripped, at, BreakerLimits(3, 600.0, 900.0), Random(1))
    return remembered(
        "m2", polled=SLOT, succeeded=SLOT - 7_200, failures_in_a_row=3, failure="refused",
        detail="GET /summary: refused", breaker=tripped, state="unreachable",
    )  # fmt: skip


@pytest.fixture
def data(tmp_path: Path) -> Path:
    MemoryFile(tmp_path / "state", "miners").write([degraded(), dead(), remembered("m3")])
    return tmp_path


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("m1", ["degraded", "polled every 12 s: it is degraded", "closed", "in 7 s", "flags        repaired, stale",
                "last 14 min ago", "10 min ago: m1 board 2 is lost"]),
        ("m2", ["unreachable", "open since 5 s ago: not asked", "3 in a row, the last: refused, GET /summary: refused",
                "last answer  2 h ago"]),
        ("m3", ["never read", "every 60 s: as configured", "last answer  never", "next poll    now"]),
    ],
)  # fmt: skip
def test_it_says_why(data: Path, name: str, words: list[str]) -> None:
    now = SLOT + 5.0
    text = "\n".join(in_words(read_miner(data, name, now), now))
    for each in words:
        assert each in text


def test_a_probe_that_is_due_is_told(data: Path) -> None:
    now = SLOT + 601.0
    assert "half-open, open since 10 min ago: the next poll decides" in "\n".join(
        in_words(read_miner(data, "m2", now), now)
    )


def test_a_poll_that_does_not_come_asks_for_the_collector(data: Path) -> None:
    now = SLOT + 612.0
    assert "next poll    was due 10 min ago: does the collector run?" in in_words(read_miner(data, "m1", now), now)[3]


def test_an_unknown_miner_is_named_with_those_like_it(data: Path, tmp_path: Path) -> None:
    with pytest.raises(NeedsHuman, match=r"'m11'.*Did you mean m1"):
        read_miner(data, "m11", SLOT)
    with pytest.raises(NeedsHuman, match=r"data_collection_config\.yaml"):
        read_miner(tmp_path / "elsewhere", "m1", SLOT)


@pytest.fixture
def run(data: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, str]]:
    monkeypatch.setenv("LODELINE_DATA_DIRECTORY", str(data))

    def command(*arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(app, ["status", *arguments])
        return result.exit_code, result.output

    return command


def test_the_exit_code_tells_whether_it_answers(run: Callable[..., tuple[int, str]]) -> None:
    assert [run("--miner", name)[0] for name in ("m1", "m2", "m3", "m9")] == [0, 1, 1, 2]
    code, text = run("--miner", "m2", "--json")
    found = json.loads(text)
    assert code == 1
    assert (found["failure"], found["open_since"], found["last_success"]) == ("refused", SLOT, SLOT - 7_200)
