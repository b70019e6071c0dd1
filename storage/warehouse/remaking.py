"""Making days of the warehouse due again, where a file of it is lost: the next build makes them anew of the tiers."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from storage.declaration import Tier
from storage.downsample.rollup import DAY_S, window_of
from storage.errors import TryAgain
from storage.lake.location import LakeLocation, entries, locked_if_free
from storage.warehouse.books import BUILT, Books
from storage.warehouse.star import DIM_COIN, DIM_MINER, DIM_POOL, FACTS, Fact, StarTable
from storage.warehouse.table import FOLDER

BUILD_LOCK = ".build.lock"
"""In the folder of the warehouse; held by a build."""

_KEYS = {DIM_POOL.name: "pool_key", DIM_COIN.name: "coin_key"}


@contextlib.contextmanager
def nothing_built(root: LakeLocation) -> Iterator[None]:
    """Keep builds away: one that is at it would write books, and facts, as it read them before. Nothing where there is
    no warehouse.

    Raises:
        TryAgain: a build is at it.
    """
    if not entries(root / FOLDER):
        yield
        return
    with locked_if_free(root / FOLDER / BUILD_LOCK) as ours:
        if not ours:
            raise TryAgain("The warehouse is being built just now")
        yield


def make_days_due(root: LakeLocation, star: StarTable, first: int, last: int) -> int:
    """Forget what says that rows of ``star`` in ``[first, last]`` (Unix seconds) are there; of a fact, how many days
    that makes due. Call it inside :func:`nothing_built`, before the file goes. Again is once.

    Pools and coins are found in rows of facts that are built, so all days of those are due. Of miners all that is still
    kept is looked at anew; what refers to a version that has another key then follows by itself. Hours are made anew by
    each build, and the books themselves are all that there is to forget of the books.

    Raises:
        NeedsHuman: a file of the books is damaged: that one first.
    """
    if star.name == BUILT.name:
        return 0
    books = Books(root)
    if star.name == DIM_MINER.name:
        books.forget(DIM_MINER)
        return 0
    if isinstance(star, Fact):
        if star.source.tier is Tier.RAW:  # one mark says that all days were looked at
            books.forget(star)
            return (window_of(last, DAY_S) - window_of(first, DAY_S)) // DAY_S + 1
        return books.forget(star, window_of(first, DAY_S), last)
    for fact in FACTS:
        if _KEYS.get(star.name) in [column.name for column in fact.columns]:
            books.forget(fact)
    return 0
