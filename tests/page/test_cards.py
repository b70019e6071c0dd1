"""The cards of the fleet's page in headless Chromium, over the farm of world.py; their numbers are worked out there.

With LODELINE_WRITE_SCREENSHOTS=1 the pictures in docs/images are made of what is shown.
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.page import world
from tests.page.browser import Visitor, chromium, free_port, process, visitor

pytestmark = pytest.mark.browser
expect.set_options(timeout=30_000)

IMAGES = Path(__file__).parents[2] / "docs" / "images"


def picture(shown: Page | Locator, name: str) -> None:
    """Make the picture of that name, where that is asked for."""
    if os.environ.get("LODELINE_WRITE_SCREENSHOTS") == "1":
        shown.screenshot(path=IMAGES / f"{name}.png")


def drawn(page: Page, charts: int) -> None:
    """Wait until so many charts are drawn."""
    expect(page.locator("canvas")).to_have_count(charts)
    page.evaluate("document.fonts.ready")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return world.fill(tmp_path_factory.mktemp("farm"), int(time.time()))


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    where = ["--config", str(folder / "config"), "--data", str(folder), "--port", str(free_port())]
    with process(["-m", "deployments.page", *where]) as found:
        yield found


@pytest.fixture(scope="module")
def chrome() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def browser(chrome: Browser) -> Iterator[Visitor]:
    with visitor(chrome) as found:
        yield found
        assert found.faults == []


@pytest.fixture(scope="module")
def page(address: str, browser: Visitor) -> Page:
    return browser.open(address)


def test_delivered_against_expected(page: Page) -> None:
    day = page.get_by_test_id("day")
    expect(day).to_contain_text("SHA-256: 10.5% of what was expected in 22 h was lost")
    expect(day).to_contain_text("Scrypt: 25.4% of what was expected in 22 h was lost")
    expect(day.get_by_role("img")).to_have_count(2)


def test_money(page: Page) -> None:
    money = page.get_by_test_id("money")
    expect(money.get_by_test_id("profit")).to_contain_text("USD")
    expect(money.get_by_test_id("profit-yesterday")).to_contain_text("912 of 960 hours of miners known")
    expect(money.get_by_role("row", name="f2")).to_contain_text("388.00 USD")
    expect(money.get_by_role("row", name="f2")).to_contain_text("97.0%")


def test_pools(page: Page) -> None:
    pools = page.get_by_test_id("pools")
    f2 = pools.get_by_role("row", name="f2").first
    for words in ("live", "14, 1 not seen", "960 TH/s", "970 TH/s", "99.0%"):
        expect(f2).to_contain_text(words)
    expect(pools.get_by_role("link", name="s30")).to_be_visible()
    expect(pools.get_by_role("row", name="f2 BTC")).to_contain_text("0.00388 BTC, 388.00 USD, 10 h ago")


def test_market(page: Page) -> None:
    market = page.get_by_test_id("market")
    bitcoin = market.get_by_role("row", name="BTC").first
    for words in ("100,000", "+2.5%", "72.3 overbought", "95,123", "coingecko"):
        expect(bitcoin).to_contain_text(words)
    expect(market.get_by_role("row", name="SHA-256")).to_contain_text("0.05 USD per TH/s")


def test_a_group_of_alerts_is_acknowledged_at_once(page: Page) -> None:
    alerts = page.get_by_test_id("alerts")
    group = alerts.get_by_test_id("group-chip_too_hot")
    expect(group).to_contain_text("chip too hot: 3")
    group.locator("summary").focus()
    page.keyboard.press("Enter")  # opens it
    expect(group.get_by_role("link", name="s06")).to_be_visible()
    expect(alerts).to_contain_text("4 to be looked at")
    expect(page.get_by_test_id("loud").get_by_role("link", name="4 alerts")).to_be_visible()
    expect(alerts.get_by_test_id("channel-mail")).to_contain_text("last told OK")
    expect(alerts.get_by_test_id("channel-sms")).to_contain_text("refused: no credit")
    alerts.get_by_role("button", name="Acknowledge all: chip too hot").click()
    expect(alerts).to_contain_text("1 to be looked at, 3 muted or acknowledged")
    expect(alerts.get_by_role("button", name="Acknowledge")).to_have_count(1)


def test_the_ten_worst(page: Page) -> None:
    rows = page.get_by_test_id("worst").locator("tbody tr")
    expect(rows).to_have_count(10)
    expect(rows.first).to_contain_text("unreachable")
    expect(rows.nth(2)).to_contain_text("2 of 3 boards mine")
    expect(page.get_by_test_id("worst")).to_contain_text("mostly heat in the newest hour derived")


def test_racks_are_walked_by_the_arrows_and_open_a_miner(page: Page) -> None:
    racks = page.get_by_test_id("racks")
    expect(racks.get_by_role("group", name="hall-1, rack 1").get_by_role("link")).to_have_count(10)
    expect(racks.locator("a.cell")).to_have_count(40)
    colours = {"s01": "none", "s02": "low", "s03": "off", "s04": "near"}
    for miner, colour in colours.items():
        expect(racks.locator(f"a[data-miner={miner}]")).to_have_class(f"cell cell-{colour}")
    assert racks.locator("a[tabindex='0']").count() == 1  # one stop of the keyboard
    racks.locator("a[tabindex='0']").focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowRight"):
        page.keyboard.press(key)
    assert page.evaluate("document.activeElement.dataset.miner") == "s04"
    assert page.evaluate("document.activeElement.ariaLabel") == "s04, mining, 97% of expected"
    racks.get_by_role("button", name="hottest chip").click()
    expect(racks.locator("a[data-miner=s04]")).to_have_class("cell cell-near")  # 71 degrees
    expect(racks.locator("a[data-miner=s02]")).to_have_class("cell cell-near")
    racks.locator("a[data-miner=s02]").focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/miner/s02")
    page.go_back()


def test_the_pipeline(page: Page) -> None:
    pipeline = page.get_by_test_id("pipeline")
    expect(pipeline).to_contain_text("lane miners: 3 points wait for influx: the store refused the connection")
    expect(pipeline.get_by_role("row", name="coinmarketcap")).to_contain_text("listings: refused: the key is wrong")
    expect(pipeline.get_by_test_id("credits-coinmarketcap")).to_contain_text("812 of 10,000 credits")
    expect(pipeline.get_by_test_id("volume")).to_contain_text("100 GB of 500 GB free (20%), full in 12 d; due: compact")


def test_a_miner_with_its_story(page: Page, address: str) -> None:
    page.goto(f"{address}/miner/s02")
    expect(page.get_by_test_id("advice")).to_contain_text("Repair board 3")
    expect(page.get_by_test_id("odd")).to_contain_text("hashrate: own history")
    expect(page.get_by_test_id("miner-money")).to_contain_text("13.80 USD")
    expect(page.get_by_test_id("events")).to_contain_text("board lost: 2 of 3 boards mine")
    expect(page.get_by_test_id("events").get_by_role("row")).to_have_count(3)


def test_the_pictures_of_the_fleet(address: str, chrome: Browser) -> None:
    with visitor(chrome, height=1_560) as viewer:
        page = viewer.open(address)
        drawn(page, 6)
        expect(page.get_by_test_id("money")).to_contain_text("388.00 USD")
        expect(page.get_by_test_id("racks").locator("a.cell-low")).to_have_count(2)
        picture(page, "page-fleet")
        pools, market = page.get_by_test_id("pools"), page.get_by_test_id("market")
        expect(pools).to_contain_text("99.0%")
        expect(market).to_contain_text("overbought")
        both = page.locator(".two", has=market)
        picture(both, "page-market-pools")
        left, right = pools.bounding_box(), market.bounding_box()
        assert left is not None
        assert right is not None
        assert (left["y"], left["height"]) == (right["y"], right["height"])  # side by side
        assert viewer.faults == []


def test_the_picture_of_a_miner(address: str, chrome: Browser) -> None:
    with visitor(chrome, height=1_300) as viewer:
        page = viewer.open(f"{address}/miner/s02")
        drawn(page, 3)
        expect(page.get_by_test_id("advice")).to_contain_text("Repair board 3")
        picture(page, "page-miner")
        assert viewer.faults == []


def test_the_picture_of_a_phone(address: str, chrome: Browser) -> None:
    with visitor(chrome, width=360, height=1_500, dark=True) as phone:
        page = phone.open(address)
        drawn(page, 6)
        expect(page.get_by_test_id("market")).to_contain_text("overbought")
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        cell = page.get_by_test_id("worst").locator("td[data-label=Why]").first
        assert page.evaluate("cell => getComputedStyle(cell, '::before').content", cell.element_handle()) == '"Why"'
        picture(page, "page-phone")
        page.goto(f"{address}/miner/s02")
        expect(page.get_by_test_id("events")).to_contain_text("board 3 is gone")
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        assert phone.faults == []
