"""What Prohashing tells, over WAMP and HTTP alike, as records. Pure.

Units: a worker's hashrate is in H/s, prices pushed are USD per MH/s and day for every algorithm (reference/apis.md 3a:
agrees with the yields of January 2019). Numbers may be text or null.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from storage.records.pool import CoinMined, PoolAccount, PoolProfitability, WorkerPerformance
from tasks.market.coins import Coin, by_name, by_symbol
from tasks.normalize.identifier import algorithm_name, named
from tasks.normalize.number import finite
from tasks.pools.shape import amount, part, whole
from tasks.pools.worker_name import worker_id

POOL_ID = "prohashing"
MH_PER_TH = 1e6
HS_PER_TH = 1e12
PUSHED_UNIT = "USD per MH/s and day"

_ALGORITHM_IDS = {
    "1": "scrypt", "2": "sha256d", "4": "x11", "8": "neoscrypt", "10": "ethash", "18": "equihash", "29": "lyra2rev2",
    "34": "cryptonightv8",
}  # fmt: skip
_ESTIMATES = (("actual_last24h", "24h"), ("estimate_last24h", "24h estimate"), ("estimate_current", "now, estimate"))
"""What was paid goes first: the current estimate runs away when a coin found no block for long."""


def entries(payload: Any) -> Iterator[tuple[str, Any]]:
    """Name and value of what a payload holds: an object of objects, a list of objects or of such objects, or one
    object, whose name then is empty."""
    if isinstance(payload, Mapping):
        if payload and all(isinstance(value, Mapping) for value in payload.values()):
            yield from ((str(name), value) for name, value in payload.items())
        elif payload:
            yield "", payload
    elif isinstance(payload, list):
        for item in payload:
            if isinstance(item, Mapping):
                yield from entries(item)
            else:
                yield "", item
    else:
        yield "", payload


def algorithm_of(key: str, entry: Mapping[str, Any]) -> str | None:
    """The algorithm of an entry, by its name or by the pool's number or name that it is kept under."""
    for told in ("algorithm_name", "algorithm", "algo", "name"):
        if found := algorithm_name(entry.get(told)):
            return _ALGORITHM_IDS.get(found, found)
    return _ALGORITHM_IDS.get(key) or (algorithm_name(key) if key and not key.isdecimal() else None)


def worker_key(entry: Mapping[str, Any]) -> str | None:
    """What tells one worker from another: its uuid, or its name where there is none."""
    for told in ("uuid", *_WORKER_NAMES):
        value = entry.get(told)
        if isinstance(value, str) and value.strip():
            return value.strip()[:200]
    return None


_WORKER_NAMES = ("miner_name", "worker_name", "worker", "worker_id", "name", "ID")


def worker_of(entry: Mapping[str, Any], *, account: str | None, time: int) -> WorkerPerformance | None:
    """A worker as the pool sees it now; None while only its uuid is known."""
    written = next((name for told in _WORKER_NAMES if isinstance(name := entry.get(told), str) and name.strip()), None)
    if written is None:
        return None
    hashrate = _first(entry, "hashrate", "accepted")
    effective = amount(entry.get("adjusted_hashrate"))
    return WorkerPerformance(
        time=time,
        pool_id=POOL_ID,
        worker_id=worker_id(account, written),
        algorithm=algorithm_of("", {**entry, "name": None}) or "unknown",
        status="unknown" if hashrate is None else "online" if hashrate > 0 else "offline",
        hashrate_reported_hs=hashrate,
        hashrate_effective_hs=effective,
        shares_accepted=_count(entry.get("all_time_share_count")),
        difficulty=_first(entry, "actual_difficulty", "difficulty"),
        time_window="2h" if "uuid" in entry and (hashrate is not None or effective is not None) else None,
    )


def coin_of(entry: Mapping[str, Any], worker: WorkerPerformance) -> CoinMined | None:
    """The coin that a worker mines now; None where it is not told, or not in the table of coins."""
    coin = _coin(next((told for told in (entry.get("coin_name"), entry.get("coin")) if isinstance(told, str)), ""))
    if coin is None:
        return None
    return CoinMined(
        time=worker.time,
        pool_id=worker.pool_id,
        worker_id=worker.worker_id,
        algorithm=worker.algorithm,
        coin_id=coin.id,
        mining_type="primary",
        symbol=coin.symbol,
    )


def pushed_price(key: str, entry: Mapping[str, Any], *, time: int) -> PoolProfitability | None:
    """What an algorithm pays, in the form of WAMP; None without algorithm or price."""
    algorithm, usd = algorithm_of(key, entry), amount(entry.get("usd"))
    if algorithm is None or usd is None:
        return None
    return PoolProfitability(
        time=time,
        pool_id=POOL_ID,
        algorithm=algorithm,
        per_hash_rate_usd_th_day=finite(usd * MH_PER_TH),
        unit=PUSHED_UNIT,
        time_period="now, estimate",
    )


def status_price(key: str, entry: Mapping[str, Any], btc_usd: float | None, *, time: int) -> PoolProfitability | None:
    """An algorithm of ``/status``; None for what is no algorithm.

    An estimate is BTC a day for ``mbtc_mh_factor`` H/s. Other pools with this field count MH/s in it, which is a
    million times as much. A factor that is not positive says that nothing is known.
    """
    algorithm = algorithm_of(key, entry)
    if algorithm is None or not ("mbtc_mh_factor" in entry or "estimate_current" in entry):
        return None
    factor = amount(entry.get("mbtc_mh_factor"))
    told = ((amount(entry.get(name)), period) for name, period in _ESTIMATES)
    estimate, period = next(((value, period) for value, period in told if value is not None), (None, None))
    usd = None
    if estimate is not None and factor and btc_usd is not None:
        usd = finite(estimate / factor * HS_PER_TH * btc_usd)
    return PoolProfitability(
        time=time,
        pool_id=POOL_ID,
        algorithm=algorithm,
        per_hash_rate_usd_th_day=usd,
        unit=f"BTC per {factor:g} H/s and day" if factor else None,
        time_period=period,
        fee_ratio=_first(entry, "pps_fee", "pplns_fee"),
        pool_hashrate_hs=amount(entry.get("hashrate")),
    )


def pool_hashrates(general: Mapping[str, Any], *, time: int) -> list[PoolProfitability]:
    """Hashrates of the whole pool by algorithm."""
    found = []
    for name, told in part(general, "total_hashrate_computed_onlys").items():
        algorithm, hashrate = algorithm_of(str(name), {}), amount(told)
        if algorithm is not None and hashrate is not None:
            found.append(PoolProfitability(time=time, pool_id=POOL_ID, algorithm=algorithm, pool_hashrate_hs=hashrate))
    return found


def balance_of(coin_name: str, balance: Any, *, time: int) -> PoolAccount | None:
    """What the account has in one coin; None for a coin that is not in the table, or without amount."""
    coin, unpaid = _coin(coin_name), amount(balance)
    if coin is None or unpaid is None:
        return None
    return PoolAccount(time=time, pool_id=POOL_ID, coin_id=coin.id, unpaid=unpaid)


def wallet_of(symbol: str, entry: Mapping[str, Any], *, time: int, workers: list[WorkerPerformance] | None
) -> PoolAccount | None:  # fmt: skip
    """One coin of ``/wallet`` or ``/walletEx``, which also tells ``workers``; None for a coin that is not known."""
    coin = _coin(symbol) or _coin(named(entry.get("name")) or "" if isinstance(entry.get("name"), str) else "")
    if coin is None:
        return None
    active = None if workers is None else sum(1 for worker in workers if worker.status == "online")
    return PoolAccount(
        time=time,
        pool_id=POOL_ID,
        coin_id=coin.id,
        workers_active=active,
        workers_inactive=None if workers is None or active is None else len(workers) - active,
        credited_total=amount(entry.get("total")),
        paid_total=amount(entry.get("paid")),
        unpaid=_first(entry, "unpaid", "balance"),
        status=None if active is None else "live" if active else "all_offline",
    )


def _coin(written: str) -> Coin | None:
    """By symbol, or by name; symbols may have a mark behind an underscore."""
    return by_name(written) or by_symbol(written) or by_symbol(written.partition("_")[0])


def _first(entry: Mapping[str, Any], *names: str) -> float | None:
    return next((found for name in names if (found := amount(entry.get(name))) is not None), None)


def _count(value: Any) -> int | None:
    found = whole(value)
    return found if found is not None and found >= 0 else None
