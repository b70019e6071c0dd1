"""The whole budget of a host: what takes how many bytes, how fast, and how long each volume lasts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from storage.declaration import MEASUREMENTS, Tier
from storage.disk_budget.files import KERNEL, Disks, Volume, bytes_in
from storage.disk_budget.forecast import REMEMBERED_DAYS, Forecast, Growth, Stock, days_until_full, growth_of_totals
from storage.disk_budget.guard import Action, due
from storage.disk_budget.influx import bytes_in_influx, is_here
from storage.settings import StorageSettings
from storage.spool.durable import replace_file

if TYPE_CHECKING:
    from storage.disk_budget.lake import TableBytes

DAY_S = 86_400
HISTORY_FILE = "disk.json"
"""In the folder of states: the last total of each day of every place that keeps no days itself."""


@dataclass(frozen=True, slots=True)
class Item:
    """Bytes of one measurement and tier, lane, bucket or folder. ``volume`` None: not on a disk of this host.

    ``alone`` is when its volume would be full if nothing else grew.
    """

    place: str
    of: str
    tier: str
    volume: int | None
    stock: Stock
    alone: Forecast


@dataclass(frozen=True, slots=True)
class VolumeBudget:
    """One volume: how long it lasts, and what is due on it."""

    volume: Volume
    forecast: Forecast
    actions: tuple[Action, ...]


@dataclass(frozen=True, slots=True)
class Budget:
    """All of it. ``notes`` say what could not be measured; ``bytes_per_miner_day`` is of the lake, None: not known."""

    items: tuple[Item, ...]
    volumes: tuple[VolumeBudget, ...]
    notes: tuple[str, ...]
    bytes_per_miner_day: float | None

    @property
    def actions(self) -> tuple[Action, ...]:
        """What is due on any volume, the mildest first."""
        return tuple(action for action in Action if any(action in one.actions for one in self.volumes))


def examine(
    settings: StorageSettings,
    retention_days: Mapping[str, int],
    now: float,
    *,
    archive: Path | None = None,
    miners: int = 0,
    disks: Disks = KERNEL,
    remember: bool = False,
) -> Budget:
    """Measure all places of this host. ``remember`` notes today's totals, from which growth is told later.

    Raises:
        NeedsHuman, StoreError: the lake cannot be read.
    """
    today, notes = int(now // DAY_S), list[str]()
    volumes: dict[int, Volume] = {}

    def volume_of(path: Path) -> int:
        found = disks.volume(path)
        volumes.setdefault(found.identity, found)
        return found.identity

    here = volume_of(settings.data_directory)
    history = _History(settings.state_directory / HISTORY_FILE, today)
    measured: list[tuple[str, str, str, int | None, Stock]] = []
    for table, stock in _lake(settings, retention_days, today):
        on_disk = volume_of(settings.lake_directory) if settings.lake.uri is None else None
        measured.append(("lake", table.measurement, table.tier, on_disk, stock))
    for place, of, path, size, ceiling in _folders(settings, archive):
        stock = Stock(size, history.growth(f"{place}/{of}", size), ceiling)
        measured.append((place, of, "", volume_of(path), stock))
    if settings.influx is not None:
        sizes, reason = bytes_in_influx(settings.influx)
        notes += [f"InfluxDB: {reason}"] if reason else []
        near = is_here(settings.influx)
        for bucket, size in sorted(sizes.items()):
            stock = Stock(size, history.growth(f"influx/{bucket}", size))
            measured.append(("influx", bucket, "", here if near else None, stock))
        if sizes:
            where = "taken to lie on the volume of the data directory" if near else "in no forecast: it is elsewhere"
            notes.append(f"InfluxDB: {where}")
    if remember:
        history.write()
    items = [
        Item(place, of, tier, volume, stock, _alone(stock, volumes.get(volume) if volume is not None else None))
        for place, of, tier, volume, stock in measured
    ]
    return Budget(
        tuple(items),
        tuple(_volume_budget(volume, items, settings) for volume in volumes.values()),
        tuple(notes),
        _per_miner_day(items, miners),
    )


def _alone(stock: Stock, volume: Volume | None) -> Forecast:
    if volume is None:
        return Forecast(None, "not on a disk of this host")
    return days_until_full([stock], volume.free)


def _volume_budget(volume: Volume, items: list[Item], settings: StorageSettings) -> VolumeBudget:
    stocks = [item.stock for item in items if item.volume == volume.identity]
    forecast = days_until_full(stocks, volume.free)
    return VolumeBudget(volume, forecast, due(forecast.days, volume.free_percent, settings.disk))


def _per_miner_day(items: list[Item], miners: int) -> float | None:
    """Bytes that a miner adds to the lake in a day, over all measurements that have its id, all tiers."""
    growths = [
        item.stock.growth.bytes_per_day
        for item in items
        if item.place == "lake" and "miner_id" in MEASUREMENTS[item.of].tag_names
    ]
    known = [growth for growth in growths if growth is not None]
    return sum(known) / miners if known and miners else None


def _lake(
    settings: StorageSettings, retention_days: Mapping[str, int], today: int
) -> Iterator[tuple[TableBytes, Stock]]:
    """Tables with what they become: retention ends the growth of each."""
    if not settings.lake.enabled:
        return
    from storage.disk_budget.lake import measure_lake  # the lake's libraries are an extra
    from storage.opening import lake_location

    for table in measure_lake(lake_location(settings), today):
        days = retention_days[MEASUREMENTS[table.measurement].buckets[Tier(table.tier)]]
        rate = table.growth.bytes_per_day
        yield table, Stock(table.bytes, table.growth, None if rate is None else max(rate * days, table.bytes))


def _folders(settings: StorageSettings, archive: Path | None) -> Iterator[tuple[str, str, Path, int, float | None]]:
    """Places that are plain folders: (place, of, folder, bytes, ceiling)."""
    root, lake = settings.data_directory, settings.lake_directory
    for lane in sorted(settings.spool_directory.glob("*/")):
        yield "spool", lane.name, lane, bytes_in(lane), float(settings.spool.cap_bytes)
    if settings.lake.uri is None:
        yield "warehouse", "warehouse", lake / "warehouse", bytes_in(lake / "warehouse"), None
        yield "features", "tables", lake / "features", bytes_in(lake / "features"), None
    if archive is not None:
        yield "archive", "archive", archive, bytes_in(archive), None
    apart = frozenset({settings.spool_directory, lake, *([archive] if archive is not None else [])})
    for folder in sorted(path for path in root.glob("*/") if path not in apart):
        yield folder.name, folder.name, folder, bytes_in(folder, without=apart), None


class _History:
    """Last totals of the days that are past, by ``<place>/<of>``. A file that cannot be read begins anew."""

    def __init__(self, file: Path, today: int) -> None:
        self._file = file
        self._today = today
        self._totals: dict[str, dict[int, int]] = defaultdict(dict)
        try:
            kept = msgspec.json.decode(file.read_bytes(), type=dict[str, dict[int, int]])
        except (FileNotFoundError, msgspec.DecodeError):
            kept = {}
        for key, totals in kept.items():
            self._totals[key] = {day: size for day, size in totals.items() if day >= today - REMEMBERED_DAYS}

    def growth(self, key: str, size: int) -> Growth:
        """Growth of ``key``, which has ``size`` bytes now."""
        self._totals[key][self._today] = size
        return growth_of_totals(self._totals[key], self._today)

    def write(self) -> None:
        """Keep today's totals."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        replace_file(self._file, msgspec.json.encode(self._totals))
