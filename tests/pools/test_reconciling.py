"""A day of a pool and coin: predicted, credited and paid, and the difference in its parts, worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tasks.pools.chains import Chains, chains_of
from tasks.pools.reconciling import Account, WorkHour, reconcile
from tasks.pools.settlement import Day, days_of
from tests.pools.telling import DAY, H, T

(TODAY,) = days_of("UTC", T, T + DAY)

# reference/domain.md 2.3: LTC of difficulty 83,619,823.71858509 and 6.25 coins a block gives 0.0015035734588 LTC per GH
# and day, 0.0142839479 with 9.5 GH/s; at 81.6202 USD that is 1.16586 USD.
DIFFICULTY, REWARD, GROSS, PRICE = 83_619_823.71858509, 6.25, 0.0142839479, 81.6202
CHAINS = Chains({("litecoin", T): DIFFICULTY}, {("litecoin", T): REWARD}, {})


def near(value: float) -> Any:
    return pytest.approx(value, rel=1e-8)


def work(*hours: int, hashrate: float = 9.5e9, acceptance: float | None = 1.0) -> dict[int, WorkHour]:
    return {T + hour * H: WorkHour(hashrate, acceptance) for hour in hours}


def payout(amount: float | None, kind: str = "credited", time: int = T + DAY + H, **more: Any) -> dict[str, Any]:
    row = {"time": time, "kind": kind, "amount": amount, "settlement_day": None, "settlement_zone": None}
    if kind == "credited":
        row["settlement_day"] = TODAY.label
    return row | {"fee_ratio": None, "usd_at_receipt": None} | more


def totals(time: int, credited: float | None = None, paid: float | None = None) -> dict[str, Any]:
    return {"time": time, "credited_total": credited, "paid_total": paid}


ACCOUNT = Account("ltc", "litecoin", [], [], work(*range(24)), None)


def row(day: Day = TODAY, chains: Chains = CHAINS, price: float | None = PRICE, **known: Any) -> dict[str, Any]:
    return reconcile(replace(ACCOUNT, **known), day, chains, price)


def test_a_day_of_litecoin_as_published() -> None:
    # The pool takes 1 %: 0.0142839479 x 0.99 = 0.01414110842
    found = row(payouts=[payout(0.01414110842, fee_ratio=0.01)])
    assert found["predicted"] == near(GROSS)
    assert found["predicted_usd"] == pytest.approx(1.16586, rel=1e-5)
    assert found["credited_usd"] == pytest.approx(1.16586 * 0.99, rel=1e-5)
    assert found["difference"] == pytest.approx(-0.000142839479, rel=1e-6)
    assert found["explained_fee"] == near(-0.000142839479)
    assert (found["explained_missing"], found["explained_stale"]) == (0.0, 0.0)
    assert found["unexplained"] == pytest.approx(0.0, abs=1e-10)
    assert (found["coverage_percent"], found["settlement_zone"], found["time"]) == (100.0, "UTC", T)


@pytest.mark.parametrize(
    ("coin", "difficulty", "reward", "net"),
    [
        # reference/domain.md 2.3, litesolo's sample: net of 1 % per GH and day
        ("litecoin", 20_785_580.478, 12.5, 0.011976693),
        ("dogecoin", 6_445_323.531, 10_000.0, 30.898995),
    ],
)
def test_merged_coins_are_each_predicted_by_the_same_hashes(
    coin: str, difficulty: float, reward: float, net: float
) -> None:
    chains = Chains({(coin, T): difficulty}, {(coin, T): reward}, {})
    account = replace(ACCOUNT, coin_id=coin, work=work(*range(24), hashrate=1e9), payouts=[payout(net)], fee_ratio=0.01)
    found = reconcile(account, TODAY, chains, None)
    assert found["predicted"] == pytest.approx(net / 0.99, rel=1e-7)
    assert found["unexplained"] == pytest.approx(0.0, abs=net * 1e-7)
    assert found["predicted_usd"] is None


def test_missing_hours_rejected_work_and_the_fee_explain_all() -> None:
    # 18 of 24 hours are known, 98 % of the work was accepted. Sent: 9.5 / 0.98. P = 0.0142839479 / 0.98 x 18/24 =
    # 0.01093159278, M = P / 3 = 0.00364386426, P + M = 0.01457545704. Stale 2 % of that, fee 1 % of the rest.
    found = row(work=work(*range(18), acceptance=0.98), payouts=[payout(0.01414110842)], fee_ratio=0.01)
    assert found["predicted"] == near(0.01093159278)
    assert found["explained_missing"] == near(0.00364386426)
    assert found["explained_stale"] == near(-0.00029150914)
    assert found["explained_fee"] == near(-0.00014283948)
    assert found["unexplained"] == pytest.approx(0.0, abs=1e-10)
    assert found["coverage_percent"] == 75.0
    assert found["reason"].endswith("6 of 24 hours are not known")


def test_all_work_rejected_divides_nothing_by_zero() -> None:
    hours = work(*range(23)) | work(23, hashrate=0.0, acceptance=0.0)
    found = row(work=hours, payouts=[payout(GROSS * 23 / 24)], fee_ratio=0.0)
    assert found["predicted"] == near(GROSS * 23 / 24)
    assert (found["coverage_percent"], found["explained_stale"]) == (100.0, 0.0)
    assert found["unexplained"] == pytest.approx(0.0, abs=1e-10)
    assert found["reason"].startswith("in 1 hours all work was rejected: how much that was is not told")


def test_what_is_not_told_is_null_and_left() -> None:
    found = row(work=work(*range(24), acceptance=None), payouts=[payout(GROSS * 0.9)])
    assert (found["explained_stale"], found["explained_fee"]) == (None, None)
    assert found["unexplained"] == pytest.approx(-0.1 * GROSS, rel=1e-6)
    assert "what was rejected is not told: it is in what is left" in found["reason"]
    assert "the pool's fee is not told: it is in what is left" in found["reason"]


@pytest.mark.parametrize(
    ("known", "chains", "reason"),
    [
        ({"work": {}}, CHAINS, "nothing is predicted: no work of any hour is known"),
        ({}, Chains({}, {}, {}), "nothing is predicted: no difficulty, no reward is known"),
        ({}, Chains(CHAINS.difficulties, {}, {}), "nothing is predicted: no reward is known"),
        ({"work": None}, CHAINS, "several coins share the algorithm at this pool"),
        ({"coin_id": "dash"}, Chains({("dash", T): 1.0}, {("dash", T): 1.0}, {}), "difficulty of x11 does not count"),
    ],
)
def test_nothing_is_predicted(known: dict[str, Any], chains: Chains, reason: str) -> None:
    found = row(chains=chains, payouts=[payout(0.01)], **known)
    assert (found["predicted"], found["predicted_usd"], found["credited"]) == (None, None, 0.01)
    assert not {"difference", "unexplained"} & found.keys()
    assert reason in found["reason"]


@pytest.mark.parametrize(
    ("payouts", "accounts", "credited"),
    [
        ([payout(0.1) for _ in range(10)], [], 1.0),
        ([payout(1.0, settlement_day="1999-01-01")], [], None),  # of another day: nothing is credited for this one yet
        ([payout(1.0, settlement_zone="Asia/Shanghai")], [], None),  # of a day of another clock
        ([payout(1.0, settlement_day=None, time=T + 5)], [], 1.0),  # by its time
        ([payout(1.0, settlement_day=None, time=T + DAY)], [], None),
        ([payout(None), payout(1.0)], [], None),  # an entry without amount leaves no sum that silently lacks it
        ([], [totals(T - 600, 5.0), totals(T + DAY - 600, 5.25)], 0.25),
        ([], [totals(T - 3 * H, 5.0), totals(T + DAY - 600, 5.25)], None),  # no total near the day's start
        ([], [totals(T - 600, 5.0), totals(T + DAY - 600, 4.0)], None),  # taken back
        ([], [], None),
    ],
)
def test_credited(payouts: list[Any], accounts: list[Any], credited: float | None) -> None:
    found = row(payouts=payouts, totals=accounts)
    assert found["credited"] == credited
    assert ("credited" in found["reason"]) == (credited is None)


@pytest.mark.parametrize(
    ("payouts", "accounts", "paid"),
    [
        ([payout(0.3, "paid", T), payout(0.1, "paid", T + DAY - 1), payout(9.0, "paid", T + DAY)], [], 0.4),
        ([payout(None, "paid", T), payout(0.1, "paid", T)], [], None),
        ([], [totals(T - 600, paid=1.0), totals(T + DAY - 600, paid=1.5)], 0.5),
        ([payout(1.0, "paid", T - DAY)], [totals(T + DAY)], 0.0),  # it tells payments, was heard since, and told none
        ([payout(1.0, "paid", T - DAY)], [], None),  # not heard since: nobody knows
        ([payout(1.0)], [totals(T + DAY)], None),  # it never told a payment
    ],
)
def test_paid(payouts: list[Any], accounts: list[Any], paid: float | None) -> None:
    found = row(payouts=payouts, totals=accounts)
    assert found["paid"] == paid
    assert ("paid is not known" in found["reason"]) == (paid is None)


def test_the_price_between_the_days_end_and_the_credit() -> None:
    # 0.01 LTC at 81.6202 are 0.816202 USD; they came when it was 90: 0.9
    found = row(payouts=[payout(0.004, usd_at_receipt=0.36), payout(0.006, usd_at_receipt=0.54)])
    assert found["price_effect_usd"] == pytest.approx(0.9 - 0.816202)
    unknown = row(payouts=[payout(0.004, usd_at_receipt=0.36), payout(0.006)])
    assert "price_effect_usd" not in unknown
    assert row(price=None)["reason"].endswith("no price of litecoin at the end of the day")


def test_a_day_that_starts_at_half_past_takes_half_of_its_border_hours() -> None:
    (day,) = days_of("Asia/Kolkata", T - H - 1_800, T + DAY)[-1:]
    hours = {hour: WorkHour(9.5e9, 1.0) for hour in day.hours()}
    first = min(hours)
    assert reconcile(replace(ACCOUNT, work=hours), day, CHAINS, None)["predicted"] == near(GROSS)
    del hours[first]
    without = reconcile(replace(ACCOUNT, work=hours), day, CHAINS, None)
    assert without["predicted"] == near(GROSS * 47 / 48)
    assert without["coverage_percent"] == pytest.approx(100 * 47 / 48)


@pytest.mark.parametrize(
    ("known", "says"),
    [
        ({}, True),
        ({"work": None}, False),
        ({"work": {}}, False),
        ({"work": {}, "totals": [totals(T + 5, 1.0)]}, True),
        ({"work": {}, "totals": [totals(T + 5, paid=1.0)]}, True),
        ({"work": {}, "totals": [totals(T + 5)]}, False),  # as of a pool that has closed
        ({"work": {}, "totals": [totals(T + DAY, 1.0)]}, False),
        ({"work": {}, "payouts": [payout(1.0)]}, True),
        ({"work": {}, "payouts": [payout(1.0, "paid", T + 5)]}, True),
    ],
)
def test_whether_there_is_anything_to_reconcile(known: dict[str, Any], says: bool) -> None:
    assert replace(ACCOUNT, **known).says_anything(TODAY) is says


def network(time: int, source: str = "a", **told: Any) -> dict[str, Any]:
    nothing = {"network_difficulty": None, "block_reward": None, "block_height": None, "quality_flags": None}
    return {**nothing, "time": time, "source": source, "coin_id": "litecoin", **told}


def test_the_chain_of_an_hour() -> None:
    chains = chains_of(
        [
            network(T, network_difficulty=20.0, block_reward=12.5),
            network(T + 60, "b", network_difficulty=30.0, block_height=2_520_000 - 1),
            network(T + 2 * H, network_difficulty=1e9, quality_flags="implausible"),
            network(T + 3 * H, network_difficulty=0.0, block_reward=0.0),
            network(T + 4 * H, block_height=2_520_000 - 1),  # the third halving: 50 / 2^3 = 6.25
        ]
    )
    hours = range(T, T + 5 * H, H)
    # 2 / (1/20 + 1/30) = 24, and where none was told the mean of the others
    assert chains.difficulty("litecoin", hours) == dict.fromkeys(hours, pytest.approx(24.0))
    assert chains.reward("litecoin", [T]) == 12.5
    assert chains.reward("litecoin", hours) == 6.25
    assert (chains.difficulty("dogecoin", hours), chains.reward("dogecoin", hours)) == ({}, None)


def test_a_pool_on_a_chain_of_its_own_is_not_believed_and_told_so() -> None:
    # field-cases.md 15: a pool 900 blocks behind the explorer
    chains = chains_of(
        [
            network(T, "explorer", network_difficulty=DIFFICULTY, block_reward=REWARD, block_height=2_600_000),
            network(T, "ltc", network_difficulty=1.0, block_height=2_599_100),
            network(T, "late", network_difficulty=DIFFICULTY, block_height=2_599_990),
        ]
    )
    assert chains.behind == {("ltc", "litecoin"): 900}
    assert chains.difficulty("litecoin", [T])[T] == pytest.approx(DIFFICULTY)
    found = row(chains=chains)
    assert found["predicted"] == near(GROSS)
    assert "the pool's chain is 900 blocks behind others'" in found["reason"]
