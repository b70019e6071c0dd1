"""What should have been earned, was credited and was paid: ``pool_reconciliation`` of one pool, coin and day. Pure.

predicted = sum over the known hours of the work that was sent, rejected work included, x reward / (difficulty x 2^32):
before any fee, and nothing for hours that are not known. With P predicted, M what the unknown hours would have earned
at the mean of the known ones, a the accepted part of the work and f the pool's fee, a day without surprises is credited
(P + M) x a x (1 - f). So the difference credited - predicted is made of

    explained_missing = M,  explained_stale = -(1 - a) (P + M),  explained_fee = -f a (P + M),  and what is left.

The price makes no difference in coins. In USD it does where credits come at another time: ``price_effect_usd``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tasks.derive.network import DAY_S, Chain, coins_per_day
from tasks.market.coins import COINS
from tasks.pools.chains import Chains
from tasks.pools.due import HOUR_S
from tasks.pools.settlement import Day, difference, total
from tasks.pools.stored import Row

BORDER_S = 2 * HOUR_S
"""How old a total of the account may be at the day's border."""


@dataclass(frozen=True, slots=True)
class WorkHour:
    """Accepted hashrate of a pool's algorithm in an hour, and the accepted part of what was sent; None: not told."""

    hashrate_hs: float
    acceptance: float | None


@dataclass(frozen=True, slots=True)
class Account:
    """What is known of one coin at one pool.

    ``payouts`` are rows of ``pool_payout`` of all kinds, ``totals`` of ``pool_account`` in order of time. ``work`` is
    by hour; None where the pool does not tell which hashes are for this coin. ``fee_ratio`` is what the pool tells of
    the algorithm; what its credits tell goes over it.
    """

    pool_id: str
    coin_id: str
    payouts: Sequence[Row]
    totals: Sequence[Row]
    work: Mapping[int, WorkHour] | None
    fee_ratio: float | None

    def says_anything(self, day: Day) -> bool:
        """Whether there is anything to reconcile."""
        return (
            any(hour in (self.work or ()) for hour in day.hours())
            or any(
                day.start <= row["time"] < day.stop
                for row in self.totals
                if (row["credited_total"], row["paid_total"]) != (None, None)
            )
            or any(_is_of(row, day) or day.start <= row["time"] < day.stop for row in self.payouts)
        )


def reconcile(account: Account, day: Day, chains: Chains, price_usd: float | None) -> dict[str, Any]:
    """The row. ``price_usd`` is that of the coin at the day's end."""
    why: list[str] = []
    gross = _predicted(account, day, chains, why)
    credits = _Credits.of(account, day, why)
    paid = _paid(account, day, why)
    if (lag := chains.behind.get((account.pool_id, account.coin_id))) is not None:
        why.append(f"the pool's chain is {lag} blocks behind others': what it tells of the network is not used")
    if price_usd is None:
        why.append(f"no price of {account.coin_id} at the end of the day")
    known_s = sum(seconds for hour, seconds in day.hours().items() if hour in (account.work or ()))
    row: dict[str, Any] = {
        "time": day.start, "pool_id": account.pool_id, "coin_id": account.coin_id,
        "predicted": None if gross is None else gross.coins, "credited": credits.coins, "paid": paid,
        "settlement_zone": day.zone, "coverage_percent": 100.0 * known_s / (day.stop - day.start),
    }  # fmt: skip
    if gross is not None and credits.coins is not None:
        fee = credits.fee_ratio if credits.fee_ratio is not None else account.fee_ratio
        row |= _explained(gross, credits.coins, fee, day, why)
    for name in ("predicted", "credited"):
        row[f"{name}_usd"] = None if price_usd is None or row[name] is None else row[name] * price_usd
    if credits.usd_at_receipt is not None and row["credited_usd"] is not None:
        row["price_effect_usd"] = credits.usd_at_receipt - row["credited_usd"]
    return {**row, "reason": "; ".join(why)}


@dataclass(frozen=True, slots=True)
class _Gross:
    """``coins``: P. ``stale``: the part of it that was rejected. ``known_s``: seconds of the day that are known."""

    coins: float
    stale: float | None
    known_s: int


def _predicted(account: Account, day: Day, chains: Chains, why: list[str]) -> _Gross | None:
    if account.work is None:
        why.append("several coins share the algorithm at this pool: whose the hashes were is not told")
        return None
    hours = day.hours()
    coin, known = COINS.get(account.coin_id), {hour: account.work[hour] for hour in hours if hour in account.work}
    difficulties, reward = chains.difficulty(account.coin_id, hours), chains.reward(account.coin_id, hours)
    there = {"work of any hour": known, "difficulty": difficulties, "reward": reward}
    lacking = [name for name, found in there.items() if not found]
    if lacking or coin is None or coin.algorithm is None:
        why.append(f"nothing is predicted: no {', no '.join(lacking) if lacking else 'algorithm of the coin'} is known")
        return None
    sent, stale, untold, lost = [], [], False, 0
    for hour, one in known.items():
        chain = Chain(account.coin_id, coin.algorithm, difficulties[hour], reward)
        accepted = coins_per_day(chain, one.hashrate_hs)
        if accepted is None:
            why.append(f"nothing is predicted: difficulty of {coin.algorithm} does not count hashes")
            return None
        accepted *= hours[hour] / DAY_S
        if one.acceptance is None:
            untold = True
        elif one.acceptance <= 0.0:
            lost += 1
        sent.append(accepted / one.acceptance if one.acceptance else accepted)
        stale.append(sent[-1] - accepted)
    if lost:
        why.append(f"in {lost} hours all work was rejected: how much that was is not told")
    if untold:
        why.append("what was rejected is not told" + (" of all hours" if any(stale) else ": it is in what is left"))
    told = any(one.acceptance is not None for one in known.values())
    return _Gross(math.fsum(sent), math.fsum(stale) if told else None, sum(hours[hour] for hour in known))


def _explained(gross: _Gross, credited: float, fee: float | None, day: Day, why: list[str]) -> dict[str, Any]:
    length = day.stop - day.start
    whole = length / gross.known_s  # P + M over P; a day without any known hour is not predicted
    missing = gross.coins * (whole - 1.0)
    stale = None if gross.stale is None else -gross.stale * whole
    charged = None if fee is None else -fee * (gross.coins * whole + (stale or 0.0))
    left = difference(credited, gross.coins) - missing - (stale or 0.0) - (charged or 0.0)
    if gross.known_s < length:
        why.append(f"{(length - gross.known_s) / HOUR_S:g} of {length / HOUR_S:g} hours are not known")
    if fee is None:
        why.append("the pool's fee is not told: it is in what is left")
    return {
        "difference": difference(credited, gross.coins), "explained_missing": missing, "explained_stale": stale,
        "explained_fee": charged, "unexplained": left,
    }  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Credits:
    """What was credited for the day; what its entries say of the fee, and of their value when they came."""

    coins: float | None = None
    fee_ratio: float | None = None
    usd_at_receipt: float | None = None

    @staticmethod
    def of(account: Account, day: Day, why: list[str]) -> _Credits:
        told = [row for row in account.payouts if row["kind"] == "credited"]
        if not told:
            found = _grown("credited_total", account, day)
            if found is None:
                why.append("credited is not known: no entry of it, no total at the borders of the day")
            return _Credits(found)
        own = [row for row in told if _is_of(row, day)]
        if not own:
            why.append("nothing is credited for the day yet")
            return _Credits()
        if any(row["amount"] is None for row in own):
            why.append("credited is not known: an entry of it has no amount")
            return _Credits()
        fees = [row["fee_ratio"] for row in own if row["fee_ratio"] is not None]
        worth = [row["usd_at_receipt"] for row in own if row["usd_at_receipt"] is not None]
        return _Credits(
            total(row["amount"] for row in own),
            sum(fees) / len(fees) if fees else None,
            total(worth) if len(worth) == len(own) else None,
        )


def _is_of(row: Row, day: Day) -> bool:
    """Whether a credit is for the day: as it says itself, else by its time."""
    if row["kind"] != "credited":
        return False
    if row["settlement_day"] is None:
        return bool(day.start <= row["time"] < day.stop)
    return row["settlement_day"] == day.label and row["settlement_zone"] in (None, day.zone)


def _paid(account: Account, day: Day, why: list[str]) -> float | None:
    """What left the pool within the day, which is seldom for it."""
    payments = [row for row in account.payouts if row["kind"] == "paid"]
    rows = [row for row in payments if day.start <= row["time"] < day.stop]
    if any(row["amount"] is None for row in rows):
        why.append("paid is not known: a payment has no amount")
        return None
    if rows:
        return total(row["amount"] for row in rows)
    found = _grown("paid_total", account, day)
    if found is not None:
        return found
    if payments and any(row["time"] >= day.stop for row in (*account.totals, *account.payouts)):
        return 0.0  # the pool tells its payments, was heard after the day, and told none of it
    why.append("paid is not known: no payment is told, no total at the borders of the day")
    return None


def _grown(name: str, account: Account, day: Day) -> float | None:
    at_start, at_stop = (_standing(name, border, account.totals) for border in (day.start, day.stop))
    if at_start is None or at_stop is None or at_stop < at_start:
        return None
    return difference(at_stop, at_start)


def _standing(name: str, border: int, totals: Iterable[Row]) -> float | None:
    told = [row for row in totals if border - BORDER_S <= row["time"] <= border and row[name] is not None]
    return float(told[-1][name]) if told else None
