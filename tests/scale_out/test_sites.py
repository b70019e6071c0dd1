"""Two sites and a centre on machines of their own: cables are pulled, servers are killed, and nothing is lost.

The tests are chapters of one story, in this order; the last one closes the books of all.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import httpx
import pytest
import yaml

from tests.postgres_server import PostgresServer
from tests.prefect_server import until
from tests.scale_out.machines import Machine
from tests.scale_out.world import INTERVAL_S, MINERS, Central, Edge

pytestmark = [pytest.mark.prefect, pytest.mark.influx]


@dataclass
class World:
    central: Central
    north: Edge
    south: Edge
    config: Path
    deployments: dict[str, str]

    def shift_of(self, edge: Edge) -> str:
        return self.deployments[f"collect-miners/collect-miners-{edge.site}"]

    def pull(self, edge: Edge) -> None:
        self.central.machine.pull(edge.machine)

    def plug(self, edge: Edge) -> None:
        self.central.machine.plug(edge.machine)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    home = tmp_path_factory.mktemp("scale")
    machines: list[Machine] = []
    postgres = PostgresServer()
    central: Central | None = None
    try:
        for number, name in enumerate(("central", "north", "south"), 1):
            machines.append(Machine(name, number))
        first, *others = machines
        first.be_switch()
        for other in others:
            first.connect(other)
        central = Central(first, home / "central", postgres)
        central.begin()
        north, south = (Edge(other, home / other.name, central, seed) for seed, other in enumerate(others, 1))
        config = home / "config"
        config.mkdir()
        (config / "data_collection_config.yaml").write_text(
            yaml.safe_dump({"sites": ["north", "south"], "miners": [*north.miners, *south.miners]})
        )
        central.await_prefect()
        for edge in (north, south):
            edge.start_worker(config)  # before it is deployed: it waits for its queue
        yield World(central, north, south, config, central.deploy(config)["deployments"])
    finally:
        if central is not None:
            central.influx.stop()
        for machine in reversed(machines):
            machine.end()
        postgres.remove()


def test_what_is_deployed_lies_in_postgres_and_is_scheduled(world: World):
    assert world.central.postgres.query("SELECT count(*) FROM deployment") == [str(len(world.deployments))]
    asked = "SELECT DISTINCT d.name FROM flow_run r JOIN deployment d ON d.id = r.deployment_id WHERE r.auto_scheduled"
    shifts = {"collect-miners-north", "collect-miners-south"}
    until(lambda: shifts <= set(world.central.postgres.query(asked)), "runs by schedule of both shifts")


def test_each_host_collects_its_own_site(world: World):
    for edge in (world.north, world.south):
        world.central.pause(world.shift_of(edge))  # runs begin when a test wants them, not at minute 7 of the hour
        world.central.start_run(world.shift_of(edge))
    for edge in (world.north, world.south):
        edge.await_ticks(2)
        edge.await_delivered()
    where = world.central.rows('SELECT count(polled) FROM collector_tick GROUP BY "host", "lane"', "mining_operational")
    assert {(row["host"], row["lane"]) for row in where} == {("north", "miners-north"), ("south", "miners-south")}
    assert {tick.polled for edge in (world.north, world.south) for tick in edge.ticks()} == {MINERS}


def test_a_site_that_is_cut_off_goes_on_and_a_false_crash_starts_no_second_shift(world: World):
    central, north, south = world.central, world.north, world.south
    run = north.ticks()[-1].run_id
    world.pull(north)
    south_before = len(south.ticks())
    # What the server does with a run that was silent for 95 s (deploy.py), here without waiting for it.
    crashed = {"state": {"type": "CRASHED", "name": "Crashed", "message": "No heartbeat"}, "force": True}
    assert central.ask(f"/flow_runs/{run}/set_state", crashed)["status"] == "ACCEPT"
    until(lambda: len(central.runs("collect-miners-north")) == 2, "the run that follows a crash")
    north.await_trouble()
    north.await_ticks(2)
    assert north.ticks()[-1].backlog > 0
    assert {tick.run_id for tick in north.ticks()} == {run}  # alone, and at work
    world.plug(north)
    north.await_delivered()
    until(lambda: north.ticks()[-1].run_id != run, "the hand-over to the run that followed")
    assert len(central.runs("collect-miners-north")) == 2
    assert len(central.runs("collect-miners-south")) == 1
    meanwhile = south.ticks()[south_before:]
    assert [(tick.missed, tick.store_trouble) for tick in meanwhile] == [(0, None)] * len(meanwhile)


def test_servers_that_are_killed_and_come_back(world: World):
    central, edges = world.central, (world.north, world.south)
    runs = {edge.ticks()[-1].run_id for edge in edges}
    central.kill_prefect()
    central.postgres.kill()
    central.influx.kill()
    for edge in edges:
        edge.await_trouble()
        edge.await_ticks(1)
    central.postgres.start()
    central.machine.run(central.influx.start)
    central.start_prefect()
    central.await_prefect()
    for edge in edges:
        edge.await_delivered()
    assert {edge.ticks()[-1].run_id for edge in edges} == runs
    # PostgreSQL alone: the server stays, answers errors meanwhile, and finds its database again.
    central.postgres.kill()
    central.postgres.start()
    successor = ""

    def taken() -> bool:
        nonlocal successor
        try:
            successor = successor or central.start_run(world.shift_of(world.south))
        except httpx.HTTPError:  # its connections are found dead one by one
            return False
        return True

    until(taken, "a run that PostgreSQL takes")
    until(lambda: world.south.ticks()[-1].run_id == successor, "the hand-over to the run that was started by hand")


def test_in_the_end_nothing_is_lost_nor_doubled(world: World):
    central = world.central
    for edge in (world.north, world.south):
        edge.await_delivered()
        ticks = edge.ticks()
        done = [tick for tick in ticks if tick.points_accepted <= ticks[-1].points_stored]
        slots = [tick.slot for tick in done]
        assert [b - a for a, b in pairwise(slots)] == [INTERVAL_S] * (len(slots) - 1)
        assert sum(tick.points for tick in ticks) == ticks[-1].points_accepted
        assert (ticks[-1].points_dead_lettered, ticks[-1].points_shed) == (0, 0)
        for miner in edge.miners:
            asked = (
                f"SELECT shares_accepted FROM miner_telemetry WHERE miner_id = '{miner['id']}' AND time <= {slots[-1]}s"
            )
            stored = {row["time"]: row["shares_accepted"] for row in central.rows(asked)}
            assert list(stored) == slots
            for slot in (slots[0], slots[len(slots) // 2], slots[-1]):
                least = edge.truth(miner["id"], slot - 1)["shares_accepted"]  # a farm answers with what it saw last
                most = edge.truth(miner["id"], slot + INTERVAL_S)["shares_accepted"]
                assert least <= stored[slot] <= most
