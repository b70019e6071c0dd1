"""From facts and what is stored of advice to the rows that are new: opened, changed, taken, refuted. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from storage.frame import Frame, build_frame
from tasks.derive.opportunities.facts import Facts
from tasks.derive.opportunities.rule import Found, Rule
from tasks.derive.opportunities.rules import RULES

IMPACT_TOLERANCE, CONFIDENCE_TOLERANCE = 0.1, 0.1
"""Changes that are too small for a new row: a tenth of the impact, or a cent a day; a tenth of confidence."""
CENT = 0.01
UNHEARD_S = 7 * 86_400
"""How long advice stays open while nothing is known of its subject."""

Key = tuple[str, str, str]


def new_rows(
    all_facts: Iterable[Facts], stored: Iterable[Mapping[str, Any]], hour: int, rules: Sequence[Rule] = RULES
) -> Frame:
    """Rows of ``optimization_opportunity`` of ``hour``. ``stored``: the newest row of every key, ``time`` in Unix
    seconds. What is stored and holds as it did gives no row; so the same again changes nothing.
    """
    by_type = {rule.type: rule for rule in rules}
    before = {(row["miner_id"], row["type"], row["subject"]): row for row in stored}
    miners = {facts.miner_id: facts for facts in all_facts}
    rows: list[dict[str, Any]] = []
    holding: set[Key] = set()
    for facts in miners.values():
        for rule in rules:
            for found in rule.find(facts):
                key = (facts.miner_id, rule.type, found.subject)
                holding.add(key)
                if _differs(found, before.get(key)):
                    rows.append(_open(key, found))
    for key, row in before.items():
        if row["status"] == "open" and key not in holding:
            ended = _ended(by_type.get(key[1]), miners.get(key[0]), key[2], hour - row["time"])
            if ended is not None:
                rows.append(_closed(key, row, *ended))
    names = dict.fromkeys(name for row in rows for name in row)
    columns = {name: [row.get(name) for row in rows] for name in names}
    return build_frame("optimization_opportunity", [hour] * len(rows), columns)


def _differs(found: Found, row: Mapping[str, Any] | None) -> bool:
    if row is None or row["status"] != "open":
        return True
    impact, stood = found.impact, row["potential_impact_usd_day"]
    if impact is None or stood is None:
        return impact is not stood
    near = math.isclose(impact, stood, rel_tol=IMPACT_TOLERANCE, abs_tol=CENT)
    return not near or abs(found.confidence - (row["confidence"] or 0.0)) >= CONFIDENCE_TOLERANCE


def _ended(rule: Rule | None, facts: Facts | None, subject: str, age_s: int) -> tuple[str, str] | None:
    if rule is None:
        return "refuted", "its rule is gone"
    if facts is None or not rule.known(facts):
        return ("refuted", "nothing was heard of it for a week") if age_s > UNHEARD_S else None
    if rule.taken(facts, subject):
        return "taken", "what it asks for is so now"
    return "refuted", "it holds no longer, and nothing was done"


def _open(key: Key, found: Found) -> dict[str, Any]:
    return {
        **_tags(key),
        "description": found.description,
        "potential_impact_usd_day": found.impact,
        "confidence": found.confidence,
        "status": "open",
        "evidence": found.evidence,
        "falsified_by": found.falsified_by,
        "outcome": "",
    }


def _closed(key: Key, row: Mapping[str, Any], status: str, outcome: str) -> dict[str, Any]:
    kept = ("description", "potential_impact_usd_day", "confidence", "evidence", "falsified_by")
    return {**_tags(key), **{name: row[name] for name in kept}, "status": status, "outcome": outcome}


def _tags(key: Key) -> dict[str, Any]:
    return dict(zip(("miner_id", "type", "subject"), key, strict=True))
