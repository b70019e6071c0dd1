"""The page as a viewer sees it, in headless Chromium."""

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
import yaml
from playwright.sync_api import Browser, Page, expect

from storage.frame import Frame
from storage.lake.store import EmbeddedStore
from storage.records.miner import telemetry_frames
from tasks.alerts.book import Book, Look
from tasks.alerts.life_cycle import Alert, Event, Phase
from tasks.alerts.rule import Level
from tasks.miners.report import TickReport
from tests.page import frames_store
from tests.page.browser import Visitor, chromium, free_port, process, run, visitor
from tests.page.fleet_rows import TH, configurations_at, fleet_at, frames_at, mining

pytestmark = pytest.mark.browser


def slot() -> int:
    return int(time.time()) // 60 * 60


expect.set_options(timeout=30_000)  # pushes come every 5 s, and this may be a busy machine

ROSTER = {"a1": "ANTMINER_S19", "a2": "ANTMINER_S19", "a3": "ANTMINER_S19", "l1": "ANTMINER_L7", "l2": "ANTMINER_L7"}


def history(now: int) -> Iterator[list[Frame]]:
    """Half an hour of the fleet, with a hole in it."""
    yield configurations_at(now - 600)
    for ago in (1800, 1740, 600, 540, 480, 0):
        yield frames_at(now - ago)


def store(folder: Path, *frames: list[Frame]) -> None:
    """Write into the embedded store of the data directory ``folder``, as a collector beside the page would."""
    lake = EmbeddedStore(folder / "lake")
    for written in frames:
        lake.write(written)
    lake.close()


def filled(folder: Path) -> Path:
    """A data directory and, in its folder ``config``, the configuration of five miners and one that never answered."""
    now = slot()
    store(folder, *history(now))
    report = TickReport(
        lane="miners", host="edge-1", slot=now, finished=now + 2.5, polled=6, failed=1, points=60, points_accepted=600,
        failed_by_reason={"deadline": 1}, points_stored=540, points_dead_lettered=2, points_shed=0, backlog=58,
        tick_s=2.5, loop_lag_ms=3.0, store="embedded",
    )  # fmt: skip
    (folder / "state").mkdir()
    (folder / "state" / "miners.json").write_bytes(msgspec.json.encode(report))
    miners = [
        {"id": name, "ip": f"127.1.0.{number}", "model": model, "site": "hall-1", "polling_interval_seconds": 600}
        for number, (name, model) in enumerate({**ROSTER, "z9": "ANTMINER_S19"}.items(), start=1)
    ]
    (folder / "config").mkdir()
    (folder / "config" / "data_collection_config.yaml").write_text(yaml.safe_dump({"miners": miners}))
    return folder


@contextmanager
def served(folder: Path, *, host: str = "127.0.0.1", **environment: str) -> Iterator[str]:
    where = ["--config", str(folder / "config"), "--data", str(folder), "--host", host, "--port", str(free_port())]
    with process(["-m", "deployments.page", *where], **environment) as found:
        yield found


@pytest.fixture(scope="module")
def chrome() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def still(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a page whose data no test changes."""
    with served(filled(tmp_path_factory.mktemp("still"))) as found:
        yield found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data directory of a page to which tests add, one after the other."""
    return filled(tmp_path_factory.mktemp("changing"))


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    """Address of a page over ``folder``."""
    with served(folder) as found:
        yield found


@pytest.fixture
def browser(chrome: Browser) -> Iterator[Visitor]:
    with visitor(chrome) as found:
        yield found
        assert found.faults == []


def big(page: Page, mark: str) -> str:
    return page.get_by_test_id(mark).locator(".big").inner_text()


def table(page: Page) -> dict[str, str]:
    """Miner to state, as the table shows them."""
    names = page.locator(".ag-pinned-left-cols-container [col-id=miner_id]").all_inner_texts()
    states = page.locator(".ag-center-cols-container [col-id=state]").all_inner_texts()
    return dict(zip(names, states, strict=True))


def test_the_fleet(still: str, browser: Visitor) -> None:
    page = browser.open(still)
    expect(page.get_by_test_id("hashrate-sha256d")).to_contain_text("155 TH/s")
    expect(page.get_by_test_id("hashrate-sha256d")).to_contain_text("from 2 of 3 miners")
    expect(page.get_by_test_id("hashrate-sha256d")).to_contain_text("33.5 J/TH at 5,200 W")
    assert big(page, "hashrate-scrypt") == "9.00 GH/s"
    assert big(page, "power") == "8,440 W"
    assert big(page, "reachable") == "4 of 6"
    expect(page.get_by_test_id("reachable")).to_contain_text("2 of 6 missing")
    for state, count in {"mining": 2, "degraded": 1, "paused": 1, "failed": 0, "unreachable": 1, "no-data": 1}.items():
        expect(page.get_by_test_id(f"state-{state}")).to_contain_text(str(count))
    expect(page.locator(".ag-center-cols-container .ag-row")).to_have_count(6)
    assert table(page) == {
        "a1": "mining", "a2": "degraded", "a3": "unreachable", "l1": "mining", "l2": "paused", "z9": "no data",
    }  # fmt: skip
    silent = page.locator(".ag-center-cols-container .ag-row[row-id=a3] [col-id=hashrate]")
    assert silent.inner_text() == "\N{EN DASH}"
    foot = page.get_by_test_id("pipeline")
    for words in ("miners", "6, failed 1 (deadline 1)", "embedded, delivery not started"):
        expect(foot).to_contain_text(words)
    expect(page.locator(".chart canvas")).to_have_count(4)


def test_a_count_opens_the_list_it_counts(still: str, browser: Visitor) -> None:
    """Field case 29: the tile said 41 and the list showed 38."""
    page = browser.open(still)
    page.get_by_test_id("state-mining").click()
    expect(page.get_by_test_id("shown")).to_have_text("2 mining of 6")
    expect(page.locator(".ag-center-cols-container .ag-row")).to_have_count(2)
    assert table(page) == {"a1": "mining", "l1": "mining"}
    page.get_by_test_id("state-mining").click()
    expect(page.locator(".ag-center-cols-container .ag-row")).to_have_count(6)
    page.get_by_placeholder("Search").fill("deadline")
    expect(page.locator(".ag-center-cols-container .ag-row")).to_have_count(1)
    assert table(page) == {"a3": "unreachable"}


def test_sorting_survives_new_data(address: str, folder: Path, browser: Visitor) -> None:
    page = browser.open(address)
    expect(page.locator(".ag-center-cols-container .ag-row")).to_have_count(6)
    page.locator(".ag-header-cell[col-id=hashrate]").click()
    first = page.locator(".ag-center-cols-container .ag-row[row-index='0'] [col-id=hashrate]")
    expect(first).to_have_text("95.0 TH/s")
    store(folder, telemetry_frames([mining(slot() + 1, "a2", 99 * TH, 3100)]))
    expect(first).to_have_text("99.0 TH/s")
    assert page.locator(".ag-center-cols-container .ag-row[row-index='0']").get_attribute("row-id") == "a2"


def test_new_data_arrives_without_a_reload(address: str, folder: Path, browser: Visitor) -> None:
    page = browser.open(address)
    expect(page.get_by_test_id("reachable")).to_contain_text("2 of 6 missing")
    page.evaluate("window.notReloaded = true")
    newer = [record for record in fleet_at(slot() + 2) if record.miner.miner_id not in ("a2", "a3")]
    newer += [mining(slot() + 2, "a2", 98 * TH, 3050), mining(slot() + 2, "a3", 97 * TH, 3010)]
    store(folder, telemetry_frames(newer))
    expect(page.get_by_test_id("hashrate-sha256d")).to_contain_text("290 TH/s")
    expect(page.get_by_test_id("reachable")).to_contain_text("1 of 6 missing")
    assert page.evaluate("window.notReloaded") is True


def put_alert(folder: Path) -> Alert:
    """Writes into the book of alerts, as the watch beside the page would."""
    now = time.time()
    alert = Alert(
        id="3f0a91c2de", rule="board_lost", subject="a2", entity="a2", site="hall-1", rack="", within="",
        level=Level.WARNING, phase=Phase.FIRING, since=now - 600, seen=now, message="2 of 3 boards mine",
        fired=now - 300,
    )  # fmt: skip
    book = Book.open(folder / "state")
    with book.transaction():
        book.replace_alerts([alert])
        book.note_look(Look(at=now))
    book.close()
    return alert


def test_an_alert_is_shown_and_acknowledged(address: str, folder: Path, browser: Visitor) -> None:
    page = browser.open(address)
    expect(page.get_by_test_id("reachable")).to_contain_text("of 6")
    expect(page.get_by_test_id("alerts")).to_contain_text("flow watch-alerts has not looked yet on this host")
    alert = put_alert(folder)
    shown = page.get_by_test_id(f"alert-{alert.id}")
    expect(shown).to_contain_text("board lost: a2")
    expect(shown).to_contain_text("2 of 3 boards mine")
    expect(page.get_by_test_id("alerts")).to_contain_text("1 to be looked at")
    shown.get_by_role("button", name="Acknowledge").click()
    expect(shown).to_contain_text("acknowledged by the page")
    expect(page.get_by_test_id("alerts")).to_contain_text("0 to be looked at, 1 muted or acknowledged")
    book = Book.open(folder / "state")
    assert [(change.event, change.by) for change in book.changes(0)] == [(Event.ACKNOWLEDGED, "the page")]
    book.close()
    shown.get_by_role("link").click()
    page.wait_for_url("**/miner/a2")


def test_drill_down(still: str, browser: Visitor) -> None:
    page = browser.open(still)
    page.get_by_role("region", name="Miners").get_by_role("link", name="a2", exact=True).click()
    page.wait_for_url("**/miner/a2")
    expect(page.get_by_test_id("state")).to_have_text("degraded")
    expect(page.get_by_text("2 of 3 boards mine; 1 error reported")).to_be_visible()
    expect(page.get_by_test_id("numbers")).to_contain_text("60.0 TH/s")
    expect(page.get_by_test_id("numbers").get_by_test_id("as-of-card")).to_contain_text("old, 20")
    for mark, rows, words in (
        ("parts-boards", 3, "20.0 TH/s"),
        ("parts-fans", 4, "4,803 rpm"),
        ("parts-pools", 1, "stratum+tcp://pool.example:3333"),
        ("parts-errors", 1, "board 3 lost"),
    ):
        expect(page.get_by_test_id(mark).locator("tbody tr")).to_have_count(rows)
        expect(page.get_by_test_id(mark)).to_contain_text(words)
    expect(page.get_by_test_id("settings")).to_contain_text("Vnish 1.2.6")
    expect(page.locator(".chart canvas")).to_have_count(3)


def test_a_miner_that_nobody_knows(still: str, browser: Visitor) -> None:
    page = browser.open(f"{still}/miner/no%2Fsuch")
    expect(page.get_by_test_id("state")).to_contain_text("No such miner")


def test_a_store_that_is_away_and_comes_back(tmp_path: Path, browser: Visitor) -> None:
    for frames in history(slot()):
        frames_store.write(tmp_path / "store", frames)
    arguments = ["-m", "tests.page.frames_page", str(tmp_path), "127.0.0.1", str(free_port()), *ROSTER]
    with process(arguments) as address:
        page = browser.open(address)
        expect(page.get_by_test_id("hashrate-sha256d")).to_contain_text("155 TH/s")
        expect(page.get_by_test_id("away")).to_be_hidden()
        (tmp_path / "store" / "away").touch()
        expect(page.get_by_test_id("away")).to_contain_text("Store away since")
        expect(page.get_by_test_id("away")).to_contain_text("the store refused the connection")
        assert big(page, "hashrate-sha256d") == "155 TH/s"
        (tmp_path / "store" / "away").unlink()
        expect(page.get_by_test_id("away")).to_be_hidden()


def test_spans(still: str, browser: Visitor) -> None:
    page = browser.open(still)
    expect(page.locator(".chart canvas")).to_have_count(4)
    page.get_by_test_id("span-24h").click()
    expect(page.get_by_text("means of 15 min, UTC")).to_be_visible()
    page.get_by_test_id("span-7d").click()
    expect(page.get_by_text("means of 1 h, UTC")).to_be_visible()
    expect(page.get_by_text("no data in this span")).to_have_count(4)  # no hourly tier here: said, not drawn as zero


@pytest.mark.parametrize("path", ["/", "/miner/a2"])
def test_on_a_phone(still: str, path: str, chrome: Browser) -> None:
    with visitor(chrome, width=360, height=740, dark=True) as phone:
        page = phone.open(still + path)
        expect(page.locator("canvas").first).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        assert page.evaluate("document.body.classList.contains('body--dark')")
        assert phone.faults == []


def test_the_chosen_theme_is_kept(still: str, browser: Visitor) -> None:
    page = browser.open(still)
    page.get_by_label("Light or dark").click()
    page.wait_for_function("document.body.classList.contains('body--dark') && document.cookie.includes('dark')")
    page.get_by_role("region", name="Miners").get_by_role("link", name="a1", exact=True).click()
    page.wait_for_url("**/miner/a1")
    page.wait_for_function("document.body.classList.contains('body--dark')")


def test_the_password(folder: Path, chrome: Browser) -> None:
    guarded = served(folder, host="0.0.0.0", LODELINE_PAGE__PASSWORD="correct horse")
    with guarded as found, visitor(chrome) as stranger:
        address = found.replace("0.0.0.0", "127.0.0.1")
        page = stranger.open(f"{address}/miner/a1")
        page.wait_for_url("**/login")
        page.get_by_label("Password").fill("wrong")
        page.get_by_role("button", name="Log in").click()
        expect(page.get_by_role("alert")).to_have_text("That is not the password.")
        assert stranger.faults == [
            "console error: Failed to load resource: the server responded with a status of 401 (Unauthorized)"
        ]
        stranger.faults.clear()
        page.wait_for_timeout(1_050)  # the wait that a wrong password costs
        page.get_by_label("Password").fill("correct horse")
        page.get_by_role("button", name="Log in").click()
        expect(page.get_by_test_id("reachable")).to_contain_text("of 6")
        (cookie,) = [c for c in page.context.cookies() if c["name"] == "lodeline_session"]
        assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
        page.get_by_role("link", name="Log out").click()
        page.wait_for_url("**/login")
        page.goto(address)
        page.wait_for_url("**/login")
        assert stranger.faults == []
    assert (folder / "page.secret").stat().st_mode & 0o777 == 0o600


def test_no_password_no_open_door(folder: Path) -> None:
    arguments = ["--config", str(folder / "config"), "--data", str(folder), "--host", "0.0.0.0", "--port", "18999"]
    ended = run("-m", "deployments.page", *arguments)
    assert ended.returncode == 2
    assert ended.stderr.startswith("lodeline: the page would be open to everybody who reaches 0.0.0.0")
    assert "LODELINE_PAGE__PASSWORD" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_port_that_is_taken(folder: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        ended = run("-m", "deployments.page", "--data", str(folder), "--port", str(other.getsockname()[1]))
    assert ended.returncode == 2
    assert "Give another --host or --port" in ended.stderr
    assert "Traceback" not in ended.stderr
