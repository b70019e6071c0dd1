"""Faults of the simulated farm and the alerts that they make, through drivers, store and watch; and a quiet hour."""

from __future__ import annotations

from pathlib import Path

from deployments.farm.farm import Farm
from deployments.farm.faults import Fault
from deployments.settings import load_settings
from storage.declaration.event import ALERT_EVENT
from storage.lake.store import EmbeddedStore
from tasks.alerts.book import Book
from tasks.alerts.life_cycle import Event
from tasks.alerts.watch import Watch
from tasks.miners.fleet import Fleet

T = 1_795_478_400


async def watched(folder: Path, faults: dict[int, Fault], *, miners: int = 12, minutes: int = 8) -> Book:
    """The book after ``minutes`` of a farm that has ``faults`` (by miner) from its second minute on."""
    now = [float(T)]
    async with Farm(miners, port=0, seed=5, clock=lambda: now[0]) as farm:
        for index, fault in faults.items():
            farm.inject(farm.miners[index].miner_id, fault)
        farm.write_configuration(folder, polling_interval_seconds=60)
        collection = load_settings(folder, {}).collection
        configured = [miner.model_copy(update={"adaptive": False}) for miner in collection.miners]
        fleet, store = Fleet(configured), EmbeddedStore(folder / "data" / "lake")
        watch = Watch(
            lambda: EmbeddedStore(folder / "data" / "lake"),
            folder / "data",
            miners=configured,
            pool_ids=frozenset(),
            settings=collection.alerts,
            send=lambda _url, _message: None,
        )
        for slot in range(T, T + 60 * minutes + 1, 60):
            now[0] = float(slot)
            farm.settle()
            store.write((await fleet.tick(slot)).frames)
            watch.look(slot + 5.0)
        watch.close()
        await fleet.aclose()
    return Book.open(folder / "data" / "state")


async def test_each_fault_fires_its_rule_and_no_other(tmp_path: Path) -> None:
    start = T + 60
    book = await watched(
        tmp_path,
        {
            1: Fault(kind="dead", start=start),
            3: Fault(kind="board_lost", board=1, start=start),
            5: Fault(kind="fan_lost", fan=0, start=start),
            7: Fault(kind="overheating", start=start),
            9: Fault(kind="paused", start=start),
        },
    )
    told = {(change.alert.rule, change.alert.entity) for change in book.changes(0) if change.event is Event.FIRED}
    look = book.last_look()
    assert look is not None
    assert not look.not_asked
    assert told == {
        ("miner_unreachable", "miner_0002"),
        ("board_lost", "miner_0004"),
        ("fan_lost", "miner_0006"),
        ("chip_too_hot", "miner_0008"),
    }
    history = EmbeddedStore(tmp_path / "data" / "lake").newest(ALERT_EVENT, T)
    assert set(zip(history["rule"].to_pylist(), history["entity"].to_pylist(), strict=True)) == told


async def test_a_quiet_farm_makes_no_alert(tmp_path: Path) -> None:
    book = await watched(tmp_path, {})
    assert book.alerts() == {}
    assert book.changes(0) == []


async def test_much_of_a_site_at_once_is_one_alert_that_mutes_the_rest(tmp_path: Path) -> None:
    dead = Fault(kind="dead", start=T + 60)
    book = await watched(tmp_path, {index: dead for index in range(12)}, minutes=9)
    look = book.last_look()
    assert look is not None
    alerts = book.alerts()
    loud = {(alerts[key].rule, alerts[key].subject) for key in alerts if alerts[key].firing and key not in look.muted}
    assert {rule for rule, _ in loud} == {"many_miner_unreachable"}
    sites = {miner.site for miner in load_settings(tmp_path, {}).collection.miners}
    assert {subject for _, subject in loud} == {f"site {site}" for site in sites}
