"""Every rule of the ready-made set has a fault of the simulated world that fires it, and it alone; a quiet world fires
none. A rule that is added without its fault fails the last test."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from deployments.farm.farm import Farm
from deployments.farm.faults import Fault
from deployments.farm.markets.service import FaultKind as ServiceFaultKind
from deployments.farm.models import DEFAULT_MIX
from deployments.farm.services import POOLS
from tasks.alerts.rules import RULES
from tasks.alerts.rules.crowd import LEAST_MINERS, crowd_name
from tests.alerts.simulated import STEP_S, Script, T, World, seen_after

START = T + STEP_S
"""When faults begin: at the second tick."""


def _theft(start: float) -> Fault:
    return Fault(kind="pool_changed", url="elsewhere.invalid:3333", user="stranger.x", start=start)


OF_A_MINER: Mapping[str, Sequence[Fault]] = {
    "miner_unreachable": [Fault(kind="dead", start=START)],
    "miner_stale": [],  # nobody polls it any more
    "miner_failed": [Fault(kind="board_lost", board=board, start=START) for board in (1, 2, 3)],
    "no_hashrate": [Fault(kind="throttled", ratio=0.0, start=START)],
    "hashrate_low": [Fault(kind="throttled", ratio=0.7, start=START)],
    "board_lost": [Fault(kind="board_lost", board=1, start=START)],
    "fan_lost": [Fault(kind="fan_lost", fan=0, start=START)],
    "chip_too_hot": [Fault(kind="overheating", start=START)],
    "cooling_failing": [Fault(kind="fans_held", start=START)],
    "work_astray": [_theft(T - 86_400.0)],
    "pool_switched": [_theft(START)],
    "work_not_credited": [Fault(kind="skimmed", ratio=0.5, start=START)],
    "miner_odd": [Fault(kind="frozen", start=T)],  # a whole hour of one reading
}
"""Rules over miners, and what befalls one of them; for the crowd of a rule it befalls three at a site of their own."""

OF_A_WORKER: Mapping[str, Sequence[Fault]] = {
    "worker_offline": [Fault(kind="skimmed", ratio=1.0, start=START)],
    "worker_rejected": [Fault(kind="shares_refused", ratio=0.3, start=T - 86_400.0)],
}
OF_A_SERVICE: Mapping[str, tuple[str, ServiceFaultKind]] = {
    "pool_away": ("prohashing", "dead"),
    "pool_account_lost": ("mining_dutch", "gone"),
    "market_source_away": ("coingecko", "html_429"),
    "price_old": ("coinmarketcap", "html_500"),  # the last that told prices
}
IDLE_POOL = "f2pool"
"""Pool whose miners are all paused, on purpose: pool_all_offline."""
ALSO_OF_THE_POOL = ("work_astray", "pool_switched")
"""Rules whose fault the pool sees as well: it is told on both sides, of the miner and of the worker."""
PARTS = [*OF_A_WORKER, *OF_A_MINER, *(rule for name in OF_A_MINER for rule in [crowd_name(name)] * LEAST_MINERS)]
OF_THE_PIPELINE = (
    *("lane_stands_still", "store_away", "points_refused", "disk_filling", "collector_overloaded"),
    *("response_wants_human", "host_memory_low", "host_hot", "host_under_voltage", "clock_off", "delivery_late"),
    *("source_failing", "export_late", "derived_late"),
)
"""Rules whose faults are in test_pipeline_rules.py and test_host_rules.py."""


def parts_of(farm: Farm) -> dict[str, list[str]]:
    """Who plays which part. All speak VNish's REST, for the documented CGI tells no nominal hashrate; they mine
    SHA-256 at viabtc, which tells hashrates of minutes, and have three boards."""
    able = [one for one in farm.miners if one.pool == "viabtc" and one.variant.dialect == "vnish-rest"]
    able.sort(key=lambda one: farm.truth(one.miner_id).power_w / one.variant.model.power_w)
    found: dict[str, list[str]] = defaultdict(list)
    for part in sorted(PARTS, key=lambda part: "hot" in part):  # who works hardest gets hottest
        found[part].append(able.pop(0 if "hot" not in part else -1).miner_id)
    return found


def everything_happens(farm: Farm) -> Script:
    """The script in which each rule has its fault, each at a miner or service of its own."""
    parts = parts_of(farm)
    faults = [
        (miner, fault)
        for part, miners in parts.items()
        for miner in miners
        for fault in {**OF_A_MINER, **OF_A_WORKER}[part.removeprefix("many_")]
    ]
    faults += [(one.miner_id, Fault(kind="paused", start=START)) for one in farm.miners if one.pool == IDLE_POOL]
    return Script(
        sites={one.miner_id: "one" for one in farm.miners}
        | {miner: part for part, miners in parts.items() if part.startswith("many_") for miner in miners},
        faults=faults,
        services={START: dict(OF_A_SERVICE.values())},
        cut_off=frozenset(parts["miner_stale"] + parts["many_miner_stale"]),
    )


_NOTED = [one for one in DEFAULT_MIX if one.model.algorithm == "sha256d" and one.dialect == "vnish-rest"]
EVERYTHING = World(
    miners=66,
    hours=1.2,
    script=everything_happens,
    mix=[*_NOTED * 6, *(one for one in DEFAULT_MIX if one not in _NOTED)],
    pools={"scrypt": POOLS["scrypt"], "sha256d": [*["viabtc"] * 30, IDLE_POOL]},
)


def told() -> set[tuple[str, str]]:
    """What must be told at the end of EVERYTHING: rule and subject."""
    parts = parts_of(EVERYTHING.farm(lambda: float(T)))
    worker = {miner: f"viabtc lodeline.{miner} sha256d" for miners in parts.values() for miner in miners}
    found = {(rule, parts[rule][0]) for rule in OF_A_MINER}
    found |= {(crowd_name(rule), f"site {crowd_name(rule)}") for rule in OF_A_MINER}
    found |= {(rule, worker[parts[rule][0]]) for rule in OF_A_WORKER}
    found |= {("work_not_credited", parts["worker_offline"][0])}  # it says that it mines
    found |= {
        ("worker_offline", worker[miner])
        for rule in ALSO_OF_THE_POOL
        for miner in [*parts[rule], *parts[crowd_name(rule)]]
    }
    found |= {("pool_away", "prohashing"), ("pool_account_lost", "mining_dutch litecoin")}
    found |= {("pool_all_offline", IDLE_POOL)}
    found |= {("market_source_away", source) for source in ("coingecko", "coinmarketcap")}
    return found | {("price_old", coin) for coin in ("bitcoin", "dogecoin", "ethereum", "litecoin")}


async def test_each_fault_fires_its_rule_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = await seen_after(EVERYTHING, tmp_path, monkeypatch)
    assert not found.not_asked
    assert sorted(found.loud) == sorted(told()), found.muted


def test_every_rule_has_its_fault() -> None:
    assert {rule for rule, _ in told()} | set(OF_THE_PIPELINE) == set(RULES)


LATE_IN_THE_HOUR = T + 2_400
"""So that soon an hour is over, and what is derived of it is looked at too."""


def noise(farm: Farm) -> Script:
    """What happens on any day and is nobody's business: an error for a moment, a restart, a pool's page down for a
    tick, a provider that is asked too often, a late answer."""
    one, two, three, four, *_ = (miner.miner_id for miner in farm.miners)
    noon = LATE_IN_THE_HOUR + 300.0
    return Script(
        faults=[
            (one, Fault(kind="http_500", start=noon, end=noon + 200)),
            (two, Fault(kind="reboot", start=noon + 400, boot_s=60)),
            (three, Fault(kind="paused", start=noon, end=noon + 1_500)),
            (four, Fault(kind="latency", ms=5, ms_max=40, start=noon)),
            (four, Fault(kind="shares_refused", ratio=0.03, start=noon)),
        ],
        services={
            LATE_IN_THE_HOUR + 300: {"viabtc": "html_500", "coingecko": "html_429"},
            LATE_IN_THE_HOUR + 600: {"viabtc": None, "coingecko": None, "litecoinpool": "cut"},
            LATE_IN_THE_HOUR + 900: {"litecoinpool": None},
        },
    )


async def test_a_quiet_day_fires_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hours = float(os.environ.get("QUIET_HOURS", "0.5"))
    world = World(miners=14, hours=hours, script=noise, restart_days=1.0, begin=LATE_IN_THE_HOUR)
    found = await seen_after(world, tmp_path, monkeypatch)
    assert not found.not_asked
    assert found.ever == set()
