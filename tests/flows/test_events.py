"""What happened to miners, told to a real server: it starts what depends on it, and costs no tick."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from deployments.farm import Farm
from storage.declaration import MEASUREMENTS, Tier
from storage.delivery.delivery import Delivery
from storage.frame import Frame, build_frame
from storage.lake.sink import LakeSink
from storage.lake.store import EmbeddedStore
from storage.records.events import MinerEvent
from storage.records.miner import Miner
from storage.spool.lane import LaneReader
from storage.spool.record import Batch, SpoolRecord
from tasks.miners.report import TickReport
from tasks.shift.slots import Slot
from tests.flows.test_steps import report
from tests.prefect_server import GIVES_UP_S

pytestmark = [
    pytest.mark.prefect,
    # Prefect leaves the socket of a run's client to the garbage collector; a flow's process ends before that matters.
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
    pytest.mark.usefixtures("collected"),
]
EVERY_S = 60


def event(kind: str, miner_id: str = "m1", severity: str = "info") -> MinerEvent:
    return MinerEvent(
        time=60, miner=Miner(miner_id, "S19", "north"), kind=kind, subject="miner", severity=severity, message=kind
    )


class Ticks:
    """A collection that polls nobody."""

    def __init__(self, events: list[MinerEvent], missed: int = 0) -> None:
        self.events = events
        self._missed = missed

    async def tick(self, slot: Slot) -> TickReport:
        return report(Slot(slot.time, self._missed))


@pytest.fixture
def emitted(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, Any]]]:
    """What is emitted instead of being sent."""
    from prefect.settings import PREFECT_API_URL, temporary_settings

    from tasks.miners import steps

    events: list[dict[str, Any]] = []
    monkeypatch.setattr(steps, "emit_event", lambda **event: events.append(event))
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}):
        yield events


async def test_events_say_what_happened_to_whom(emitted):
    from tasks.miners.steps import telling

    told = await telling(Ticks([event("started")]))(Slot(60))
    assert told.slot == 60
    assert [(each["event"], each["resource"]["prefect.resource.id"]) for each in emitted] == [
        ("lodeline.miner.started", "lodeline.miner.m1")
    ]
    assert emitted[0]["payload"]["miner_id"] == "m1"


@pytest.mark.parametrize(("missed", "resumed"), [(0, []), (1, []), (2, ["lodeline.collector.resumed"])])
async def test_the_end_of_an_outage_is_told(emitted, missed, resumed):
    from tasks.miners.steps import telling

    await telling(Ticks([], missed))(Slot(60))
    assert [each["event"] for each in emitted] == resumed


async def test_a_storm_of_events_is_cut_short_the_severe_first(emitted, caplog):
    from tasks.miners.steps import MOST_EVENTS, telling

    storm = [event("reachable", f"m{n}") for n in range(5_000)] + [event("board_lost", "lost", "critical")]
    await telling(Ticks(storm))(Slot(60))
    assert len(emitted) == MOST_EVENTS
    assert emitted[0]["event"] == "lodeline.miner.board_lost"
    assert "5001 events in one tick" in caplog.text


async def test_a_tick_does_not_fail_with_its_events(emitted, monkeypatch, caplog):
    from tasks.miners import steps

    def fails(**_: object) -> None:
        raise RuntimeError("Cannot put items in a stopped service instance.")

    monkeypatch.setattr(steps, "emit_event", fails)
    told = await steps.telling(Ticks([event("started")], missed=9))(Slot(60))
    assert told.slot == 60
    assert "the events of slot 60 are stored" in caplog.text


async def test_without_a_server_nothing_is_started_for_them(emitted):
    from prefect.settings import PREFECT_API_URL, temporary_settings

    from tasks.miners.steps import telling

    with temporary_settings({PREFECT_API_URL: None}):
        await telling(Ticks([event("started")], missed=9))(Slot(60))
    assert emitted == []


async def runs_of(deployment_id: Any) -> list[Any]:
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterId

    async with get_client() as client:
        wanted = DeploymentFilter(id=DeploymentFilterId(any_=[deployment_id]))
        return list(await client.read_flow_runs(deployment_filter=wanted))


async def test_an_event_starts_the_collection_that_depends_on_it(api):
    from deployments.prefect.deploy import register
    from deployments.prefect.plan import read_plan
    from tasks.miners.steps import telling

    registered = await register(read_plan())
    configuration = registered.deployments["read-configuration/read-configuration"]
    gaps = registered.deployments["fill-gaps/fill-gaps"]
    give_up = time.monotonic() + GIVES_UP_S
    happened = [event("board_lost", "m1"), event("started", "m2"), event("firmware_changed", "m3")]
    # The server learns of new automations by a message of its own: what comes before that starts nothing.
    while not (
        {run.parameters.get("miner_id") for run in await runs_of(configuration)} >= {"m2", "m3"}
        and any(run.auto_scheduled is False for run in await runs_of(gaps))
    ):
        assert time.monotonic() < give_up, "waited in vain for runs that the events start"
        await telling(Ticks(happened, missed=5))(Slot(int(time.time())))
        await asyncio.sleep(0.5)
    assert {run.parameters.get("miner_id") for run in await runs_of(configuration)} == {"m2", "m3"}


@pytest.fixture
async def farm(api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Two miners of the farm as the configuration of this host, which stores into a lake."""
    async with Farm(2, port=0) as farm:
        configuration = farm.configuration()
        for miner in configuration["miners"]:
            miner |= {"polling_interval_seconds": EVERY_S, "adaptive": False}
        (tmp_path / "data_collection_config.yaml").write_text(yaml.safe_dump(configuration))
        monkeypatch.setenv("LODELINE_CONFIG", str(tmp_path))
        monkeypatch.setenv("LODELINE_DATA_DIRECTORY", str(tmp_path))
        yield farm


def deliver(root: Path) -> None:
    delivery = Delivery(root / "spool", [LakeSink(root / "lake", "host")], "host")
    assert delivery.flush(60)
    delivery.close()


def stored(root: Path, measurement: str, start: int = 0, stop: int = 2**32) -> list[dict[str, Any]]:
    store = EmbeddedStore(root / "lake")
    rows: list[dict[str, Any]] = store.read(MEASUREMENTS[measurement], Tier.RAW, start, stop).to_pylist()
    store.close()
    return rows


async def test_the_configuration_of_one_miner_is_read(farm, tmp_path):
    from flows.read_configuration import read_configuration

    miner = farm.miners[0].miner_id
    state = await read_configuration(miner, return_state=True)
    assert state.is_completed()
    assert str(state.message).startswith(f"{miner}: ")
    deliver(tmp_path)
    assert [row["miner_id"] for row in stored(tmp_path, "miner_configuration")] == [miner]


async def test_a_miner_of_another_host_is_left_alone(farm, tmp_path):
    from flows.read_configuration import read_configuration

    state = await read_configuration("elsewhere", return_state=True)
    assert (state.name, state.message) == ("Skipped", "this host has no miner elsewhere")
    assert all(lane.name.startswith("audit-") for lane in (tmp_path / "spool").iterdir())


def polled(farm: Farm, slots: list[int]) -> list[Frame]:
    """The ticks of a collector and the rows of its miners, in little."""
    miners = [identity.miner_id for identity in farm.miners]
    times = [slot for slot in slots for _ in miners]
    return [
        build_frame(
            "collector_tick",
            slots,
            {"host": [socket.gethostname()] * len(slots), "lane": ["miners"] * len(slots), "points": [3] * len(slots)},
        ),
        build_frame(
            "miner_telemetry",
            times,
            {"miner_id": miners * len(slots), "reachable": [True] * len(times), "state": ["mining"] * len(times)},
        ),
    ]


async def test_gaps_are_filled_once(farm, tmp_path):
    from flows.fill_gaps import fill_gaps

    now = int(time.time()) // EVERY_S * EVERY_S
    slots = [now - 1_800, *range(now - 600, now, EVERY_S)]
    record = SpoolRecord("miners", 1, 0, Batch("miners/1/0", now, "run", polled(farm, slots)))
    LakeSink(tmp_path / "lake", "host").deliver([record])
    missing = 1_200 // EVERY_S - 1
    with_history = sum(each["driver"] == "vnish-rest" for each in farm.configuration()["miners"])

    first = await fill_gaps(return_state=True)
    assert first.message == f"{2 * missing} slots of 2 miners missing, {with_history * missing} filled"
    deliver(tmp_path)
    rows = stored(tmp_path, "miner_telemetry", now - 1_799, now - 600)
    assert [row["quality_flags"] for row in rows] == ["backfilled"] * (with_history * missing)

    again = await fill_gaps(return_state=True)
    left = 2 - with_history
    assert again.message == f"{left * missing} slots of {left} miners missing, 0 filled"
    assert LaneReader(tmp_path / "spool" / "backfill").points_accepted == with_history * missing
