"""A report of a day that was made by hand, a day on which nothing is known, and writing it once."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from storage.frame import Frame, build_frame
from storage.lake.store import EmbeddedStore
from tasks.derive.fleet import Fleet
from tasks.reports.figures import Report, Worst, gather
from tasks.reports.making import MADE_ANEW_S, make_reports
from tasks.reports.period import Kind, Period, newest_period, period_of
from tasks.reports.settings import ReportSettings
from tasks.reports.text import as_html, as_markdown

HOUR = 3_600
TH = 1e12
DAY = period_of(Kind.DAILY, dt.date(2026, 11, 28), "UTC")
FLEET = Fleet({"a": ("S19", "hall"), "b": ("S19", "yard"), "silent": ("S19", "yard")})
NOW = DAY.stop + 3_601


def frame(name: str, times: list[int], **columns: Any) -> Frame:
    wide = {key: value if isinstance(value, list) else [value] * len(times) for key, value in columns.items()}
    return build_frame(name, times, wide)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedStore]:
    """a makes 90 of 100 TH/s and loses 10 to a board; b makes nothing in half the day."""
    store = EmbeddedStore(tmp_path_factory.mktemp("report") / "lake")
    hours = list(range(DAY.start, DAY.stop, HOUR))
    away = [number < 12 for number in range(24)]
    store.write(
        [
            frame(
                "operational_metrics", hours, miner_id="a", time_period="1h", hashrate_expected_hs=100 * TH,
                hashrate_lost_hs=10 * TH, lost_board_hs=10 * TH, lost_heat_hs=0.0, uptime_percentage=100.0,
                hashing_uptime_percentage=100.0, coverage_percentage=100.0,
            ),
            frame(
                "operational_metrics", hours, miner_id="b", time_period="1h", hashrate_expected_hs=100 * TH,
                hashrate_lost_hs=[100 * TH if one else 0.0 for one in away],
                lost_unreachable_hs=[100 * TH if one else 0.0 for one in away],
                uptime_percentage=[0.0 if one else 100.0 for one in away], hashing_uptime_percentage=50.0,
                coverage_percentage=100.0,
            ),
            frame(
                "financial_metrics", hours, miner_id="a", time_period="1h", revenue=0.5, cost=0.2, profit=0.3,
                energy_kwh=3.0,
            ),
            frame("financial_metrics", hours, miner_id="b", time_period="1h", revenue=0.25),
            frame(
                "alert_event", [hours[3], hours[4], hours[5]], rule=["miner_unreachable", "board_lost", "fan_lost"],
                subject=["b", "a", "x|y"], event=["fired", "fired", "resolved"],
                level=["critical", "warning", "critical"],
                message=["does not answer", "2 of 3 boards mine", "m"],
            ),
            frame(
                "pool_reconciliation", [DAY.start], pool_id="ltc", coin_id="litecoin", predicted=0.02, credited=0.019,
                unexplained=-0.001,
            ),
            frame(
                "optimization_opportunity", [hours[-1]], miner_id="a", type="board", subject="board 2", status="open",
                description="Repair <board> 2", potential_impact_usd_day=0.66, confidence=0.9,
            ),
            frame("anomaly_score", hours[:2], miner_id="a", time_period="1h", overall=0.9, anomalous=[True, False]),
        ]
    )  # fmt: skip
    yield store
    store.close()


@pytest.fixture(scope="module")
def report(store: EmbeddedStore) -> Report:
    return gather(store, FLEET, DAY, NOW)


def test_the_figures(report: Report) -> None:
    # (10 x 24 + 100 x 12) / 24 = 60 of 200 TH/s
    assert report.expected_hs == pytest.approx(200 * TH)
    assert report.lost_hs == pytest.approx(60 * TH)
    assert report.lost_by_cause == {"unreachable": pytest.approx(50 * TH), "board": pytest.approx(10 * TH)}
    assert report.uptime_percent == pytest.approx(75)
    assert report.hashing_percent == pytest.approx(75)
    assert [one.miner_id for one in report.worst] == ["b", "a"]
    assert report.worst[0] == Worst("b", pytest.approx(50 * TH), "unreachable", pytest.approx(50.0))  # type: ignore[arg-type]
    assert report.worst[1].cause == "board"
    of = {row["of"]: row for row in report.money}
    assert of["fleet"]["revenue"] == pytest.approx(18)  # 24 x 0.75
    assert of["hall"]["profit"] == pytest.approx(7.2)
    assert (of["yard"]["profit"], of["yard"]["revenue"]) == (None, pytest.approx(6))
    assert report.alerts == {"miner_unreachable": 1, "board_lost": 1}
    assert report.critical == ["miner_unreachable: b: does not answer"]
    assert report.anomalous == 1


def test_the_words(report: Report) -> None:
    text = as_markdown(report)
    assert text.startswith("# Daily report of 2026-11-28 (UTC)\n")
    for words in (
        "140 TH/s of 200 TH/s expected (70.0%)", "| unreachable | 50.0 TH/s | 83% |", "| fleet | 18.00 USD |",
        "| b | 50.0 TH/s | unreachable | 50.0 % |", "| miner_unreachable | 1 |",
        "| ltc | litecoin | 0.02 | 0.019 | \N{EN DASH} |",
        "| a | Repair <board> 2 | 0.66 USD/day | 90% |", "1 miner-hours were anomalous",
    ):  # fmt: skip
        assert words in text, words
    page = as_html(report)
    assert "Repair &lt;board&gt; 2" in page
    assert "<board>" not in page
    assert "http" not in page, "it loads nothing"


def test_a_day_on_which_nothing_is_known(tmp_path: Path) -> None:
    empty = gather(EmbeddedStore(tmp_path / "lake"), FLEET, DAY, NOW)
    assert (empty.expected_hs, empty.money, empty.anomalous, empty.worst) == (None, [], None, [])
    text = as_markdown(empty)
    for words in ("Nothing is known of the hashrate", "No money of this period", "No alert fired", "No settlement day"):
        assert words in text
    assert as_html(empty)


def test_a_week_has_a_picture_of_its_days(store: EmbeddedStore) -> None:
    week = period_of(Kind.WEEKLY, dt.date(2026, 11, 28), "UTC")
    assert (week.name, week.first, week.last) == ("2026-W48", dt.date(2026, 11, 23), dt.date(2026, 11, 29))
    found = gather(store, FLEET, week, NOW)
    assert found.lost_hs == pytest.approx(60 * TH / 7)
    with_days = Report(**{
        **{name: getattr(found, name) for name in Report.__slots__},
        "days": [{"from": f"2026-11-2{n}", "profit": value} for n, value in enumerate((2.0, None, -1.0))],
    })  # fmt: skip
    page = as_html(with_days)
    assert page.count("<rect") == 2, "a day that is not known has no bar"
    assert "#d3302f" in page


@pytest.mark.parametrize(
    ("day", "zone", "hours"),
    [("2026-03-29", "Europe/Berlin", 23), ("2026-10-25", "Europe/Berlin", 25), ("2026-06-10", "Europe/Berlin", 24)],
)
def test_days_follow_the_clocks_of_their_zone(day: str, zone: str, hours: int) -> None:
    found = period_of(Kind.DAILY, dt.date.fromisoformat(day), zone)
    assert (found.stop - found.start) // HOUR == hours


def test_the_newest_that_is_over() -> None:
    berlin_evening = dt.datetime(2026, 11, 28, 23, 30, tzinfo=dt.UTC).timestamp()  # the 29th there already
    assert newest_period(Kind.DAILY, berlin_evening, "Europe/Berlin").name == "2026-11-28"
    assert newest_period(Kind.DAILY, berlin_evening, "UTC").name == "2026-11-27"
    assert newest_period(Kind.WEEKLY, berlin_evening, "UTC").name == "2026-W47"


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_written_when_due_once_and_old_ones_go(store: EmbeddedStore, tmp_path: Path) -> None:
    settings = ReportSettings(weekly=False, keep_days=30)

    def make(now: float) -> list[tuple[str, bool]]:
        return [(title, done.is_new) for title, done in make_reports(store, FLEET, settings, tmp_path, now)]

    assert make(DAY.stop + 600) == [], "its last hour is not derived yet"
    assert make(NOW) == [(DAY.title, True)]
    assert names(tmp_path) == ["daily/2026-11-28.html", "daily/2026-11-28.md"]
    before = (tmp_path / "daily" / "2026-11-28.md").stat().st_mtime_ns
    assert make(NOW + 60) == [(DAY.title, False)]
    assert (tmp_path / "daily" / "2026-11-28.md").stat().st_mtime_ns == before
    old = tmp_path / "daily" / "2026-01-01.md"
    old.write_text("old")
    os.utime(old, (NOW - 31 * 86_400, NOW - 31 * 86_400))
    make(NOW + 120)
    assert not old.exists()


def test_a_week_long_over_is_not_made_anew(store: EmbeddedStore, tmp_path: Path) -> None:
    settings = ReportSettings(daily=False)
    week: Period = newest_period(Kind.WEEKLY, NOW, "UTC")
    assert [title for title, _ in make_reports(store, FLEET, settings, tmp_path, NOW)] == [week.title]
    assert NOW - week.stop > MADE_ANEW_S
    assert make_reports(store, FLEET, settings, tmp_path, NOW + 60) == []
