"""What the fake predicts, so that the whole circle can be looked at: every price stays as it is. It is no model."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from statistics import median
from typing import Any

from deployments.farm.abacus.call import Backend, now_text
from deployments.farm.abacus.groups import group_of_table, rows_of_group
from deployments.farm.abacus.shelf import Item

PROJECT, DEPLOYMENT = "fake", "fake_of_no_model"
GROUP, FEATURE, VALUE = "market_data", "price_usd", "predicted"
AHEAD = 24
"""Readings ahead of each coin's newest, at the pace of its readings so far."""

_USUAL_PACE_S = 300.0


def deploy(backend: Backend) -> None:
    """Have the project and the deployment, where they are not there already, and let it predict."""
    if backend.shelf.get("project", PROJECT) is None:
        project = {"projectId": PROJECT, "name": PROJECT, "useCase": "FEATURE_STORE", "createdAt": now_text()}
        backend.shelf.put("project", PROJECT, project)
    deployment = {
        "deploymentId": DEPLOYMENT, "name": "all stays as it is; no model", "projectId": PROJECT, "status": "ACTIVE",
        "modelId": None, "featureGroupId": None, "createdAt": now_text(),
    }  # fmt: skip
    backend.shelf.put("deployment", DEPLOYMENT, deployment)
    backend.predicts = lambda key: _of_now(backend) if key == DEPLOYMENT else []
    backend.answers = lambda query: {VALUE: query.get(FEATURE)}


def _of_now(backend: Backend) -> list[Item] | None:
    """None: no price was exported yet, so the batch waits."""
    if all(group["tableName"] != GROUP for group in backend.shelf.every("featureGroup")):
        return None
    rows = rows_of_group(backend, group_of_table(backend, GROUP))
    return unchanged(rows) if rows else None


def unchanged(rows: list[Item]) -> list[Item]:
    """For each coin and source its newest price, at the times of its next readings. Pure."""
    series: dict[tuple[Any, ...], list[Item]] = {}
    for row in rows:
        if row.get(FEATURE) is not None:
            series.setdefault((row["coin_id"], row["source"]), []).append(row)
    made = []
    for (coin, source), readings in series.items():
        readings.sort(key=lambda row: row["timestamp"])
        times: list[datetime] = sorted({row["timestamp"] for row in readings})
        pace = median([(b - a).total_seconds() for a, b in pairwise(times)] or [_USUAL_PACE_S])
        for number in range(1, AHEAD + 1):
            at = times[-1].replace(tzinfo=UTC) + timedelta(seconds=round(number * pace))
            made.append({
                "coin_id": coin, "source": source, "timestamp": at.isoformat(), VALUE: readings[-1][FEATURE],
            })  # fmt: skip
    return made
