"""Uptimes of several hours or miners together: each counts for the time that it is of, never alike."""

from __future__ import annotations

import pandas as pd


def wanted_hours(rows: pd.DataFrame) -> pd.Series:
    """Hours that the uptime of each hourly row of ``operational_metrics`` is of: what is known of the hour, less what
    was planned to be off. ``rows``: with ``coverage_percentage`` and ``planned_off_percentage``."""
    off = rows["planned_off_percentage"].astype("float64").fillna(0.0)
    return rows["coverage_percentage"].astype("float64").fillna(0.0) / 100 * (1 - off / 100)
