"""The farm's account at a pool: its miners as the workers that the pool sees, and the money that they earn there.

The figures of workers are the miners' own truth, less the fee of their firmware. Money is plain: every whole UTC day is
credited with what the miners' nominal hashrate earns, and paid at three in the morning after.
"""

from __future__ import annotations

from typing import NamedTuple

from deployments.farm.farm import Farm

NAME = "lodeline"
"""The account, as the miners have it before the dot of their workers' names."""

DAY_S = 86_400
PAID_AFTER_S = 3 * 3_600
OPEN_DAYS = 30
COINS_PER_TH_DAY = {"litecoin": 1.4, "dogecoin": 5_000.0, "bitcoin": 5e-7}


class Worker(NamedTuple):
    """One worker at an instant; ``name`` without the account, shares since ``booted_at``."""

    name: str
    online: bool
    hashrate_hs: float
    hashrate_mean_hs: float
    accepted_d1: float
    accepted: int
    stale: int
    rejected: int
    last_share_at: float | None
    booted_at: float

    @property
    def stale_ratio(self) -> float:
        """Stale shares of all."""
        return self.stale / (self.accepted + self.stale + self.rejected) if self.accepted else 0.0


class Account:
    """The miners of ``algorithm`` of a farm as an account at a pool. ``key`` lets in."""

    def __init__(self, farm: Farm, algorithm: str, *, key: str = "farm-pool-key") -> None:
        self.algorithm = algorithm
        self.key = key
        self._farm = farm
        self._opened = int(farm.clock()) // DAY_S * DAY_S - OPEN_DAYS * DAY_S

    def now(self) -> float:
        """The farm's clock."""
        return self._farm.clock()

    def workers(self) -> list[Worker]:
        """Who works now, in order of the miners."""
        found = []
        for identity in self._farm.miners:
            if identity.variant.model.algorithm != self.algorithm:
                continue
            truth = self._farm.truth(identity.miner_id)
            ours = 1.0 - truth.devfee_percent / 100.0
            found.append(
                Worker(
                    name=identity.miner_id,
                    online=truth.hashrate_hs > 0,
                    hashrate_hs=truth.hashrate_hs * ours,
                    hashrate_mean_hs=truth.hashrate_average_hs * ours,
                    accepted_d1=truth.work_accepted_d1,
                    accepted=truth.shares_accepted,
                    stale=truth.shares_stale,
                    rejected=truth.shares_rejected,
                    last_share_at=truth.last_share_at,
                    booted_at=truth.booted_at,
                )
            )
        return found

    def daily(self, coin: str) -> float:
        """Coins that a day earns."""
        nominal = sum(
            identity.variant.model.hashrate_hs
            for identity in self._farm.miners
            if identity.variant.model.algorithm == self.algorithm
        )
        return round(nominal / 1e12 * COINS_PER_TH_DAY[coin], 8)

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

    def credited(self, coin: str) -> float:
        """All that was credited."""
        return round(len(self.days(self._opened, self.now())) * self.daily(coin), 8)

    def paid(self, coin: str) -> float:
        """All that was paid."""
        return round(len(self.payments(self._opened, self.now())) * self.daily(coin), 8)
