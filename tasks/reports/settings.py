"""Section ``reports`` of data_collection_config.yaml."""

from __future__ import annotations

from pydantic import Field

from storage.configuration import Section, TimeZoneName


class ReportSettings(Section):
    """Reports of days and weeks, written to ``<data>/reports``."""

    daily: bool = True
    """Write a report of each day."""
    weekly: bool = True
    """Write a report of each week, Monday to Sunday."""
    timezone: TimeZoneName = "UTC"
    """Zone of days and weeks."""
    keep_days: int = Field(default=400, ge=1, le=10_000)
    """How long files are kept."""
    tell: tuple[str, ...] = ()
    """Names of channels of section ``alerts`` that a new report is sent to."""
