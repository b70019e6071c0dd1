"""A report of a day that was made by hand, a day on which nothing is known, and writing it once."""

from __future__ import annotations

import datetime as dt
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from storage.lake.store import EmbeddedStore
from tasks.derive.fleet import Fleet
from tasks.reports.comparison import compared
from tasks.reports.figures import Report, Worst, gather
from tasks.reports.making import MADE_ANEW_S, make_reports
from tasks.reports.page import as_html
from tasks.reports.paper import as_pdf
from tasks.reports.period import Kind, Period, newest_period, period_of
from tasks.reports.pictures import anomaly_pictures, hashrate_pictures, profit_pictures
from tasks.reports.settings import ReportSettings
from tasks.reports.text import as_markdown, as_message, sections
from tests.reports.day import DAY, FLEET, HOUR, NOW, TH, fill, frame


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedStore]:
    store = EmbeddedStore(tmp_path_factory.mktemp("report") / "lake")
    fill(store)
    yield store
    store.close()


@pytest.fixture(scope="module")
def report(store: EmbeddedStore) -> Report:
    return gather(store, FLEET, DAY, NOW)


def test_the_figures(report: Report) -> None:
    # (10 x 24 + 100 x 12) / 24 = 60 of 200 TH/s
    this = report.this
    (work,) = this.work
    assert (work.algorithm, work.miners, work.hours_known) == ("sha256d", 2, 24)
    assert work.expected_hs == pytest.approx(200 * TH)
    assert work.lost_hs == pytest.approx(60 * TH)
    assert work.lost_by_cause == {"unreachable": pytest.approx(50 * TH), "board": pytest.approx(10 * TH)}
    assert work.lost_usd == pytest.approx(3.0)  # 60 TH/s for a day at 0.05 USD per TH/s and day
    assert this.uptime_percent == pytest.approx(75)
    assert this.hashing_percent == pytest.approx(75)
    assert [one.miner_id for one in report.worst] == ["b", "a"]
    assert report.worst[0] == Worst("b", pytest.approx(50 * TH), "unreachable", pytest.approx(50.0))  # type: ignore[arg-type]
    assert report.worst[1].cause == "board"
    of = {row["of"]: row for row in report.money}
    assert of["fleet"]["revenue"] == pytest.approx(18)  # 24 x 0.75
    assert of["hall"]["profit"] == pytest.approx(7.2)
    assert (of["yard"]["profit"], of["yard"]["revenue"]) == (None, pytest.approx(6))
    assert this.alerts == {"miner_unreachable": 1, "board_lost": 1}
    assert report.critical == ["miner_unreachable: b: does not answer"]
    assert this.anomalous == 1


def test_the_day_before_is_compared(report: Report) -> None:
    assert {row[0]: row[1:] for row in compared(report)} == {
        "Profit": ("7.20 USD", "4.80 USD", "+2.40 USD, +50%"),  # 24 x 0.3, and 24 x 0.2
        "Revenue": ("18.00 USD", "7.20 USD", "+10.80 USD, +150%"),
        "Cost": ("4.80 USD", "2.40 USD", "+2.40 USD, +100%"),
        "Of expected hashrate": ("70.0%", "100.0%", "-30.0 points"),
        "Worth of what was lost": ("3.00 USD", "0.00 USD", "+3.00 USD"),
        "Hashrate delivered": ("140 TH/s", "100 TH/s", "+40.0%"),
        "Energy": ("72 kWh", "72 kWh", "the same"),
        "Electricity, part of the cost": ("3.60 USD", "2.40 USD", "+1.20 USD, +50%"),
        "Reached, of what is known": ("75.0%", "100.0%", "-25.0 points"),
        "Known of the time": ("100.0%", "100.0%", "the same"),
        "Alerts fired": ("2", "0", "+2"),
        "Anomalous miner-hours": ("1", "\N{EN DASH}", ""),
    }


def test_the_curves(report: Report) -> None:
    curves = report.curves
    assert curves.edges == list(range(DAY.start, DAY.stop + 1, HOUR))
    assert curves.made[0].tolist() == pytest.approx([90 * TH] * 12 + [190 * TH] * 12)
    assert curves.profit.tolist() == pytest.approx([0.3] * 24)
    assert curves.prices.keys() == {"bitcoin"}
    assert set(curves.prices["bitcoin"]) == {91_000.0}, "CoinGecko's price counts"
    assert curves.hottest_c.tolist() == [70.0] * 20 + [88.5] + [70.0] * 3
    assert np.isnan(curves.chip_c).all()
    assert curves.anomalous[:2].tolist() == [1, 0]
    assert np.isnan(curves.anomalous[2:]).all()


def test_a_source_that_was_paused_is_named_with_the_time_and_the_reason(report: Report) -> None:
    said = "ltc was not asked from 2026-11-28 10:00 to 2026-11-28 12:00: paused by hand until"
    assert said in as_markdown(report)
    assert f"<li>{said} 2026-11-28 12:00:00 UTC by ana: new &lt;account&gt;</li>" in as_html(report)


def test_what_is_not_known_is_not_taken_for_nothing(store: EmbeddedStore) -> None:
    """Of the week two days are known: their mean is the week's, and the page says so."""
    week = period_of(Kind.WEEKLY, dt.date(2026, 11, 28), "UTC")
    assert (week.name, week.first, week.last) == ("2026-W48", dt.date(2026, 11, 23), dt.date(2026, 11, 29))
    found = gather(store, FLEET, week, NOW)
    assert found.this.work[0].expected_hs == pytest.approx(150 * TH)  # (24 x 100 + 24 x 200) / 48
    assert found.this.work[0].lost_hs == pytest.approx(30 * TH)
    assert "Only 48 of 168 hours are known" in as_markdown(found)
    (profit,) = profit_pictures(found)
    assert profit.svg.count("<rect") == 2, "a day that is not known has no bar"
    (hashrate,) = hashrate_pictures(found)
    assert hashrate.svg.count("<polygon") == 2, "one run of each line, and nothing drawn where nothing is known"
    assert [">Mon 23<" in hashrate.svg, ">TH/s<" in hashrate.svg] == [True, True]
    assert found.before.work == []


def test_hours_in_which_nobody_was_read_are_not_taken_for_the_others(tmp_path: Path) -> None:
    """Read in the first twelve hours, in the twelfth for six minutes, out of reach: (11 x 100 + 0.1 x 0) / 11.1 of what
    is known, which is 11.1 of 24 hours."""
    store = EmbeddedStore(tmp_path / "lake")
    hours = list(range(DAY.start, DAY.stop, HOUR))
    uptime = [100.0] * 11 + [0.0] + [None] * 12
    store.write([
        frame(
            "operational_metrics", hours, miner_id="a", time_period="1h", uptime_percentage=uptime,
            hashing_uptime_percentage=uptime, coverage_percentage=[100.0] * 11 + [10.0] + [0.0] * 12,
            hashrate_expected_hs=[100 * TH] * 12 + [None] * 12, hashrate_lost_hs=[0.0] * 12 + [None] * 12,
            reason=[""] * 11 + ["gap"] + ["no_readings"] * 12,
        )
    ])  # fmt: skip
    found = gather(store, Fleet({"a": ("Antminer S19", "")}), DAY, NOW)
    assert found.this.uptime_percent == pytest.approx(100 * 11 / 11.1)
    assert found.this.coverage_percent == pytest.approx(100 * 11.1 / 24)
    said = as_markdown(found)
    assert "Only 12 of 24 hours are known" in said
    assert "Reached 99.1% of the time that is known, hashing 99.1%; 46.2% of the day is known." in said
    assert "| Known of the time | 46.2% |" in said


def test_algorithms_are_never_added_up(tmp_path: Path) -> None:
    """All 10 GH/s of a Scrypt miner are more than 1 of 100 TH/s: it comes first, in a unit of its own."""
    store = EmbeddedStore(tmp_path / "lake")
    for miner, expected, lost in (("sha", 100 * TH, 1 * TH), ("scrypt", 1e10, 1e10)):
        store.write([
            frame(
                "operational_metrics", [DAY.start], miner_id=miner, time_period="1h", hashrate_expected_hs=expected,
                hashrate_lost_hs=lost, lost_board_hs=lost,
            )
        ])  # fmt: skip
    fleet = Fleet({"sha": ("Antminer S19", ""), "scrypt": ("Antminer L7", "")})
    found = gather(store, fleet, DAY, NOW)
    assert [(work.algorithm, work.expected_hs) for work in found.this.work] == [("scrypt", 1e10), ("sha256d", 100 * TH)]
    assert [one.miner_id for one in found.worst] == ["scrypt", "sha"]
    assert "| Of expected hashrate, Scrypt | 0.0% |" in as_markdown(found)
    assert "| SHA-256 | board | 1.00 TH/s | 100% |" in as_markdown(found)
    assert [one.name for one in hashrate_pictures(found)] == ["hashrate-scrypt", "hashrate-sha256d"]


def test_a_month_has_days_and_sums_of_settlements(store: EmbeddedStore) -> None:
    month = period_of(Kind.MONTHLY, dt.date(2026, 11, 28), "Europe/Berlin")
    assert (month.name, month.first, month.last) == ("2026-11", dt.date(2026, 11, 1), dt.date(2026, 11, 30))
    assert month.before.name == "2026-10"
    assert (month.before.stop - month.before.start) // HOUR == 745, "the clocks went back"
    found = gather(store, FLEET, month, month.stop + 3_601)
    assert len(found.curves.edges) == 31
    # 7.2 USD of the 28th and 4.8 of the 27th in UTC: an hour of each is of the next day in Berlin
    assert found.curves.profit[26:29].tolist() == pytest.approx([4.6, 7.1, 0.3])
    assert np.isnan(found.curves.profit[:26]).all()
    assert "| ltc | litecoin | 1 | 0.02 | 0.019 | \N{EN DASH} | -0.001 |" in as_markdown(found)


def test_the_words(report: Report) -> None:
    text = as_markdown(report)
    assert text.startswith("# Daily report of 2026-11-28 (UTC)\n")
    for words in (
        "140 TH/s of 200 TH/s expected (70.0%)", "| unreachable | 50.0 TH/s | 83% |", "| fleet | 18.00 USD |",
        "| b | 50.0 TH/s | unreachable | 50.0% |", "| miner_unreachable | 1 | 0 |",
        "| 2026-11-28 | ltc | litecoin | 0.02 | 0.019 | \N{EN DASH} |",
        "| a | Repair <board> 2 | 0.66 USD/day | 90% |", "1 miner-hours were anomalous",
        "The profit was 7.20 USD, of 24 of 48 miner-hours", "it was 4.80 USD the day before",
        "would have brought about 3.00 USD", "- b: see why it lost 50.0 TH/s (unreachable, reached 50% of the time)",
    ):  # fmt: skip
        assert words in text, words
    assert "![" not in text
    assert "![Price of bitcoin](2026-11-28-price-bitcoin.svg)" in as_markdown(report, pictures="2026-11-28")
    page = as_html(report)
    assert "Repair &lt;board&gt; 2" in page
    assert "<board>" not in page
    assert "http" not in page, "it loads nothing"
    assert page.count("<svg") == 5
    message = as_message(report)
    assert "Profit: 7.20 USD (+2.40 USD, +50%)" in message
    assert "- a: Repair <board> 2 (brings 0.66 USD/day, 90% sure)" in message


def test_all_names_of_pictures_differ(report: Report) -> None:
    names = [one.name for section in sections(report) for one in section.pictures]
    assert names == ["hashrate-sha256d", "profit", "price-bitcoin", "temperature", "anomalies"]
    assert anomaly_pictures(report)[0].svg.count("<rect") == 2, "hours that nobody scored have no bar"


def text_of(pdf: bytes, tmp_path: Path) -> str:
    """What poppler reads of it."""
    reader = shutil.which("pdftotext")
    if reader is None:
        pytest.skip("pdftotext is not installed (Debian: apt-get install poppler-utils)")
    (tmp_path / "report.pdf").write_bytes(pdf)
    said = subprocess.run(
        [reader, "-layout", str(tmp_path / "report.pdf"), "-"], check=True, capture_output=True, text=True
    )
    return re.sub(r" +", " ", said.stdout)


def test_the_paper(report: Report, tmp_path: Path) -> None:
    pdf = as_pdf(report)
    assert as_pdf(report) == pdf, "the same report, the same bytes"
    first, *others = text_of(pdf, tmp_path).split("\f")
    for words in ("Daily report of 2026-11-28 (UTC)", "7.20 USD", "+2.40 USD, +50%", "What to do", "Repair <board> 2"):
        assert words in first, words
    assert "Hashrate delivered and expected, SHA-256" in first, "the first page has the first picture"
    rest = " ".join(others)
    for words in (
        "fleet 18.00 USD 4.80 USD 7.20 USD 72 kWh",
        "b 50.0 TH/s unreachable 50.0%",
        "91,000",
        "\N{EN DASH}",
    ):
        assert words in rest, words


def test_names_that_the_usual_font_cannot_show(
    store: EmbeddedStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tasks.reports import paper

    fleet = Fleet({"a": ("Antminer S19", "\u0421\u0430\u0440\u0430\u0439"), "b": ("Antminer S19", "yard")})
    found = gather(store, fleet, DAY, NOW)
    if any(path.is_file() for path in paper.FURTHER_FONTS):
        assert "\u0421\u0430\u0440\u0430\u0439 12.00 USD" in text_of(as_pdf(found), tmp_path)
    monkeypatch.setattr(paper, "FURTHER_FONTS", ())
    assert "????? 12.00 USD" in text_of(as_pdf(found), tmp_path)


def test_a_day_on_which_nothing_is_known(tmp_path: Path) -> None:
    empty = gather(EmbeddedStore(tmp_path / "lake"), FLEET, DAY, NOW)
    assert (empty.this.work, empty.money, empty.this.anomalous, empty.worst) == ([], [], None, [])
    text = as_markdown(empty)
    for words in ("Nothing is known of the hashrate", "No money of this day", "No alert fired", "No settlement day"):
        assert words in text
    assert "<svg" not in as_html(empty)
    assert as_pdf(empty)


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
    assert newest_period(Kind.MONTHLY, berlin_evening, "UTC").name == "2026-10"
    new_year = dt.datetime(2027, 1, 1, 0, 30, tzinfo=dt.UTC).timestamp()
    assert newest_period(Kind.MONTHLY, new_year, "UTC").name == "2026-12"


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_written_when_due_once_and_old_ones_go(store: EmbeddedStore, tmp_path: Path) -> None:
    settings = ReportSettings(weekly=False, monthly=False, keep_days=30)

    def make(now: float) -> list[str]:
        return [done.title for done in make_reports(store, FLEET, settings, tmp_path, now)]

    assert make(DAY.stop + 600) == [], "its last hour is not derived yet"
    assert make(NOW) == [DAY.title]
    pictures = ("anomalies", "hashrate-sha256d", "price-bitcoin", "profit", "temperature")
    assert names(tmp_path) == [
        *(f"daily/2026-11-28-{name}.svg" for name in pictures),
        "daily/2026-11-28.html", "daily/2026-11-28.md", "daily/2026-11-28.pdf",
    ]  # fmt: skip
    text = (tmp_path / "daily" / "2026-11-28.md").read_text()
    assert sorted(re.findall(r"\]\((.*?)\)", text)) == [f"2026-11-28-{name}.svg" for name in pictures]
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.*")}
    assert make(NOW + 60) == [DAY.title]
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.*")} == before
    old = tmp_path / "daily" / "2026-01-01.md"
    old.write_text("old")
    os.utime(old, (NOW - 31 * 86_400, NOW - 31 * 86_400))
    make(NOW + 120)
    assert not old.exists()


def test_a_week_long_over_is_not_made_anew(store: EmbeddedStore, tmp_path: Path) -> None:
    settings = ReportSettings(daily=False, monthly=False, pdf=False)
    week: Period = newest_period(Kind.WEEKLY, NOW, "UTC")
    assert [done.title for done in make_reports(store, FLEET, settings, tmp_path, NOW)] == [week.title]
    assert not list(tmp_path.rglob("*.pdf"))
    assert NOW - week.stop > MADE_ANEW_S
    assert make_reports(store, FLEET, settings, tmp_path, NOW + 60) == []


def test_without_fpdf2_the_rest_is_written(
    store: EmbeddedStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "fpdf", None)
    (made,) = make_reports(store, FLEET, ReportSettings(weekly=False, monthly=False), tmp_path, NOW)
    assert made.pdf is None
    assert made.no_pdf == "a PDF needs fpdf2, which is not installed. Install lodeline[pdf]"
    assert made.markdown.exists()
    assert made.page.exists()
