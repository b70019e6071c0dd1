"""The fleet's numbers against sums done by hand; see fleet_rows.py for what each miner says."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from deployments.page.model import MISSING, AlgorithmTotal, Condition, Fleet, RosterEntry, Row, build_fleet
from storage.declaration.miner import MINER_STATES
from storage.records.miner import MinerConfiguration, MinerTelemetry
from tasks.miners.report import MinerStanding
from tasks.overrides.override import NOTHING_BY_HAND, Kind, Overrides
from tests.overrides.given import override
from tests.page.fleet_rows import TH, configuration, fleet_at, mining, unreachable

T = 1_795_478_400


def rows(*records: MinerTelemetry | MinerConfiguration) -> list[dict[str, Any]]:
    """Records as the store gives their newest rows."""
    return [
        {
            "miner_id": r.miner.miner_id,
            "model": r.miner.model,
            "site": r.miner.site,
            **{
                name: getattr(r, name)
                for name in r.__struct_fields__
                if name not in ("miner", "boards", "fans", "pools", "errors", "cannot_tell")
            },
        }
        for r in records
    ]


def roster(*names: str, interval_s: int = 60) -> list[RosterEntry]:
    return [RosterEntry(name, "ANTMINER_S19", "hall-1", interval_s) for name in names]


def fleet(
    newest: Sequence[Row],
    *,
    names: Sequence[str] = (),
    standings: Sequence[MinerStanding] = (),
    nominal: Mapping[str, float] | None = None,
    now: float = T + 20,
    configured: Sequence[str] = ("a1", "a2", "a3", "l1", "l2"),
    by_hand: Overrides = NOTHING_BY_HAND,
) -> Fleet:
    configurations = rows(*(configuration(T, n, "ANTMINER_S19" if n[0] == "a" else "ANTMINER_L7") for n in configured))
    return build_fleet(
        newest,
        configurations,
        roster(*names),
        standings,
        nominal or {},
        now=now,
        assumed_interval_s=60,
        by_hand=by_hand,
    )


def total(of: Fleet, algorithm: str | None) -> AlgorithmTotal:
    return next(total for total in of.totals if total.algorithm == algorithm)


def test_totals_are_per_algorithm_and_never_over_two():
    got = fleet(rows(*fleet_at(T)))
    sha, scrypt = total(got, "sha256d"), total(got, "scrypt")
    assert [t.algorithm for t in got.totals] == ["sha256d", "scrypt"]
    assert (sha.hashrate_hs, sha.counted, sha.miners) == (155e12, 2, 3)
    assert sha.efficiency_j_th == pytest.approx(5200 / 155)
    assert (scrypt.hashrate_hs, scrypt.counted) == (9e9, 2)  # a paused miner hashes 0 and says so
    assert scrypt.efficiency_j_th == pytest.approx(3240 / (9e9 / 1e12))
    assert (got.power_w, got.power_counted) == (8440, 4)


def test_a_miner_of_unknown_algorithm_is_in_neither_total():
    got = fleet(rows(*fleet_at(T)), configured=("a2", "a3", "l1", "l2"))
    assert total(got, "sha256d").hashrate_hs == 60e12
    assert total(got, None).hashrate_hs == 95e12


def test_counts_are_the_lengths_of_the_lists_and_every_miner_is_in_one():
    got = fleet(rows(*fleet_at(T)), names=("a1", "a2", "a3", "l1", "l2", "z9"))
    groups = got.by_condition()
    assert {c.value: len(lines) for c, lines in groups.items() if lines} == {
        "mining": 2, "degraded": 1, "paused": 1, "unreachable": 1, "no data": 1,
    }  # fmt: skip
    assert sum(len(lines) for lines in groups.values()) == len(got.lines) == 6
    assert got.missing == sum(len(groups[c]) for c in MISSING) == 2


def test_a_miner_switched_off_is_missing_and_not_a_ghost():
    """Field case 7: the last good sample was 52.8 TH/s, then every poll failed."""
    standing = MinerStanding(
        miner_id="m07",
        last_polled=T,
        last_success=T - 1440,
        failures_in_a_row=24,
        failure="deadline",
        driver="vnish-rest",
    )
    others = [mining(T, f"m{n:02d}", 100 * TH, 3000) for n in range(1, 41) if n != 7]
    names = [f"m{n:02d}" for n in range(1, 41)]
    got = fleet(rows(*others, unreachable(T, "m07")), names=names, standings=[standing], nominal={"m07": 100 * TH})
    line = next(line for line in got.lines if line.miner_id == "m07")
    assert (line.condition, line.hashrate_hs, line.power_w) == (Condition.UNREACHABLE, None, None)
    assert line.reason == "deadline, 24 polls in a row"
    assert line.last_success == T - 1440
    assert (got.missing, len(got.lines)) == (1, 40)
    unknown = total(got, None)
    assert unknown.hashrate_hs == pytest.approx(39 * 100 * TH)
    assert [(loss.condition, loss.hashrate_hs, loss.miners) for loss in unknown.losses] == [
        (Condition.UNREACHABLE, 100 * TH, 1)
    ]


@pytest.mark.parametrize(
    ("age", "condition", "reason"),
    [
        # the same words until something happens: a thousand rows are not sent again for a clock
        (100, Condition.UNREACHABLE, "deadline, 9 polls in a row; next probe at 2026-11-24 00:13:20 UTC"),
        (700, Condition.UNREACHABLE, "deadline, 9 polls in a row; next probe at 2026-11-24 00:13:20 UTC"),
        (940, Condition.UNREACHABLE, "deadline, 9 polls in a row"),
        (951, Condition.STALE, "polled every 60 s, no row since 2026-11-24 00:00:00 UTC"),
    ],
)
def test_a_miner_that_is_left_alone_stays_unreachable_until_its_probe_is_overdue(age, condition, reason):
    standing = MinerStanding(
        miner_id="a1", last_polled=T, last_success=T - 1440, failures_in_a_row=9, failure="deadline",
        driver="vnish-rest", breaker="open", open_since=T - 600.0, next_poll=T + 800.0,
    )  # fmt: skip
    (line,) = fleet(rows(unreachable(T, "a1")), names=("a1",), standings=[standing], now=T + age).lines
    assert (line.condition, line.reason) == (condition, reason)


@pytest.mark.parametrize(("age", "stale"), [(0, False), (150, False), (151, True)])
def test_stale_is_two_and_a_half_intervals(age, stale):
    got = fleet(rows(mining(T, "a1", 95 * TH, 3000)), names=("a1",), now=T + age)
    (line,) = got.lines
    assert (line.condition is Condition.STALE) is stale
    assert (line.hashrate_hs is None) is stale
    assert total(got, "sha256d").hashrate_hs == (None if stale else 95e12)
    assert line.time == T  # so that the page can still say how old it is


def test_each_interval_counts_for_its_own_miner():
    newest = rows(mining(T, "a1", 95 * TH, 3000), mining(T, "a2", 95 * TH, 3000))
    entries = [*roster("a1", interval_s=60), *roster("a2", interval_s=300)]
    got = build_fleet(newest, [], entries, [], {}, now=T + 400, assumed_interval_s=60)
    assert [line.condition for line in got.lines] == [Condition.STALE, Condition.MINING]


@pytest.mark.parametrize("state", [s for s in MINER_STATES if s != "unreachable"])
def test_every_declared_state_has_a_condition(state):
    got = fleet(rows(mining(T, "a1", 95 * TH, 3000, state=state)))
    assert got.lines[0].condition not in MISSING
    assert got.lines[0].state == state


def test_null_hashrate_is_left_out_and_power_of_it_spoils_no_efficiency():
    silent = rows(mining(T, "a1", 95 * TH, 3000), mining(T, "a2", 60 * TH, 2200))
    silent[1]["hashrate_hs"] = None
    sha = total(fleet(silent), "sha256d")
    assert (sha.hashrate_hs, sha.counted, sha.power_w) == (95e12, 1, 5200)
    assert sha.efficiency_j_th == pytest.approx(3000 / 95)


def test_nothing_known_is_null_and_not_zero():
    got = fleet(rows(unreachable(T, "a3")))
    sha = total(got, "sha256d")
    assert (sha.hashrate_hs, sha.power_w, sha.efficiency_j_th, sha.expected_hs, got.power_w) == (None,) * 5


def test_a_renamed_miner_is_one_miner():
    old, new = rows(mining(T - 60, "a1", 90 * TH, 3000), mining(T, "a1", 95 * TH, 3000))
    old["site"] = "hall-0"
    got = fleet([new, old])
    assert [line.hashrate_hs for line in got.lines] == [95e12]


def test_without_a_roster_miners_that_never_stored_a_row_come_from_the_tick_report():
    standing = MinerStanding(
        miner_id="a9", last_polled=T, last_success=None, failures_in_a_row=1, failure="auth", driver="vnish-rest"
    )
    got = fleet([], standings=[standing])
    assert [(line.miner_id, line.condition) for line in got.lines] == [("a9", Condition.UNKNOWN)]


def test_only_what_can_be_compared_is_compared():
    """A firmware that does not say what to expect made it 137 % of expected."""
    said, silent = rows(mining(T, "a1", 95 * TH, 3000), mining(T, "a2", 90 * TH, 3000))
    silent["hashrate_nominal_hs"] = None
    sha = total(fleet([said, silent]), "sha256d")
    assert (sha.hashrate_hs, sha.expected_hs, sha.delivered_hs, sha.expecting) == (185e12, 100e12, 95e12, 1)
    assert [(loss.hashrate_hs, loss.miners) for loss in sha.losses] == [(5e12, 1)]


def test_what_is_by_hand_is_said_and_a_paused_miner_has_no_readings() -> None:
    pause, forced = override("a1", made=T - 5.0), override("a2", Kind.FORCE, made=T - 5.0, state="maintenance")
    told = fleet(
        rows(*(mining(T, name, 100 * TH, 3000) for name in ("a1", "a2", "a3"))),
        names=("a1", "a2", "a3"),
        by_hand=Overrides((pause, forced)),
    )
    first, second, third = told.lines
    assert (first.condition, first.state, first.hashrate_hs) == (Condition.BY_HAND, "paused by hand", None)
    assert first.reason == pause.in_words()
    assert first.condition in MISSING
    assert (second.condition, second.state) == (Condition.MINING, "maintenance by hand")
    assert second.hashrate_hs is not None
    assert second.reason.startswith(forced.in_words())
    assert third.state == "mining"
