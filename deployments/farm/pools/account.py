"""The farm's account at a pool: its miners as the workers that the pool sees, and the money that they earn there.

Workers are the miners, less the fee of their firmware and what is rejected or comes too late. Money is their accepted
shares: each is paid what its hashes find on average, by the networks of the simulated world. A UTC day is settled when
it is over, and paid at three in the morning after.
"""

from __future__ import annotations

from typing import NamedTuple

from deployments.farm.farm import Farm
from deployments.farm.markets.earnings import coins_per_hash, usd_per_hash
from deployments.farm.markets.prices import quote
from deployments.farm.models import HASHES_PER_D1, Algorithm

NAME = "lodeline"
"""The account, as the miners have it before the dot of their workers' names."""

DAY_S = 86_400
PAID_AFTER_S = 3 * 3_600
OPEN_WEEKS = 1
"""Whole weeks, counted from Thursdays as Unix time does, that the account is older than its farm's first day: one that
is started again has the same past."""


class Worker(NamedTuple):
    """One worker at an instant; ``name`` without the account, shares since ``booted_at``, the rest of the last 24 h."""

    name: str
    online: bool
    hashrate_hs: float
    accepted_d1: float
    accepted: int
    stale: int
    rejected: int
    last_share_at: float | None
    booted_at: float
    hashrate_24h_hs: float
    hashes_24h: float
    refused_ratio_24h: float

    @property
    def stale_ratio(self) -> float:
        """Stale shares of all."""
        return self.stale / (self.accepted + self.stale + self.rejected) if self.accepted else 0.0


class Account:
    """The miners of ``algorithm`` of a farm as an account at a pool.

    Args:
        key: lets in.
        pool: only the miners that mine there; None: all of them.
        fee: part that the pool keeps.
        exchanged: the pool pays all that the hashes earn in the one coin that is asked for.
    """

    def __init__(
        self,
        farm: Farm,
        algorithm: Algorithm,
        *,
        key: str = "farm-pool-key",
        pool: str | None = None,
        fee: float = 0.0,
        exchanged: bool = False,
    ) -> None:
        self.algorithm = algorithm
        self.key = key
        self.fee = fee
        self._farm = farm
        self._exchanged = exchanged
        self._miners = [
            identity.miner_id
            for identity in farm.miners
            if identity.variant.model.algorithm == algorithm and pool in (None, identity.pool)
        ]
        week_s = 7 * DAY_S
        self._opened = (int(farm.clock()) // week_s - OPEN_WEEKS) * week_s
        self._settled: dict[int, float] = {}

    @property
    def has_workers(self) -> bool:
        """Whether any miner mines here."""
        return bool(self._miners)

    def now(self) -> float:
        """The farm's clock."""
        return self._farm.clock()

    def workers(self) -> list[Worker]:
        """Who works now, in order of the miners."""
        now = self.now()
        found = []
        for miner_id in self._miners:
            truth = self._farm.pool_side(miner_id)
            credit = truth.credit
            hashes = self._farm.accepted_work(miner_id, now - DAY_S, now) * HASHES_PER_D1[self.algorithm]
            found.append(
                Worker(
                    name=miner_id,
                    online=truth.hashrate_hs * truth.accepted_fraction > 0,
                    hashrate_hs=truth.hashrate_hs * truth.accepted_fraction,
                    accepted_d1=credit.work_accepted_d1,
                    accepted=credit.accepted,
                    stale=credit.stale,
                    rejected=credit.rejected,
                    last_share_at=credit.last_share_at,
                    booted_at=truth.booted_at,
                    hashrate_24h_hs=hashes / DAY_S,
                    hashes_24h=hashes,
                    refused_ratio_24h=self._farm.refused_ratio(miner_id, now - DAY_S, now),
                )
            )
        return found

    def coins_per_hash(self, coin: str, at: float) -> float:
        """What the pool pays for an accepted hash on the UTC day of ``at``, fee taken: one rate for a whole day."""
        noon = at // DAY_S * DAY_S + DAY_S / 2
        if self._exchanged:
            gross = usd_per_hash(self.algorithm, noon) / quote(coin, noon).price_usd
        else:
            gross = coins_per_hash(coin, noon)
        return gross * (1.0 - self.fee)

    def daily(self, coin: str, day: int) -> float:
        """Coins that the UTC day that starts at ``day`` earned. What was settled stays, whatever is told later."""
        if day not in self._settled:
            self._settled[day] = self._hashes(day, day + DAY_S)
        return round(self._settled[day] * self.coins_per_hash(coin, day), 8)

    def days(self, first: float, last: float) -> list[int]:
        """Starts of the UTC days that began in this time and are over."""
        end = min(last, self.now() - DAY_S)
        start = max(self._opened, -int(-first // DAY_S) * DAY_S)
        return list(range(start, int(end) + 1, DAY_S))

    def payments(self, first: float, last: float) -> list[tuple[int, int]]:
        """Days that were paid in this time, each with the second of the payment."""
        delay = DAY_S + PAID_AFTER_S
        paid = [(day, day + delay) for day in self.days(self._opened, self.now())]
        return [(day, at) for day, at in paid if first <= at <= min(last, self.now())]

    def settled(self, coin: str) -> float:
        """All that the days brought that are over."""
        return round(sum(self.daily(coin, day) for day in self.days(self._opened, self.now())), 8)

    def credited(self, coin: str) -> float:
        """The same and today so far."""
        now = self.now()
        midnight = now // DAY_S * DAY_S
        return round(self.settled(coin) + self._hashes(midnight, now) * self.coins_per_hash(coin, now), 8)

    def paid(self, coin: str) -> float:
        """All that was paid."""
        return round(sum(self.daily(coin, day) for day, _ in self.payments(self._opened, self.now())), 8)

    def _hashes(self, start: float, stop: float) -> float:
        work = sum(self._farm.accepted_work(miner_id, start, stop) for miner_id in self._miners)
        return work * HASHES_PER_D1[self.algorithm]
