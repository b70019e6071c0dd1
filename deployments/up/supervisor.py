"""Starts the main job, follows it, and ends it in order: flows, worker, page, farm, server."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import httpx

from deployments.provisioned import note
from deployments.settings import load_settings
from deployments.up import processes
from deployments.up.children import LOOK_S, Children, Stopped
from deployments.up.ports import LOOPBACK, choose_port
from deployments.up.simulated import Simulated, ask_fake_abacus, start_fake_abacus, start_farm
from deployments.up.summary import Summary, tick_line
from storage.audit.trail import Trail
from storage.errors import LodelineError, NeedsHuman
from storage.spool.lock import holder_of, try_lock
from tasks import alerts
from tasks.abacus import settings as abacus_settings
from tasks.miners.collection import LANE
from tasks.shift.baton import Baton
from tasks.shift.journal import Journal
from tasks.sources.lanes import lanes_of

if TYPE_CHECKING:
    from deployments.prefect.runs import Runs
    from storage.influx.provisioning.plan import Step

DAY_S = 86_400
ASK_S = 2.0
SERVER_START_S = 180.0
DEPLOY_S = 120.0
FIRST_TICK_S = 300.0
SHIFT_END_S = 30.0
FLOWS_END_S = 20.0
DRAIN_S = 30.0
STOP_S = {"worker": 15.0, "page": 5.0, "farm": 5.0, "abacus": 5.0, "prefect": 15.0}
"""What each process gets to end by itself."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says. ``for_s`` counts from the first tick; None: until somebody ends it."""

    config: Path | None
    for_s: float | None
    simulated: Simulated
    page_port: int | None
    prefect_port: int | None
    fake_abacus: bool = False


class Supervisor:
    """One run of ``lodeline up``; ``say`` prints a line, ``complain`` one of what is wrong.

    Raises:
        ConfigurationError: the configuration is wrong; nothing was started.
        NeedsHuman: another one runs in the same data directory.
    """

    def __init__(self, options: Options, say: Callable[[str], None], complain: Callable[[str], None]) -> None:
        self._options = options
        self._say, self._complain = say, complain
        settings = load_settings(options.config)
        self._host = settings.host
        if options.fake_abacus and settings.abacus is not None:
            raise NeedsHuman(
                "--with-fake-abacus, but Abacus.AI is configured",
                remedy=f"Leave it out, or take {abacus_settings.FILE_NAME} and variables {abacus_settings.PREFIX} away",
            )
        if settings.collection.sites and self._host.prefect.api_url is not None:
            raise NeedsHuman(
                "lodeline up collects all miners from this host, but sites have hosts of their own",
                remedy="Start on each host what docs/scale-out.md says, or take LODELINE_PREFECT__API_URL away",
            )
        self._logs = self._host.data_directory / "logs"
        lock = self._host.lock_directory / "up"
        try:
            for folder in (self._logs, self._host.lock_directory):
                folder.mkdir(parents=True, exist_ok=True)
            self._lock = try_lock(lock, f"process {os.getpid()}")
        except OSError as error:
            raise NeedsHuman(
                f"the data directory {self._host.data_directory} cannot be made or written: {error}",
                remedy="Give it to the user that runs this, or set LODELINE_DATA_DIRECTORY to a folder that is theirs",
            ) from error
        if self._lock is None:
            raise NeedsHuman(
                f"another lodeline up ({holder_of(lock)}) runs in {self._host.data_directory}",
                remedy="End it, or set LODELINE_DATA_DIRECTORY to another folder",
            )
        self._lanes = [LANE]
        lanes = (LANE, *processes.SOURCE_SHIFTS)
        self._batons = [Baton(self._host.lock_directory, lane) for lane in (*lanes, alerts.LANE)]
        self._journals = {lane: Journal(self._host.state_directory, lane) for lane in lanes}
        self._read = dict.fromkeys(lanes, 0)
        self._summary = Summary(self._host)
        self._children = Children(self._logs, complain)
        self._runs: Runs | None = None
        self._unheard: dict[str, UUID] = {}

    async def run(self) -> int:
        """Start, follow, end; the exit code of ``lodeline up``."""
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, self._asked_to_end)
        well = True
        try:
            await self._start()
            await self._follow()
        except Stopped:
            self._say("Asked to end before all was started.")
        except LodelineError as error:
            well = False
            self._complain(f"lodeline: {error}")
        finally:
            await self._end()
        self._say(self._summary.in_words())
        if self._options.for_s is not None:
            self._say(json.dumps(self._summary.as_json()))
            well = well and self._summary.all_stored
        return 0 if well else 1

    async def _start(self) -> None:
        self._say(f"Data in {self._host.data_directory}, logs in {self._logs}")
        if self._options.fake_abacus:
            await start_fake_abacus(self._host.data_directory, self._children, self._summary, self._say)
        if self._options.config is not None:
            config = self._options.config.absolute()
        else:
            data, asked = self._host.data_directory, self._options.simulated
            config = await start_farm(asked, data, self._children, self._summary, self._say)
        self._lanes += lanes_of(load_settings(config).collection)
        await asyncio.to_thread(self._provision, config)
        environ = {
            **processes.without_prefect(os.environ),
            "LODELINE_CONFIG": str(config),
            "LODELINE_DATA_DIRECTORY": str(self._host.data_directory),
        }
        prefect = await self._start_server()
        page_port = choose_port(self._options.page_port, self._host.page.port, "the page")
        self._summary.urls["page"] = f"http://{LOOPBACK}:{page_port}/"
        self._children.start("page", processes.page_command(page_port), environ)
        pool, self._runs = await self._deploy({**environ, **prefect})
        self._children.start("worker", processes.worker_command(pool), processes.worker_environment(environ, prefect))
        await self._start_shift(self._runs)

    def _provision(self, config: Path) -> None:
        """Make the buckets that InfluxDB lacks. A server that is down, or a token that may only write, stops nothing:
        what is collected waits in the spool, and the books tell what is wrong."""
        if self._host.influx is None:
            return
        from storage.influx.provision import provision

        url, trail = self._host.influx.url, Trail.open(self._host.data_directory, socket.gethostname())

        def taken(step: Step) -> None:
            note(trail, step, actor="lodeline up", server=url)

        try:
            days = load_settings(config).retention.bucket_days()
            made = provision(self._host.influx, days, only_missing=True, taken=taken)
        except LodelineError as error:
            self._complain(f"Buckets were not looked at: {error}")
        else:
            created = "; ".join(map(str, made))
            self._say(f"InfluxDB at {url}: {created or 'all buckets exist'}")

    async def _start_server(self) -> dict[str, str]:
        """Start a Prefect server, or use the one that is named; variables for whoever speaks to it."""
        settings = self._host.prefect
        if settings.api_url is not None:
            prefect = processes.foreign_prefect(settings.api_url)
        else:
            port = choose_port(self._options.prefect_port, settings.port, "the Prefect server")
            prefect = processes.own_prefect(self._host.data_directory / "prefect", port)
            self._children.start("prefect", processes.server_command(port), processes.server_environment(prefect))
        processes.speak_to(prefect)
        url = prefect["PREFECT_API_URL"]
        self._summary.urls["prefect"] = url.removesuffix("/api")
        self._say(f"Waiting for the Prefect server at {url} (15 s at the first start) ...")
        async with httpx.AsyncClient(timeout=ASK_S, trust_env=False) as client:

            async def healthy() -> bool:
                try:
                    return (await client.get(f"{url}/health")).status_code == httpx.codes.OK
                except httpx.HTTPError:
                    return False

            await self._children.until(f"the Prefect server at {url}", healthy, SERVER_START_S)
        return prefect

    async def _deploy(self, environ: Mapping[str, str]) -> tuple[str, Runs]:
        """Register prefect.yaml: the name of its pool, and its runs. What a killed session left running is ended."""
        told = await self._register(environ)
        from deployments.prefect.runs import Runs  # Prefect reads PREFECT_... once, and they are known only now

        pool = told["pool"]
        runs = await Runs(pool).open()
        if self._owns_server:
            await runs.pause(False)
            await runs.cancel(await runs.due(unfinished=True), "left over from a session that has ended")
        self._summary.began = time.time()
        self._say(f"Deployed to work pool {pool}: {', '.join(told['deployments'])}")
        return pool, runs

    async def _register(self, environ: Mapping[str, str]) -> Any:
        """What ``lodeline deploy`` tells, in a process of its own: the flows are 80 MB that nobody here needs again."""
        child = await self._children.until_over(
            "deploy", "the registration of the flows", processes.deploy_command(), environ, DEPLOY_S
        )
        lines = reversed(child.log.read_text(encoding="utf-8").splitlines())
        told = next((line for line in lines if line.startswith("{")), None)
        if child.exit_code != 0 or told is None:
            raise NeedsHuman("the flows were not registered", remedy=f"It said ({child.log}):\n{child.tail()}")
        return json.loads(told)

    async def _start_shift(self, runs: Runs) -> None:
        run = await runs.start(processes.SHIFT)
        for name in ("prefect", "page"):
            self._say(f"{name.capitalize()}: {self._summary.urls[name]}")
        self._say("Waiting for worker, flow and first tick (15 s) ...")
        ask = time.monotonic()

        async def ticked() -> bool:
            nonlocal ask
            if time.monotonic() >= ask:
                ask = time.monotonic() + ASK_S
                await self._raise_failure(runs, run)
            self._report_ticks()
            return self._summary.ticks > 0

        await self._children.until("the first tick", ticked, FIRST_TICK_S)
        soon = processes.SOON | (processes.SOON_TO_FAKE if self._options.fake_abacus else {})
        for lane in self._lanes[1:]:
            self._unheard[lane] = await runs.start(processes.SOURCE_SHIFTS[lane])
            soon |= processes.SOON_OF_LANE.get(lane, {})
        for deployment, in_s in soon.items():
            await runs.start(deployment, in_s=in_s)

    async def _raise_failure(self, runs: Runs, run: UUID) -> None:
        failure = await runs.failure(run)
        if failure is not None:
            raise NeedsHuman(f"the collection ended with {failure}", remedy=f"Its log is in {self._logs}")

    async def _tell_failures(self, runs: Runs) -> None:
        """Say once of a lane of sources that its shift ended badly before it ticked; miners are collected as ever."""
        for lane, run in list(self._unheard.items()):
            if lane in self._summary.requests:
                del self._unheard[lane]
                continue
            with suppress(httpx.HTTPError):  # the server is away; it is asked again
                if (failure := await runs.failure(run)) is not None:
                    del self._unheard[lane]
                    self._complain(f"Nothing is collected of {lane}: the shift ended with {failure}")
                    self._complain(f"It is started again every minute; its log is in {self._logs}")

    async def _follow(self) -> None:
        """Print every tick until the time is over or somebody ends it. A process that ended is started again."""
        ends = time.monotonic() + self._options.for_s if self._options.for_s is not None else float("inf")
        day = time.time() // DAY_S
        look = time.monotonic()
        while not self._children.asked.is_set() and time.monotonic() < ends:
            self._children.start_again()
            self._report_ticks()
            if self._runs is not None and self._unheard and time.monotonic() >= look:
                look = time.monotonic() + ASK_S
                await self._tell_failures(self._runs)
            if time.time() // DAY_S > day:
                self._children.close_logs(day * DAY_S)
                day = time.time() // DAY_S
            await asyncio.sleep(LOOK_S)

    def _report_ticks(self) -> None:
        for lane in self._lanes:
            journal = self._journals[lane]
            if (written := journal.written_ns()) == self._read[lane]:
                continue
            self._read[lane] = written
            for report in journal.since(self._summary.newest_tick(lane)):
                self._summary.add(report)
                self._say(tick_line(report))

    async def _end(self) -> None:
        """End what was started, in order. A step that fails does not keep the next from its part."""
        runs = self._runs
        with ExitStack() as stopped:
            for baton in self._batons:  # the shifts end, and none begins
                stopped.enter_context(baton.stopping())
            if runs is not None:
                self._say("Ending: flows, worker, page, farm, server ...")
                await self._try("end the flows", self._end_flows(runs))
            await self._children.stop("worker", STOP_S["worker"])
        self._report_ticks()
        await self._try("deliver what is left", asyncio.to_thread(self._summary.close_books, DRAIN_S))
        if runs is not None:
            await self._try("count the runs", self._count(runs))
            await self._try("leave the server", runs.close())
        await self._try("ask the fake of Abacus.AI", ask_fake_abacus(self._summary))
        for name in ("page", "farm", "abacus", "prefect"):
            await self._children.stop(name, STOP_S[name])

    async def _end_flows(self, runs: Runs) -> None:
        if self._owns_server:
            await runs.pause(True)
        deadline = time.monotonic() + SHIFT_END_S
        while time.monotonic() < deadline:
            if not any(baton.taken for baton in self._batons):
                break
            await asyncio.sleep(LOOK_S)
        deadline = time.monotonic() + FLOWS_END_S
        while self._owns_server and (left := await runs.due(unfinished=True)):
            if time.monotonic() > deadline or all(run.state and run.state.is_scheduled() for run in left):
                await runs.cancel(left, "lodeline up has ended")
            await asyncio.sleep(LOOK_S)

    async def _count(self, runs: Runs) -> None:
        self._summary.flow_runs = await runs.count_by_state(self._summary.began)

    @property
    def _owns_server(self) -> bool:
        return "prefect" in self._children

    async def _try(self, what: str, step: Awaitable[object]) -> None:
        try:
            async with asyncio.timeout(SHIFT_END_S + FLOWS_END_S + DRAIN_S):
                await step
        except Exception as error:  # noqa: BLE001 - the rest must be ended, whatever this is
            self._complain(f"Could not {what}: {type(error).__name__}: {error}")

    def _asked_to_end(self) -> None:
        if self._children.asked.is_set():
            self._children.kill()
            os._exit(128 + signal.SIGINT)
        self._children.asked.set()
        self._say("Ending in order; ask again to end at once.")
