"""The mishaps of a game day, in the order in which they are played."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from tasks.alerts.rules import RULES
from tests.gameday.play import Miss, Play, Skipped
from tests.gameday.product import EVERY_S, Product

HANGS_S = 80
"""More than the minute by which miners remember themselves, less than the 95 s after which Prefect calls a run dead."""
STEP_S = 400
"""Of a clock: more than a slot, so that slots come twice."""
Scenario = Callable[[Product, Play], None]


def firing(product: Product, rule: str, word: str = "") -> str | None:
    """The alert of a rule whose subject has ``word``."""
    found = next((one for one in product.alerts() if one.rule == rule and word in one.subject), None)
    return None if found is None else f"{found.subject}: {found.message}"


def noticed_by_alert(product: Product, play: Play, rule: str, word: str) -> None:
    """Wait for an alert."""
    play.notices(f"alert {rule}", lambda: firing(product, rule, word), RULES[rule].remedy)


def resolved(product: Product, play: Play, rule: str, word: str) -> None:
    """Wait for its end."""
    play.ends(f"alert {rule} resolved", lambda: firing(product, rule, word) is None)


def of_a_miner(
    rule: str, what: str, faults: list[dict[str, Any]], subject: str | None = None, itself: str = ""
) -> Scenario:
    """Faults of miners that an alert must tell. ``subject``: of the alert, where it is not the first miner."""

    def play_it(product: Product, play: Play) -> None:
        word = subject if subject is not None else str(faults[0]["miner"])
        before = product.tick()
        play.does(what, lambda: product.faults(faults))
        noticed_by_alert(product, play, rule, word)
        now = product.tick()
        assert before is not None
        assert now is not None
        if now.slot <= before.slot:
            raise Miss("no tick has come since")
        play.itself = itself or f"{now.polled - now.failed} others are polled on, tick {now.tick_s:.1f} s"
        play.mends(lambda: product.heal_all({str(one["miner"]) for one in faults}))
        resolved(product, play, rule, word)

    return play_it


def of_a_service(rule: str, service: str, kind: str, what: str, itself: str) -> Scenario:
    """A fault of a pool or provider that an alert must tell."""

    def play_it(product: Product, play: Play) -> None:
        play.does(what, partial(product.fault, service=service, kind=kind))
        noticed_by_alert(product, play, rule, service)
        play.itself = itself
        play.mends(partial(product.heal, service=service))
        resolved(product, play, rule, service)

    return play_it


def rack_dark(product: Product, play: Play) -> None:
    """All miners of the second rack, which is the site south."""
    rack = [str(one["miner_id"]) for one in product.miners() if one["site"] == "south"]
    play.does(
        f"no power at {len(rack)} miners of rack 2",
        lambda: product.faults([{"miner": m, "kind": "dead"} for m in rack]),
    )
    noticed_by_alert(product, play, "many_miner_unreachable", "south")
    alone = [one.subject for one in product.alerts() if one.rule == "miner_unreachable" and one.subject in rack]
    tick = product.tick()
    assert tick is not None
    play.itself = f"one alert, {len(alone)} of single miners muted; {tick.left_alone} are left alone by the breaker"
    play.mends(lambda: product.heal_all(rack))
    resolved(product, play, "many_miner_unreachable", "south")


def database(stop: str) -> Scenario:
    """The database is stopped (it takes connections and says nothing) or killed, and comes back."""

    def play_it(product: Product, play: Play) -> None:
        server = product.influx
        if server is None:
            raise Skipped("no influxd here: the embedded store has no server that could stop")
        act, back = (server.pause, server.resume) if stop == "SIGSTOP" else (server.kill, server.start)
        play.does(f"database gets {stop}", act)
        try:
            noticed_by_alert(product, play, "store_away", "influx")
            waiting = product.backlog()
            tick = product.tick()
            assert tick is not None
            if time.time() - tick.slot > 4 * EVERY_S:
                raise Miss("miners are not polled while the database is away")
            play.itself = f"polls on; {waiting} points wait in the spool"
        finally:
            play.mends(back)
        play.ends("spool delivered, alert over", lambda: product.backlog() < 500 and not firing(product, "store_away"))

    return play_it


def shift_killed(product: Product, play: Play) -> None:
    """SIGKILL in the middle of a tick, which a late miner makes long."""
    product.fault(miner="miner_0002", kind="latency", ms=2_000)
    try:
        before, tick = product.shift(), product.tick()
        if before is None or tick is None:
            raise Miss("nobody is on shift")
        while time.time() % EVERY_S < 0.8:
            time.sleep(0.02)
        while time.time() % EVERY_S > 1.5:
            time.sleep(0.02)
        time.sleep(max(0.0, 0.8 - time.time() % EVERY_S))
        play.does(
            f"shift of miners gets SIGKILL {time.time() % EVERY_S:.1f} s into a tick", partial(os.kill, before, 9)
        )
        killed = time.time()
        play.notices(
            "another process on shift",
            lambda: (pid := product.shift()) is not None and pid != before,
            "nothing: the run is Crashed in Prefect, and starts again",
        )
        play.mends(lambda: None)
        play.ends("ticks again", lambda: (now := product.tick()) is not None and now.slot > killed)
        now = product.tick()
        assert now is not None
        play.itself = f"started again; {(now.slot - tick.slot) // EVERY_S - 1} slots were not polled"
    finally:
        product.heal(miner="miner_0002")


def shift_hangs(product: Product, play: Play) -> None:
    """The process that polls stands still for longer than the finest step of the miners' own history, and goes on;
    ``lodeline gaps`` lists what is missing, and fills it with what the miners remember."""
    pid = product.shift()
    if pid is None:
        raise Miss("nobody is on shift")
    began = time.time()
    play.does(f"shift of miners gets SIGSTOP for {HANGS_S} s", partial(os.kill, pid, signal.SIGSTOP))
    try:
        noticed_by_alert(product, play, "lane_stands_still", "miners")
        time.sleep(max(0.0, began + HANGS_S - time.time()))
    finally:
        back = time.time()
        play.mends(partial(_go_on, pid))
    play.ends(
        "ticks again and alert over",
        lambda: (now := product.tick()) is not None and now.slot > back and not firing(product, "lane_stands_still"),
    )
    span = ["--from", datetime.fromtimestamp(began - 60, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), "--json"]
    listed = _gaps(product, *span)
    if not listed["gaps"]:
        raise Miss("lodeline gaps lists no gap")
    filled = _gaps(product, *span, "--fill")["filled"]
    rows = sum(one["filled"] for one in filled)
    if rows == 0:
        raise Miss(f"lodeline gaps --fill fills nothing: {filled[:2]}")
    left = sum(len(gap["slots"]) for gap in _gaps(product, *span)["gaps"])
    missing = sum(one["missing"] for one in filled)
    if left >= missing:  # a row also stands for the slots beside it, so more than was filled may be missing no more
        raise Miss(f"{missing} readings were missing, {rows} were filled, and now {left} are missing")
    play.itself = f"lodeline gaps: {missing} readings missing, {rows} filled from the miners' own history"


def _gaps(product: Product, *arguments: str) -> Any:
    code, said = product.lodeline("gaps", *arguments)
    if code != 0:
        raise Miss(f"lodeline gaps: exit code {code}, {said[:300]}")
    return json.loads(next(line for line in said.splitlines() if line.startswith("{")))


def _go_on(pid: int) -> None:
    with suppress(ProcessLookupError):  # it was given up and killed meanwhile
        os.kill(pid, signal.SIGCONT)


def prefect_killed(product: Product, play: Play) -> None:
    """The Prefect server is killed; collection goes on meanwhile."""
    health = f"http://127.0.0.1:{product.ports['prefect']}/api/health"
    lines = len(product.lines)
    began = time.time()
    play.does("Prefect server gets SIGKILL", lambda: os.kill(product.child("server", "start"), signal.SIGKILL))
    play.notices(
        "line of lodeline up",
        lambda: next((line[:80] for line in product.lines[lines:] if line.startswith("prefect was ended")), None),
        "nothing: it is started again; a fourth time ends lodeline up",
    )
    play.mends(lambda: None)

    def healthy() -> bool:
        try:
            return httpx.get(health, trust_env=False, timeout=2).status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False

    play.ends("it answers", healthy)
    tick = product.tick()
    assert tick is not None
    if tick.slot < began:
        raise Miss("no tick has come since the server was killed")
    play.itself = f"started it again; the shift polled on ({tick.missed} slots missed at the newest tick)"


def disk_full(product: Product, play: Play) -> None:
    """The volume of the data directory is full."""
    volume = os.statvfs(product.data)
    size = volume.f_blocks * volume.f_frsize
    if not os.path.ismount(product.data) or size > 2**31:
        raise Skipped("the data directory is no small volume of its own: mounting a tmpfs needs root")
    filler = product.data / "filler"

    def fill() -> None:
        with filler.open("wb") as file:
            block = b"\0" * 2**16
            try:
                while True:
                    file.write(block)
                    file.flush()
            except OSError:
                return

    before = product.tick()
    assert before is not None
    play.does("the volume of the data directory is filled to the last byte", fill)
    try:
        play.notices(
            "lodeline status",
            lambda: next((reason for reason in product.status().reasons if "stands still" in reason), None),
            RULES["lane_stands_still"].remedy,
        )
        play.itself = "collects nothing rather than losing what it has"
    finally:
        play.mends(lambda: filler.unlink(missing_ok=True))
        freed = time.time()
    play.ends("ticks again", lambda: (now := product.tick()) is not None and now.slot > freed)


def configuration_broken(product: Product, play: Play) -> None:
    """A typing error in the configuration, saved while all runs."""
    file = product.config / "data_collection_config.yaml"
    good = file.read_text()
    play.does("a key of the configuration is misspelt", lambda: file.write_text(good.replace("miners:", "minres:", 1)))
    try:
        code, said = product.lodeline("check")
        if code != 2 or "minres" not in said:
            raise Miss(f"lodeline check: exit code {code}, {said[:200]}")
        slot = time.time()
        play.notices(
            "lodeline check (exit code 2)",
            lambda: next(line.strip() for line in said.splitlines() if "minres" in line),
            "mend the line that it names",
        )
        play.ends("ticks on with the old one", lambda: (now := product.tick()) is not None and now.slot > slot)
        play.itself = "the shift works on with what it has read"
    finally:
        play.mends(lambda: file.write_text(good))
    code, said = product.lodeline("check")
    if code != 0:
        raise Miss(f"lodeline check after the mending: exit code {code}, {said[:200]}")
    play.over_s = 0.0


def clock_stepped(product: Product, play: Play) -> None:
    """The clock of the host is set ahead and, by whoever notices, back."""
    if product.clock.lacks is not None:
        raise Skipped(product.clock.lacks)
    if product.influx is None:
        raise Skipped("without a database there is no other clock on loopback to compare with")
    before = product.tick()
    assert before is not None
    play.does(f"the clock of lodeline's host jumps {STEP_S} s ahead", lambda: product.clock.set(STEP_S))
    try:
        noticed_by_alert(product, play, "clock_off", "")
        now = product.tick()
        assert now is not None
        if now.slot < before.slot + STEP_S:
            raise Miss("no tick has come since")
        play.itself = f"polls on; {now.polled - now.failed} miners read in the newest tick"
    finally:
        play.mends(lambda: product.clock.set(0))
        back = time.time()
    play.ends("ticks at the right time", lambda: (now := product.tick()) is not None and back < now.slot < time.time())
    resolved(product, play, "clock_off", "")


THEFT = {"kind": "pool_changed", "url": "elsewhere.invalid:3333", "user": "stranger.x"}

SCENARIOS: Mapping[str, Scenario] = {
    "miner dies": of_a_miner("miner_unreachable", "no power at miner_0003", [{"miner": "miner_0003", "kind": "dead"}]),
    "rack goes dark": rack_dark,
    "miners hang and drip": of_a_miner(
        "miner_unreachable",
        "two miners answer nothing, one a byte at a time",
        [
            {"miner": "miner_0005", "kind": "hanging"},
            {"miner": "miner_0006", "kind": "slow_drip"},
            {"miner": "miner_0007", "kind": "hanging"},
        ],
    ),
    "fan stops": of_a_miner(
        "fan_lost", "a fan of miner_0009 stops", [{"miner": "miner_0009", "kind": "fan_lost", "fan": 0}]
    ),
    "board is lost": of_a_miner(
        "board_lost", "board 1 of miner_0010 is lost", [{"miner": "miner_0010", "kind": "board_lost", "board": 1}]
    ),
    "hash theft": of_a_miner(
        "pool_switched", "miner_0011 mines at another pool for a stranger", [{"miner": "miner_0011", **THEFT}]
    ),
    "pool answers 500": of_a_service(
        "pool_away", "f2pool", "html_500", "f2pool answers 500 with a page", "asks less and less often; others as ever"
    ),
    "pool answers HTML": of_a_service(
        "pool_away", "viabtc", "html", "viabtc answers a page with 200", "asks less and less often; others as ever"
    ),
    "pool is gone": of_a_service(
        "pool_account_lost", "mining_dutch", "gone", "mining_dutch answers 410", "stores the account as gone"
    ),
    "market answers 429": of_a_service(
        "market_source_away", "coingecko", "html_429", "coingecko answers 429", "takes prices of coinmarketcap"
    ),
    "database stopped": database("SIGSTOP"),
    "database killed": database("SIGKILL"),
    "shift killed": shift_killed,
    "shift hangs": shift_hangs,
    "prefect killed": prefect_killed,
    "configuration broken": configuration_broken,
    "disk full": disk_full,
    "clock stepped": clock_stepped,
}
SHORT = ("miner dies", "shift killed")
"""Those of the test suite."""


def small_volume(folder: Path, size: str) -> bool:
    """Mount a tmpfs at ``folder``; whether that could be done."""
    folder.mkdir(parents=True, exist_ok=True)
    return os.geteuid() == 0 and os.system(f"mount -t tmpfs -o size={size} gameday '{folder}' 2>/dev/null") == 0
