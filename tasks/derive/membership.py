"""Which miners belonged to the fleet in which hour, by what was derived of the hour at the time.

The configuration tells who belongs to it now. Past hours are derived again, for late data or other prices: a miner that
was added since was not silent in them, it was not there.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from storage.declaration import MEASUREMENTS, Tier
from storage.downsample.books import rolled_windows
from storage.store import Store
from tasks.derive.hour_grid import HourGrid
from tasks.derive.labels import Bools


def belonged(store: Store, derived: str, field: str, grid: HourGrid, configured: Collection[str]) -> Bools:
    """Where (miners x hours) a miner of ``configured`` belonged to the fleet: in hours that are derived for the first
    time, and in those of which it has a row of ``derived``. ``field``: one that no row is without. Raises TryAgain."""
    declared, ours = MEASUREMENTS[derived], np.isin(grid.miners, list(configured))[:, None]
    noted = rolled_windows(store, declared, Tier.HOURLY, grid.start, grid.stop)
    new = ~np.isin(grid.starts(), list(noted))
    if new.all():
        return ours & new
    where = {"time_period": "1h"}
    table = store.read(declared, Tier.RAW, grid.start, grid.stop, where=where, columns=[field])
    had = grid.laid_out(np.ones(table.num_rows), grid.places(table), "max")
    return ours & (new | ~np.isnan(had))
