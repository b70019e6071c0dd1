"""Providers that go wrong, over loopback: what is stored then, whose price counts, and no key anywhere."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from pydantic import SecretStr

from deployments.farm.markets.coingecko import FakeCoinGecko
from deployments.farm.markets.coinmarketcap import FakeCoinMarketCap
from deployments.farm.markets.service import FaultKind
from storage.spool.lane import Lane, LaneReader
from tasks.market.coingecko import PLANS, open_coingecko
from tasks.market.prices import PriceMemory
from tasks.market.reconciliation import FRESH_S
from tasks.market.settings import CoinGeckoSettings
from tasks.shift.journal import Journal
from tasks.shift.recorder import Recorder
from tasks.shift.slots import Slot
from tasks.sources.cache import AnswerCache
from tasks.sources.collection import SourceCollection
from tasks.sources.failure import SourceFailure, SourceFailureKind
from tasks.sources.pace import HostPace
from tests.market.accounts import CMC_KEY, FAST, KEY, SLOT, asked, coingecko, coinmarketcap, rows

NOT_JSON = SourceFailureKind.NOT_JSON


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("html", NOT_JSON),  # field case 21: a page with status 200 ...
        ("html_500", NOT_JSON),  # ... and with 500
        ("html_429", SourceFailureKind.RATE_LIMITED),
        ("cut", NOT_JSON),
        ("gone", SourceFailureKind.GONE),
    ],
)
async def test_a_provider_that_fails_leaves_the_other_and_the_last_price_with_its_age(
    tmp_path: Path, fault: FaultKind, kind: SourceFailureKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.resilience.http.TRIES", 1)
    gecko, cap = (
        FakeCoinGecko(key=KEY, clock=lambda: float(SLOT)),
        FakeCoinMarketCap(key=CMC_KEY, clock=lambda: float(SLOT + 900)),
    )
    prices = PriceMemory(tmp_path)
    async with gecko.service() as first, cap.service() as second:
        one, two = coingecko(tmp_path, base_url=first.url), coinmarketcap(tmp_path, base_url=second.url)
        await asked(one, "simple_price")
        first.fault = fault
        with pytest.raises(SourceFailure) as caught:
            await asked(one, "simple_price", SLOT + 300)
        assert caught.value.kind is kind
        last = prices.best("litecoin", SLOT + 300)
        assert last is not None
        assert (last.source, last.age_s, last.flags) == ("coingecko", 300.0, frozenset())
        await asked(two, "listings", SLOT + 900)
        later = SLOT + 2_000  # CoinGecko's is too old by now
        other = prices.best("litecoin", later)
        assert other is not None
        assert (other.source, other.age_s, other.flags) == ("coinmarketcap", 1_100.0, frozenset({"derived"}))
        second.fault = fault
        with pytest.raises(SourceFailure):
            await asked(two, "listings", SLOT + 1_800)
        nobody = prices.best("litecoin", SLOT + 10_000)
        assert nobody is not None
        assert (nobody.source, nobody.age_s) == ("coinmarketcap", 9_100.0)
        assert "stale" in nobody.flags
        assert nobody.age_s > FRESH_S
        if fault != "gone":
            first.fault = None  # and back again, a minute later where it said that it was asked too often
            assert (HostPace(tmp_path, "coingecko", per_minute=FAST).take() > 50) is (fault == "html_429")
            _open_again(tmp_path)
            _open_again(tmp_path)
            gecko_now = SLOT + 10_000
            monkeypatch.setattr(gecko, "_clock", lambda: float(gecko_now))
            await asked(one, "simple_price", gecko_now)
            back = prices.best("litecoin", gecko_now)
            assert back is not None
            assert (back.source, back.flags) == ("coingecko", frozenset())
        await one.aclose()
        await two.aclose()


async def test_two_that_disagree_are_both_stored_again_with_the_flag(tmp_path: Path) -> None:
    gecko = FakeCoinGecko(key=KEY, clock=lambda: float(SLOT))
    cap = FakeCoinMarketCap(key=CMC_KEY, clock=lambda: float(SLOT + 300))
    gecko.prices["dogecoin"], cap.prices["dogecoin"] = 0.16, 16.0  # cents for dollars
    async with gecko.service() as first, cap.service() as second:
        one, two = coingecko(tmp_path, base_url=first.url), coinmarketcap(tmp_path, base_url=second.url)
        before = {row["coin_id"]: row for row in rows(await asked(one, "simple_price"))}
        gathered = await asked(two, "listings", SLOT + 300)
        flagged = [row for row in rows(gathered) if "conflicting" in (row["quality_flags"] or "")]
        assert [(row["source"], row["coin_id"], row["time"], row["price_usd"]) for row in flagged] == [
            ("coinmarketcap", "dogecoin", SLOT + 300, 16.0),
            ("coingecko", "dogecoin", SLOT, 0.16),
        ]
        kept = set(before["dogecoin"]) - {"quality", "quality_flags"}
        assert {name: flagged[1][name] for name in kept} == {name: before["dogecoin"][name] for name in kept}
        assert all(row["quality"] == pytest.approx(0.7, rel=1e-4) for row in flagged)
        assert any("dogecoin" in notice for notice in gathered.notices)
        await one.aclose()
        await two.aclose()


def files(folder: Path) -> Iterator[tuple[Path, bytes]]:
    for path in folder.rglob("*"):
        if path.is_file():
            yield path, path.read_bytes()


def _open_again(folder: Path) -> None:
    """The wait that a provider asked for is over."""
    for pace in folder.glob("*.pace.json"):
        pace.unlink()


async def test_no_key_is_written_anywhere(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Both sources through a whole shift: a notice that repeats the key, refusals of each kind; then all is read."""
    caplog.set_level(logging.DEBUG)
    gecko, cap = FakeCoinGecko(key=KEY), FakeCoinMarketCap(key=CMC_KEY)
    cap.notice = f"dear {CMC_KEY}, plans will change"
    async with gecko.service() as first, cap.service() as second:
        one, two = coingecko(tmp_path, base_url=first.url), coinmarketcap(tmp_path, base_url=second.url)
        with Lane.open(tmp_path / "spool", "market", cap_bytes=1 << 24) as lane:
            recorder = Recorder(
                lane, tmp_path / "spool" / "market", Journal(tmp_path / "state", "market"), host="h", store="embedded",
                sinks=["lake"], run_id="r",
            )  # fmt: skip
            clock = [float(SLOT)]
            shift = SourceCollection(
                [one, two], recorder, tmp_path / "state", "market", last=None, host="h", run_id="r",
                patience_s=60.0, random=Random(1), clock=lambda: clock[0],
            )  # fmt: skip
            slot = SLOT
            await shift.tick(Slot(slot))
            for gecko_error, cap_error, key in [
                (429, 1008, CMC_KEY), (10011, 1001, CMC_KEY), (10012, 1010, CMC_KEY), (None, None, f"{CMC_KEY}x"),
            ]:  # fmt: skip
                slot += 8_640_000  # whatever wait was asked for is over
                clock[0] = float(slot)
                gecko.error, cap.error, cap.key = gecko_error, cap_error, key
                _open_again(tmp_path)
                await shift.tick(Slot(slot))
            await shift.aclose()
        spooled = [
            frame
            for record in LaneReader(tmp_path / "spool" / "market").records_after(0, 1_000_000)
            for frame in record.batch.frames
        ]
    said = {request.headers.get("x-cg-demo-api-key") for request in first.asked}
    assert said == {KEY}  # it was sent, every time
    failures = [
        value
        for frame in spooled
        if frame.measurement == "source_request"
        for value in frame.columns.get("failure", [])
    ]
    assert {"rate_limited", "refused", "quota_exhausted"} <= set(failures)
    assert any(frame.measurement == "source_payload" for frame in spooled)
    written = "".join(str(frame.columns) for frame in spooled) + caplog.text
    for key in (KEY, CMC_KEY):
        assert key not in written
        for path, content in files(tmp_path):
            assert key.encode() not in content, path


def _ask(folder: str, url: str, times: int, out: multiprocessing.Queue[list[float]]) -> None:
    """Asks ``times`` times on a clock that stands, and tells how long it would have waited each time."""
    waits: list[float] = []

    async def wait(seconds: float) -> None:
        waits.append(seconds)

    async def ask() -> None:
        state = Path(folder)
        pace = HostPace(
            state, "coingecko", per_minute=PLANS["demo"].per_minute, longest_wait_s=1e6, clock=lambda: float(SLOT),
            sleep=wait,
        )  # fmt: skip
        settings = CoinGeckoSettings(api_key=SecretStr(KEY), base_url=url)
        source = open_coingecko(settings, PriceMemory(state), AnswerCache(state / "answers", "coingecko"), pace)
        for number in range(times):
            await asked(source, "simple_price", SLOT + 300 * number)
        await source.aclose()

    asyncio.run(ask())
    out.put(waits)


async def test_two_processes_together_keep_the_rate(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    out: multiprocessing.Queue[list[float]] = context.Queue()
    async with FakeCoinGecko(key=KEY, clock=lambda: float(SLOT)).service() as service:
        processes = [context.Process(target=_ask, args=(str(tmp_path), service.url, 15, out)) for _ in range(2)]
        for process in processes:
            process.start()
        waits = [wait for _ in processes for wait in await asyncio.to_thread(out.get)]
        for process in processes:
            await asyncio.to_thread(process.join)
        assert len(service.asked) == 30
    assert sorted(waits) == pytest.approx([2.0 * place for place in range(1, 30)])  # 30 a minute, the first at once
