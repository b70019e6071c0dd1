"""What pools credited to each miner in each hour, less their fees, and what the miner did beside that."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from storage.declaration import MEASUREMENTS, Tier
from storage.downsample.rollup import DAY_S
from storage.downsample.windows import unix_seconds
from storage.store import Store
from tasks.derive.hour_grid import Floats, HourGrid, floats
from tasks.derive.settings import EconomicsSettings

_MATCH = MEASUREMENTS["worker_match"]
_ASTRAY = ("wrong_pool", "missing_worker", "fee_only")
_EPOCH = dt.date(1970, 1, 1)


@dataclass(frozen=True)
class CreditedWork:
    """Miners x hours, NaN where nothing is told. ``delivered_hs``: hashrate that pools credited to the miner's workers,
    ``delivered_net_hs``: the same less their fees; ``fee`` of the pool (a ratio), where none is known of the hour that
    of any pool; ``untold_hs``: what the miner measured for pools that told nothing of their workers. ``astray``: what
    pools told of their workers does not have the miner's work."""

    delivered_hs: Floats
    delivered_net_hs: Floats
    fee: Floats
    untold_hs: Floats
    astray: npt.NDArray[np.bool_]


def credited_work(store: Store, economics: EconomicsSettings, grid: HourGrid) -> CreditedWork:
    """Of rows of ``worker_match``, without those that are superseded. Raises TryAgain."""
    columns = ["status", "hashrate_pool_hs", "hashrate_miner_hs"]
    table = store.read(_MATCH, Tier.RAW, grid.start, grid.stop, columns=columns)
    table = table.filter(pc.fill_null(pc.not_equal(table["status"], "superseded"), False))
    places, credited = grid.places(table), floats(table["hashrate_pool_hs"])
    fee = _fees(economics, table)
    heard = grid.laid_out(np.where(pc.is_valid(table["pool_id"]), 1.0, np.nan), places, "max")
    untold = np.isnan(credited) & np.asarray(pc.fill_null(pc.equal(table["status"], "not_told"), False))
    astray = np.isnan(credited) & np.asarray(pc.is_in(table["status"], value_set=pa.array(_ASTRAY)))
    return CreditedWork(
        delivered_hs=grid.laid_out(credited, places),
        delivered_net_hs=grid.laid_out(credited * (1 - np.nan_to_num(fee)), places),
        fee=np.where(np.isnan(heard), _ratio(economics.pool_fee_percent), grid.laid_out(fee, places, "max")),
        untold_hs=grid.laid_out(np.where(untold, floats(table["hashrate_miner_hs"]), np.nan), places),
        astray=~np.isnan(grid.laid_out(np.where(astray, 1.0, np.nan), places, "max")),
    )


def _fees(economics: EconomicsSettings, table: pa.Table) -> Floats:
    """The fee of the pool of each row on its day, a ratio; NaN where nobody told."""
    pools = table["pool_id"].combine_chunks().dictionary_encode()
    names = [*pools.dictionary.to_pylist(), None]
    days, day_of = np.unique(unix_seconds(table) // DAY_S, return_inverse=True)
    by_day = [[_ratio(economics.fee_percent_of(name, _date(day))) for name in names[:-1]] + [np.nan] for day in days]
    known = np.array(by_day).reshape(len(days), len(names))
    return np.asarray(known[day_of, np.asarray(pools.indices.fill_null(len(names) - 1))])


def _date(day: int) -> dt.date:
    return _EPOCH + dt.timedelta(days=int(day))


def _ratio(percent: float | None) -> float:
    return np.nan if percent is None else percent / 100
