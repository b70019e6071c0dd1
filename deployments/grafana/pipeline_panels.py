"""Panels that rows of the pipeline's dashboard share."""

from __future__ import annotations

from deployments.grafana import queries
from deployments.grafana.panel import Panel, Target, lines
from storage.declaration.measurement import Measurement

HOST = queries.chosen("host", "host")
"""The viewer's choice of hosts."""


def told(
    measurement: Measurement,
    title: str,
    description: str,
    *fields: str,
    worst: str = "max",
    by: tuple[str, ...] = ("host",),
    where: tuple[str, ...] = (HOST,),
    interval: str = "5m",
    width: int = 8,
) -> Panel:
    """``worst`` of ``fields``, all of one unit, by tags."""
    names = " ".join(f"$tag_{tag}" for tag in by)
    targets = [
        Target(
            queries.measured(measurement, worst, field, by, list(where)),
            f"{names} {field}".strip() if len(fields) > 1 else names or field,
        )
        for field in fields
    ]
    unit = measurement.field_by_name[fields[0]].unit
    return lines(title, description, measurement, targets, unit, interval=interval, width=width)
