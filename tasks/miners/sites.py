"""Sites: places with a collecting host of their own. Each is polled in a lane of its own and by a queue of its own.

Without sites one host polls all miners. The ``site`` of a miner is then a label and nothing else.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from storage.configuration import Within
from storage.errors import ConfigurationError
from tasks.miners.collection import LANE
from tasks.miners.report import newest_reports
from tasks.miners.settings import MinerSettings
from tasks.shift.baton import Baton
from tasks.shift.journal import Journal

_NAMED = 5
"""Miners that a fault names; the rest are counted."""


def slug_of(site: str) -> str:
    """``site`` as names of lanes, queues and deployments have it: ``Hall A`` is ``hall-a``; empty where nothing of it
    can be used."""
    return re.sub(r"[^a-z0-9]+", "-", site.lower()).strip("-")


def lane_of(site: str | None) -> str:
    """The spool lane of a site's miners, by which its shift, state files and rows of collector_tick are known too.

    Two sites that one host collects for a while, or hosts of one name, do not meet in it. None: of all miners.
    """
    return LANE if site is None else f"{LANE}-{slug_of(site)}"


def miners_of(miners: Sequence[MinerSettings], site: str | None) -> tuple[MinerSettings, ...]:
    """Those at ``site``; None: all.

    Raises:
        ConfigurationError: none of them is there.
    """
    if site is None:
        return tuple(miners)
    found = tuple(miner for miner in miners if miner.site == site)
    if not found:
        there = ", ".join(sorted({miner.site for miner in miners if miner.site})) or "none"
        raise ConfigurationError(
            [f"miners: none is at site {site!r} in the configuration of this host; sites that miners name: {there}"]
        )
    return found


def retire_lanes(state: Path, locks: Path, lane: str, sites: Sequence[str]) -> None:
    """Let lanes of miners rest that nobody is to tick any more: of sites that are gone, and that of all miners where
    there are sites now. ``lane`` is the caller's; one that somebody is on shift for is left alone.

    Without it they would stand still for ever, in ``lodeline status`` and as an alert.
    """
    wanted = {lane} if lane == LANE else {lane, *map(lane_of, sites)}
    for report in newest_reports(state)[0].values():
        name = report.lane
        if name in wanted or not (name == LANE or name.startswith(f"{LANE}-")):
            continue
        if Baton(locks, name).holder is None:
            Journal(state, name).retire()


def faults_of(sites: Sequence[str], miners: Sequence[MinerSettings]) -> list[Within]:
    """What is wrong with ``sites``, each with its place in the file: names that cannot be told apart, miners of no
    known site (at the first of them), sites without miners. Empty ``sites`` are never wrong."""
    if not sites:
        return []
    faults: list[Within] = []
    by_slug = defaultdict(list)
    for number, site in enumerate(sites):
        by_slug[slug_of(site)].append(number)
    for slug, numbers in by_slug.items():
        alike, at = [sites[number] for number in numbers], ("sites", numbers[-1])
        if not slug:
            told = f"site {alike[0]!r} needs a letter from a to z or a digit in its name: its queue is named so"
            faults.append((at, told))
        elif len(set(alike)) < len(alike):
            faults.append((at, f"site {alike[0]!r} is there {len(alike)} times"))
        elif len(alike) > 1:
            names = " and ".join(map(repr, alike))
            faults.append((at, f"sites {names} would share the queue site-{slug}: rename one"))
    elsewhere = defaultdict(list)
    for number, miner in enumerate(miners):
        if miner.site not in sites:
            elsewhere[miner.site].append(number)
    known = ", ".join(sites)
    for site, numbers in elsewhere.items():
        whose = _listed([miners[number].id for number in numbers])
        place = ("miners", numbers[0], "site")
        if site:
            faults.append((place, f"site {site!r} of {whose} is not in sites: {known}"))
        else:
            faults.append((place, f"no site of {whose}, so that nobody would poll there: one of {known}"))
    there = {miner.site for miner in miners}
    return faults + [
        (("sites", at), f"site {site!r} has no miners: give some to it, or take it out")
        for at, site in enumerate(sites)
        if site not in there
    ]


def _listed(ids: Sequence[str]) -> str:
    more = f" and {len(ids) - _NAMED} more" if len(ids) > _NAMED else ""
    return f"{'miner' if len(ids) == 1 else 'miners'} {', '.join(ids[:_NAMED])}{more}"
