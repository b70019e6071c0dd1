"""Section ``reports`` of data_collection_config.yaml."""

from __future__ import annotations

from pydantic import Field

from storage.configuration import Section, TimeZoneName


class ReportSettings(Section):
    """Reports of days, weeks and months, written to ``<data>/reports``."""

    daily: bool = True
    """Write a report of each day."""
    weekly: bool = True
    """Write a report of each week, Monday to Sunday."""
    monthly: bool = True
    """Write a report of each calendar month."""
    pdf: bool = True
    """Write each as PDF too, where the extra [pdf] is installed."""
    timezone: TimeZoneName = "UTC"
    """Zone of days, weeks and months."""
    keep_days: int = Field(default=400, ge=1, le=10_000)
    """How long files are kept."""
    tell: tuple[str, ...] = ()
    """Names of channels of section ``alerts`` that a new report is sent to, with the PDF (HTML without one) attached
    where the service takes files."""
