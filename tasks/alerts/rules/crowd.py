"""Rules over a whole site or rack: what befalls many miners at once is one alert and mutes theirs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

from tasks.alerts.facts import Facts
from tasks.alerts.rule import About, Finding, Found, Level, Rule, named
from tasks.alerts.rules.miners import MINER_RULES

LEAST_MINERS = 3
"""Fewer miners than this are told one by one."""


def subject_of(site: str, rack: str) -> str:
    """Name of a site, or of a rack at it."""
    return f"site {site or '(unnamed)'}" + (f", {rack}" if rack else "")


def crowd_name(rule: str) -> str:
    """Name of the rule over many miners of which ``rule`` finds one."""
    return f"many_{rule}"


def _crowd(rule: Rule, rules: Mapping[str, Rule]) -> Rule:
    return Rule(
        crowd_name(rule.name),
        Level.CRITICAL,
        About.SITE,
        f"Much of a site or rack at once: {rule.meaning[0].lower()}{rule.meaning[1:]}",
        "Look for what they share: power, switch, cooling, pool or a change of settings.",
        crowds_of(rule, rules),
        for_s=rule.for_s,
        keep_s=rule.keep_s,
        limit=0.3,
        unit="ratio",
        muted_by=rule.muted_by - rules.keys(),
    )


def crowds_of(rule: Rule, rules: Mapping[str, Rule]) -> Callable[[Facts, float | None], Found]:
    """A search for crowds of what ``rule`` finds. A miner of which one of ``rules`` says the cause is in none: where
    boards are lost, hashrate is low as well, and a second alert of the site would say nothing new.
    """
    causes = [rules[name] for name in sorted(rule.muted_by & rules.keys())]

    def find(facts: Facts, limit: float | None) -> Found:
        share = limit if limit is not None else 1.0
        findings = rule.find(facts, rule.limit).findings
        if not crowds(findings, facts, share):
            return Found(())
        explained = {one.entity for cause in causes for one in cause.find(facts, cause.limit).findings}
        return Found(crowds([one for one in findings if one.entity not in explained], facts, share))

    return find


def crowds(findings: Sequence[Finding], facts: Facts, share: float) -> tuple[Finding, ...]:
    """Sites, and racks of sites that are not among them, of which more than ``share`` of the miners are found; those
    that are paused or forced to a state by hand are not."""
    of_site: dict[str, set[str]] = defaultdict(set)
    of_rack: dict[tuple[str, str], set[str]] = defaultdict(set)
    by_hand = facts.by_hand.miners_by_hand()
    for finding in findings:
        if finding.entity in by_hand:
            continue
        of_site[finding.site].add(finding.entity)
        if finding.rack:
            of_rack[finding.site, finding.rack].add(finding.entity)
    found = []
    told = set()
    for site, miners in sorted(of_site.items()):
        size = facts.site_sizes.get(site, 0)
        if _many(len(miners), size, share):
            told.add(site)
            found.append(_finding(site, "", len(miners), size))
    for (site, rack), miners in sorted(of_rack.items()):
        size = facts.rack_sizes.get((site, rack), 0)
        if site not in told and _many(len(miners), size, share):
            found.append(_finding(site, rack, len(miners), size))
    return tuple(found)


def _many(found: int, size: int, share: float) -> bool:
    return found >= LEAST_MINERS and found > share * size


def _finding(site: str, rack: str, found: int, size: int) -> Finding:
    subject = subject_of(site, rack)
    return Finding(
        subject=subject,
        entity=subject,
        site=site,
        rack=rack,
        message=f"{found} of {size} miners",
        value=found / size,
    )


CROWDS = tuple(_crowd(rule, named(MINER_RULES)) for rule in MINER_RULES)
