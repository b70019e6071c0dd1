"""dim_pool and dim_coin: a row for each pool and coin that a fact ever had."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any, NamedTuple

import pyarrow as pa

from storage.arrow_schema import END_OF_TIME_S, numbers
from storage.lake.replacement import replace_rows
from storage.warehouse.books import stored_rows
from storage.warehouse.keys import surrogate
from storage.warehouse.table import WarehouseTable, schema


class Coin(NamedTuple):
    """What dim_coin says of a coin."""

    symbol: str | None
    name: str | None
    mining_algorithm: str | None


class Members:
    """Both dimensions; written as soon as a fact brings somebody new, before its day is marked as built."""

    def __init__(self, pools: WarehouseTable, coins: WarehouseTable, told: Mapping[str, Coin]) -> None:
        self._tables = {"pool_id": pools, "coin_id": coins}
        self._told = told
        self._seen = {
            natural: {row[natural]: int(row["first_seen"].timestamp()) for row in stored_rows(table).to_pylist()}
            for natural, table in self._tables.items()
        }
        if coins.exists():
            self._write("coin_id")  # the table of coins may have learnt since

    def see(self, fact: pa.Table) -> None:
        """Take in the members of rows of a fact."""
        for natural, seen in self._seen.items():
            if natural not in fact.column_names or not fact.num_rows:
                continue
            coded = fact[natural].combine_chunks().dictionary_encode()
            codes, times = numbers(coded.indices), numbers(fact["time"]) // 1_000_000
            first = {word: int(times[codes == code].min()) for code, word in enumerate(coded.dictionary.to_pylist())}
            new = {word: time for word, time in first.items() if time < seen.get(word, END_OF_TIME_S)}
            if new:
                seen.update(new)
                self._write(natural)

    def _write(self, natural: str) -> None:
        table = self._tables[natural]
        rows = [self._row(natural, word, time) for word, time in self._seen[natural].items()]
        replace_rows(table, 0, END_OF_TIME_S, pa.Table.from_pylist(rows, schema=schema(table.star)))

    def _row(self, natural: str, word: str, time: int) -> dict[str, Any]:
        begun = dt.datetime.fromtimestamp(time, dt.UTC)
        row = {"time": begun, natural: word, natural.replace("_id", "_key"): surrogate(word), "first_seen": begun}
        if natural == "coin_id":
            row |= self._told.get(word, Coin(None, None, None))._asdict()
        return row
