"""What a dashboard is made of, before it is Grafana's JSON: variables, rows, panels and their queries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from storage.declaration import Measurement, Tier


@dataclass(frozen=True, slots=True)
class Target:
    """One query. ``alias`` names its series; ``$tag_x`` is the value of tag x."""

    query: str
    alias: str = ""
    table: bool = False


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel; ``unit`` is a declared unit. ``units`` are those of a table's columns.

    ``look_back`` replaces the viewer's span, ``interval`` is the shortest window, ``no_value`` stands where there is
    nothing. ``bars`` are for counts: a line would be drawn over windows in which nobody counted. ``rules``: alert rules
    whose limits are drawn, ``below`` where less is worse. ``many``: so many lines that their legend is a list beside.
    """

    kind: str
    title: str
    description: str
    bucket: str
    targets: tuple[Target, ...]
    unit: str = ""
    width: int = 8
    height: int = 8
    units: tuple[tuple[str, str], ...] = ()
    look_back: str | None = None
    interval: str | None = None
    stacked: bool = False
    bars: bool = False
    no_value: str = "\N{EN DASH}"
    rules: tuple[str, ...] = ()
    below: bool = False
    many: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """A heading and the panels under it."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True)
class Variable:
    """A choice of the viewer: values of a tag of ``measurement``. ``one``: exactly one of them, else some or all."""

    name: str
    label: str
    measurement: Measurement
    query: str
    one: bool = False


@dataclass(frozen=True, slots=True)
class Dashboard:
    """One dashboard, stored as ``dashboards/<name>.json``. ``span`` is what it opens with, e.g. ``6h``."""

    name: str
    title: str
    variables: tuple[Variable, ...]
    rows: tuple[Row, ...]
    span: str = "6h"


def limited(panel: Panel, *rules: str, below: bool = False) -> Panel:
    """``panel`` with a line at the declared limit of each of these alert rules."""
    return replace(panel, rules=rules, below=below)


def tag_values(name: str, label: str, measurement: Measurement, tag: str, *, one: bool = False) -> Variable:
    """A choice among the values of ``tag``."""
    return Variable(name, label, measurement, f'SHOW TAG VALUES FROM "{measurement.name}" WITH KEY = "{tag}"', one=one)


def lines(
    title: str,
    description: str,
    measurement: Measurement,
    targets: Sequence[Target],
    unit: str,
    *,
    interval: str,
    width: int = 8,
    stacked: bool = False,
    bars: bool = False,
) -> Panel:
    """Lines or bars over time of raw rows of ``measurement``, a point per ``interval`` at most."""
    return Panel(
        "timeseries",
        title,
        description,
        measurement.buckets[Tier.RAW],
        tuple(targets),
        unit,
        width,
        interval=interval,
        stacked=stacked,
        bars=bars,
    )


def newest(
    title: str,
    description: str,
    measurement: Measurement,
    query: str,
    fields: Sequence[str],
    *,
    width: int = 12,
    height: int = 9,
    look_back: str | None = None,
) -> Panel:
    """A table of raw rows of ``measurement``, each of ``fields`` in its own unit."""
    return Panel(
        "table",
        title,
        description,
        measurement.buckets[Tier.RAW],
        (Target(query, table=True),),
        units=tuple((name, measurement.field_by_name[name].unit) for name in fields),
        look_back=look_back,
        width=width,
        height=height,
    )
