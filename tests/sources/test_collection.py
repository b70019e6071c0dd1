"""Sources in a shift: what is due is asked and spooled once, and what is wrong with one costs that one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest

from storage.frame import build_frame
from storage.spool.lane import Lane, LaneReader
from tasks.shift.journal import Journal
from tasks.shift.recorder import Recorder
from tasks.shift.slots import Slot
from tasks.sources.budget import Budget
from tasks.sources.collection import SourceCollection
from tasks.sources.failure import Noticed, SourceFailure, SourceFailureKind
from tasks.sources.paces import Paces, Rate
from tasks.sources.shared_pace import LimitAway
from tasks.sources.source import Answer, Gathered, Request
from tasks.sources.standing import StandingsFile

SLOT = 1_800_000_000
LANE = "market"


class Scripted:
    """A source that answers a price, or what ``then`` says; ``asked`` has every request with its slot."""

    def __init__(self, name: str, *requests: Request) -> None:
        self.name = name
        self.requests: Sequence[Request] = requests or (Request("price", 60),)
        self.then: Callable[[Request], object] = lambda _: None
        self.asked: list[tuple[str, int]] = []
        self.closed = False

    async def ask(self, request: Request, slot: int) -> Gathered:
        self.asked.append((request.name, slot))
        waited = self.then(request)
        if isinstance(waited, Exception):
            raise waited
        if isinstance(waited, asyncio.Event):
            await waited.wait()
        frame = build_frame("market_data", [slot], {"source": [self.name], "coin_id": ["bitcoin"], "price_usd": [1.5]})
        answer = Answer(status=200, body='{"usd":1.5}', size=11, address="https://x/", received_ms=slot * 1000)
        return Gathered([frame], [answer], credits=request.cost)

    async def aclose(self) -> None:
        self.closed = True


class Host:
    """Data directory of a host, and a shift over it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now = float(SLOT)

    @asynccontextmanager
    async def shift(
        self, *sources: Scripted, patience_s: float = 5.0, **more: object
    ) -> AsyncIterator[SourceCollection]:
        journal = Journal(self.folder / "state", LANE)
        newest = journal.newest()
        with Lane.open(self.folder / "spool", LANE, cap_bytes=1 << 24) as lane:
            recorder = Recorder(
                lane, self.folder / "spool" / LANE, journal, host="h", store="embedded", sinks=["lake"], run_id="r"
            )
            collection = SourceCollection(
                sources,
                recorder,
                self.folder / "state",
                LANE,
                last=newest.slot if newest else None,
                host="h",
                run_id="r",
                patience_s=patience_s,
                random=Random(1),
                clock=lambda: self.now,
                **more,  # type: ignore[arg-type]
            )
            yield collection
            await collection.aclose()

    def rows(self, measurement: str) -> list[dict[str, object]]:
        records = LaneReader(self.folder / "spool" / LANE).records_after(0, 1_000_000)
        return [
            {"time": time, **{name: values[row] for name, values in frame.columns.items()}}
            for record in records
            for frame in record.batch.frames
            if frame.measurement == measurement
            for row, time in enumerate(frame.times)
        ]


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


async def test_what_came_is_spooled_with_its_books(host: Host) -> None:
    source = Scripted("gecko")
    async with host.shift(source) as shift:
        report = await shift.tick(Slot(SLOT))
    assert (report.polled, report.failed) == (1, 0)
    (price,) = host.rows("market_data")
    assert (price["time"], price["source"], price["price_usd"]) == (SLOT, "gecko", 1.5)
    (books,) = host.rows("source_request")
    assert (books["ok"], books["rows"], books["credits"], books["run_id"]) == (True, 1, 1.0, "r")
    (payload,) = host.rows("source_payload")
    assert payload["body"] == '{"usd":1.5}'
    assert source.closed


async def test_the_same_slot_again_asks_and_spools_nothing_new(host: Host) -> None:
    source = Scripted("gecko")
    async with host.shift(source) as shift:
        await shift.tick(Slot(SLOT))
        await shift.tick(Slot(SLOT))
    assert len(source.asked) == len(host.rows("market_data")) == 1


async def test_each_request_has_its_interval_and_its_own_phase(host: Host) -> None:
    source = Scripted("gecko", *(Request(f"r{number}", 300) for number in range(20)))
    async with host.shift(source) as shift:
        for slot in range(SLOT, SLOT + 3_600, 15):
            host.now = slot
            if shift.slots._wanted(slot):
                await shift.tick(Slot(slot))
    by_slot = [slot for name, slot in source.asked if slot > SLOT]
    for request in source.requests:
        assert 12 <= len([1 for name, _ in source.asked if name == request.name]) <= 13
    assert max(by_slot.count(slot) for slot in by_slot) <= 5  # not all twenty at once


@pytest.mark.parametrize(
    ("failure", "asked_again_after"),
    [
        (SourceFailure(SourceFailureKind.RATE_LIMITED, "x", retry_after_s=200), 201),
        (SourceFailure(SourceFailureKind.RATE_LIMITED, "x"), 60),
        (SourceFailure(SourceFailureKind.REFUSED, "x"), 120),
        (SourceFailure(SourceFailureKind.GONE, "x"), 120),
        (SourceFailure(SourceFailureKind.QUOTA_EXHAUSTED, "x", retry_after_s=50_000), 50_001),
    ],
)
async def test_a_source_that_failed_is_left_alone_as_a_whole(
    host: Host, failure: SourceFailure, asked_again_after: int
) -> None:
    bad, good = Scripted("bad", Request("a", 60), Request("b", 60, rank=1)), Scripted("good")
    bad.then = lambda _: failure
    async with host.shift(bad, good) as shift:
        await shift.tick(Slot(SLOT))
        assert bad.asked == [("a", SLOT)]  # and not b, which would fare alike
        slot = SLOT
        while len(bad.asked) == 1:
            slot += 15
            host.now = slot
            if (slot - SLOT) % 3_000 == 0 or slot - SLOT <= 300 or slot - SLOT > asked_again_after - 60:
                await shift.tick(Slot(slot))
    assert 0 <= slot - SLOT - asked_again_after <= 15
    assert len(good.asked) > 1
    assert next(row["failure"] for row in host.rows("source_request") if row["source"] == "bad") == failure.kind


async def test_an_answer_of_the_wrong_shape_costs_that_request_alone(host: Host) -> None:
    source = Scripted("gecko", Request("odd", 60), Request("price", 60))
    source.then = lambda request: (
        SourceFailure(SourceFailureKind.UNEXPECTED, "no such field") if request.name == "odd" else None
    )
    async with host.shift(source) as shift:
        report = await shift.tick(Slot(SLOT))
    assert (report.polled, report.failed, report.failed_by_reason) == (2, 1, {"unexpected": 1})
    assert len(host.rows("market_data")) == 1


async def test_back_off_grows_and_ends_with_the_first_success(host: Host) -> None:
    source = Scripted("gecko")
    source.then = lambda _: SourceFailure(SourceFailureKind.UNREACHABLE, "down")
    async with host.shift(source) as shift:
        for slot in range(SLOT, SLOT + 1_200, 15):
            host.now = slot
            await shift.tick(Slot(slot))
        tries = [slot - SLOT for _, slot in source.asked]
        pauses = [after - before for before, after in pairwise(tries)]
        assert pauses[0] <= 30
        assert max(pauses) > 100
        assert max(pauses) <= 4 * 60 + 15  # four intervals at most: a short outage must not cost an hour
        source.then = lambda _: None
        host.now += 300
        await shift.tick(Slot(SLOT + 1_500))
        host.now += 60
        await shift.tick(Slot(SLOT + 1_560))
    assert [slot for _, slot in source.asked][-2:] == [SLOT + 1_500, SLOT + 1_560]


async def test_a_bug_of_one_source_costs_that_one(host: Host, caplog: pytest.LogCaptureFixture) -> None:
    bad, good = Scripted("bad"), Scripted("good")
    bad.then = lambda _: KeyError("no such key")
    async with host.shift(bad, good) as shift:
        report = await shift.tick(Slot(SLOT))
    assert report.failed_by_reason == {"unexpected": 1}
    assert "could not be read" in caplog.text
    assert len(host.rows("market_data")) == 1


async def test_a_slow_source_delays_nobody_and_its_answer_keeps_its_slot(host: Host) -> None:
    slow, quick = Scripted("slow"), Scripted("quick")
    answered = asyncio.Event()
    slow.then = lambda _: answered
    async with host.shift(slow, quick, patience_s=0.05) as shift:
        report = await shift.tick(Slot(SLOT))
        assert report.polled == 1
        assert [row["source"] for row in host.rows("market_data")] == ["quick"]
        answered.set()
        host.now = SLOT + 15
        await shift.tick(Slot(SLOT + 15))
    assert [(row["source"], row["time"]) for row in host.rows("market_data")][1] == ("slow", SLOT)
    assert slow.asked == [("price", SLOT)]


async def test_a_restart_goes_on_where_it_was(host: Host) -> None:
    source = Scripted("gecko", Request("price", 3_600))
    async with host.shift(source) as shift:
        await shift.tick(Slot(SLOT))
    async with host.shift(source) as shift:
        await shift.tick(Slot(SLOT + 15))
    assert source.asked == [("price", SLOT)]


async def test_tries_are_counted_over_restarts_and_a_failure_takes_no_answers_time(host: Host) -> None:
    source = Scripted("gecko")
    async with host.shift(source) as shift:
        await shift.tick(Slot(SLOT))
        source.then = lambda _: SourceFailure(SourceFailureKind.UNREACHABLE, "down")
        await shift.tick(Slot(SLOT + 60))
    source.then = lambda _: None
    host.now += 600
    async with host.shift(source) as shift:
        await shift.tick(Slot(SLOT + 600))
        await shift.tick(Slot(SLOT + 600))
    (standing,) = StandingsFile(host.folder / "state", LANE).read()
    assert (standing.tally.asked, standing.tally.failed) == (3, {"unreachable": 1})
    assert standing.tally.answers.count == 2


async def test_credits_are_reserved_taken_and_refused(host: Host) -> None:
    source = Scripted("cmc", Request("listings", 600, cost=2))
    budget = Budget(host.folder, "cmc", 300, clock=lambda: host.now)
    refused = 0
    async with host.shift(source, budgets={"cmc": budget}) as shift:
        for slot in range(SLOT, SLOT + 86_400, 600):
            host.now = slot
            refused += (await shift.tick(Slot(slot))).failed_by_reason.get("budget", 0)
    used = budget.account([]).used
    assert used == 2 * len(source.asked)
    assert refused > 0
    left = [row["credits_left"] for row in host.rows("source_request") if row["ok"]]
    assert left[-1] == 300 - used


async def test_whether_the_rate_is_shared_is_in_the_books(host: Host) -> None:
    limit_is_there = True

    async def ask(name: str) -> float:
        if not limit_is_there:
            raise LimitAway("the server sleeps")
        return 0.0

    paces = Paces(host.folder, hosts=2, ask=ask)
    pace = paces.of("litecoinpool", Rate(6_000, 100), "ltc")
    async with host.shift(Scripted("ltc"), Scripted("alone"), paces=paces) as shift:
        await pace.wait()
        await shift.tick(Slot(SLOT))
        limit_is_there = False
        await pace.wait()
        await shift.tick(Slot(SLOT + 60))
    told = {(row["source"], row["time"]): row.get("rate_shared") for row in host.rows("source_request")}
    assert told == {
        ("ltc", SLOT): True, ("ltc", SLOT + 60): False, ("alone", SLOT): None, ("alone", SLOT + 60): None,
    }  # fmt: skip


async def test_a_clock_that_ran_ahead_and_was_set_back_silences_nobody(host: Host) -> None:
    """A host without a clock of its own starts a year ahead: what it noted then must not hold for a year."""
    source, refused = Scripted("gecko", Request("price", 300)), Scripted("cap", Request("price", 300))
    refused.then = lambda _: SourceFailure(SourceFailureKind.REFUSED, "no key")
    host.now = SLOT + 365 * 86_400
    async with host.shift(source, refused) as shift:
        await shift.tick(Slot(int(host.now)))
        host.now = float(SLOT)
        assert shift.slots._wanted(SLOT)
        await shift.tick(Slot(SLOT))
    assert [slot for _, slot in source.asked] == [slot for _, slot in refused.asked] == [SLOT + 365 * 86_400, SLOT]


async def test_what_was_refused_is_asked_again_soon_in_the_next_run(host: Host) -> None:
    """Somebody has put the key right, and the next shift has it: nobody waits out the hour of before."""
    source = Scripted("cap", Request("price", 60))
    source.then = lambda _: SourceFailure(SourceFailureKind.REFUSED, "no key")
    async with host.shift(source) as shift:
        for slot in (SLOT, SLOT + 120, SLOT + 840):  # the next one would be an hour later
            host.now = slot
            await shift.tick(Slot(slot))
    source.then = lambda _: None
    for second in (900, 930, 960, 990, 1_020):  # runs that end at once, say crash, do not ask faster
        host.now = SLOT + second
        async with host.shift(source) as shift:
            await shift.tick(Slot(SLOT + second))
    assert [slot - SLOT for _, slot in source.asked] == [0, 120, 840, 1_020]


async def test_credits_that_cannot_be_noted_cost_no_answer(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    source, budget = Scripted("cmc"), Budget(host.folder, "cmc", 300, clock=lambda: host.now)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(budget, "settle", full)
    async with host.shift(source, Scripted("other"), budgets={"cmc": budget}) as shift:
        report = await shift.tick(Slot(SLOT))
    assert (report.polled, report.failed) == (2, 0)
    assert {row["source"] for row in host.rows("market_data")} == {"cmc", "other"}


async def test_what_came_before_a_failure_is_spooled_with_its_answer(host: Host) -> None:
    failure = SourceFailure(SourceFailureKind.TIMEOUT, "the second coin did not come")
    failure.frames = [
        build_frame("market_data", [SLOT], {"source": ["s"], "coin_id": ["litecoin"], "price_usd": [2.0]})
    ]
    failure.answers = [Answer(status=200, body='{"ltc":2}', size=9, address="https://x/", received_ms=1)]
    source = Scripted("s")
    source.then = lambda _: failure
    async with host.shift(source) as shift:
        assert (await shift.tick(Slot(SLOT))).failed == 1
    assert [row["coin_id"] for row in host.rows("market_data")] == ["litecoin"]
    assert [(row["page"], row["failure"], row["body"]) for row in host.rows("source_payload")] == [
        ("1", None, '{"ltc":2}'), ("2", "timeout", None),
    ]  # fmt: skip


async def test_what_a_source_sends_on_its_own_is_spooled_at_once(host: Host) -> None:
    frame = build_frame("market_data", [SLOT], {"source": ["push"], "coin_id": ["bitcoin"], "price_usd": [2.0]})
    async with host.shift() as shift:
        await shift.push([frame])
        assert [row["price_usd"] for row in host.rows("market_data")] == [2.0]
        await shift.push([frame])
    assert len(host.rows("market_data")) == 2  # two records of one key: stores merge them


async def test_what_is_covered_is_not_asked_and_due_at_once_when_it_no_longer_is(host: Host) -> None:
    source = Scripted("pool", Request("status", 3_600), Request("money", 30))
    standings = StandingsFile(host.folder / "state", LANE)
    async with host.shift(source) as shift:
        await shift.tick(Slot(SLOT))
        source.requests = (Request("status", 3_600, covered_by="wamp"), Request("money", 30))
        for slot in (SLOT + 3_600, SLOT + 7_200):
            await shift.tick(Slot(slot))
        assert {one.request: one.covered_by for one in standings.read()} == {"status": "wamp", "money": None}
        source.requests = (Request("status", 3_600), Request("money", 30))
        await shift.tick(Slot(SLOT + 7_215))
    assert [slot for name, slot in source.asked if name == "status"] == [SLOT, SLOT + 7_215]
    assert [one.covered_by for one in standings.read()] == [None, None]


async def test_what_is_only_noticed_is_looked_at_at_every_interval(host: Host) -> None:
    source = Scripted("stream", Request("connection", 300))
    source.then = lambda _: Noticed(SourceFailureKind.REFUSED, "the secret is wrong")
    async with host.shift(source) as shift:
        for slot in range(SLOT, SLOT + 1_800, 15):
            host.now = slot
            await shift.tick(Slot(slot))
    assert len(source.asked) == 7


async def test_a_tick_says_when_the_next_one_is(host: Host) -> None:
    """So that a pause is no standstill: up to the next request, and over the wait that a source asked for."""
    often, seldom = Scripted("often", Request("price", 300)), Scripted("seldom", Request("global", 3_600))
    async with host.shift(often, seldom) as shift:

        async def tick(slot: int) -> int:
            host.now = float(slot)
            next_slot = (await shift.tick(Slot(slot))).next_slot
            assert next_slot is not None
            return next_slot

        second = await tick(SLOT)
        assert SLOT < second <= SLOT + 300
        assert [slot for slot in range(SLOT + 15, second + 15, 15) if shift.slots._wanted(slot)] == [second]
        for source in (often, seldom):
            source.then = lambda _: SourceFailure(SourceFailureKind.RATE_LIMITED, "enough", retry_after_s=7_200)
        late = SLOT + 7_200  # both are due by then, and both refuse
        assert await tick(late) == late + 7_215  # two hours and a second, on the grid
        hanging = asyncio.Event()
        often.then = lambda _: hanging
        shift._patience_s = 0.01
        assert await tick(late + 7_215) == late + 7_230  # one that is still asked is looked after at the next slot
