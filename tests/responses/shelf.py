"""The shelf of the alerts' tests, which here is also asked for one miner alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from storage.declaration import Measurement, Tier
from tests.alerts.shelf import Shelf as _Shelf


class Shelf(_Shelf):
    """Rows in memory."""

    def read(
        self,
        measurement: Measurement,
        tier: Tier,
        start: int,
        stop: int,
        *,
        where: Mapping[str, str | Sequence[str]] | None = None,
        columns: Sequence[str] | None = None,
    ) -> pa.Table:
        return _where(super().read(measurement, tier, start, stop, columns=columns), where)

    def newest(
        self,
        measurement: Measurement,
        since: int,
        *,
        before: int | None = None,
        where: Mapping[str, str | Sequence[str]] | None = None,
    ) -> pa.Table:
        return _where(super().newest(measurement, since, before=before), where)


def _where(table: pa.Table, where: Mapping[str, str | Sequence[str]] | None) -> pa.Table:
    for tag, wanted in (where or {}).items():
        wants = [wanted] if isinstance(wanted, str) else list(wanted)
        table = table.filter(pc.is_in(table[tag], value_set=pa.array(wants, table[tag].type)))
    return table
