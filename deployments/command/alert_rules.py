"""``lodeline alerts rules`` and ``explain``: what is watched, and why an alert is one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from deployments.settings import Settings
    from tasks.alerts.book import Book
    from tasks.alerts.rule import Rule


def show_rules(settings: Settings, *, as_json: bool) -> None:
    """All rules in force, as configured."""
    import msgspec

    found = settings.collection.alerts.rules_in_force()
    if as_json:
        rows = [
            {
                "name": rule.name, "level": rule.level, "about": rule.about, "limit": rule.limit, "unit": rule.unit,
                "for_seconds": rule.for_s, "keep_seconds": rule.keep_s, "meaning": rule.meaning, "remedy": rule.remedy,
                "muted_by": sorted(rule.muted_by), "made_of": _made_of(rule),
            }
            for rule in found.values()
        ]  # fmt: skip
        typer.echo(msgspec.json.encode(rows).decode())
        return
    for rule in found.values():
        limit = "" if rule.limit is None else f", limit {rule.limit:g} {rule.unit}"
        typer.echo(f"{rule.name}: {rule.level}, for {rule.for_s} s{limit}. {rule.meaning}")
        for part in _made_of(rule):
            typer.echo(f"  {part}")


def _made_of(rule: Rule) -> list[str]:
    from tasks.quantity import age

    if rule.composite is None:
        return []
    return [
        f"{group.replace('_', ' ')}: {part.in_words}{f' within {age(part.within_s)}' if part.within_s else ''}"
        for group, part in rule.composite.parts
    ]


def explain(settings: Settings, book: Book, ids: list[str], *, as_json: bool) -> None:
    """What an alert's rule says, and of a composite which parts held and when."""
    import msgspec

    from storage.errors import NeedsHuman
    from tasks.alerts.composite import explained

    alerts, look, rules = book.alerts(), book.last_look(), settings.collection.alerts.rules_in_force()
    if not ids:
        raise NeedsHuman("explain needs the ids of alerts", remedy="lodeline alerts list shows them")
    unknown = [one for one in ids if one not in alerts]
    if unknown:
        raise NeedsHuman(f"there is no alert {', '.join(unknown)}", remedy="lodeline alerts list shows them")
    memory, told = book.composites(), []
    for one in ids:
        alert = alerts[one]
        rule = rules.get(alert.rule)
        lines = [f"{alert.rule}: {alert.subject}: {alert.message} ({alert.phase})"]
        if rule is None:
            lines.append("Its rule is not in force any more")
        else:
            limit = "" if rule.limit is None else f"; limit {rule.limit:g} {rule.unit}"
            lines += [f"{rule.meaning} {rule.remedy}", f"Fires after {rule.for_s} s, over after {rule.keep_s} s{limit}"]
            if rule.composite is not None and look is not None:
                lines += explained(rule.composite, memory.get(rule.name, []), alert.entity, look.at)
        told.append({"alert": alert, "lines": lines})
        if not as_json:
            typer.echo("\n".join(lines))
    if as_json:
        typer.echo(msgspec.json.encode(told).decode())
