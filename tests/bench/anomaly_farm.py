"""Faults injected into days of the simulated farm, and what the detector on the stream makes of them.

Readings are as a firmware gives them (whole degrees, GH/s or MH/s) with noise on top of the farm's own ripple. Among
what befalls the miners is also what is no anomaly: restarts, pauses on purpose, silence. A third of the miners do not
tell how many boards mine, so that a lost board must be seen in their hashrate. Thresholds were set with seed 1; what is
printed is of seed 2.
"""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np

from storage.records.events import MinerEvent
from storage.records.miner import MinerTelemetry, PoolReading
from tasks.derive.anomaly.hours import Hours, judged_hours
from tasks.derive.anomaly.own_history import Floats
from tasks.derive.anomaly.readings import preset_group
from tasks.derive.anomaly.stream import Watch
from tasks.normalize.judging import judge
from tests.bench.farm_days import FarmDays, Trouble
from tests.bench.figure import Figure

KINDS = ("board_lost", "fan_lost", "overheating", "flatline", "unit_switched", "pool_switched")
HARMLESS = ("paused", "silent", "restarted")
DAY_S, TICK_S = 86_400, 60
SEED, THRESHOLD = 2, 0.8
START = 1_772_323_200
"""A midnight of UTC."""
_AFTER_S = 1_800
"""What comes so soon after a fault is still of it."""
_WORDS = (
    ("unit_switched", ("its unit",)),
    ("flatline", ("to the last digit",)),
    ("board_lost", ("boards lost",)),
    ("fan_lost", ("fans turn",)),
    ("pool_switched", ("another pool",)),
    ("overheating", ("temperature: +",)),
    ("board_lost", ("hashrate: -",)),
)
"""What fault the words of an anomaly name, the first that fits."""


def figures() -> list[Figure]:
    """All figures of the farm."""
    return [*_faults(), *_slow_loss()]


def _faults() -> list[Figure]:
    found = run(500, 7, SEED, each=30)
    rows = []
    for kind in KINDS:
        recall, precision = found.recall(kind), found.precision(kind)
        delays = sorted(found.delays[kind])
        rows.append(
            Figure(
                name=f"anomaly_farm_{kind}",
                value=round(min(recall, precision), 3),
                target="recall and precision >= 0.95",
                ok=recall >= 0.95 and precision >= 0.95,
                note=f"recall {recall:.3f}, precision {precision:.3f} of {len(delays) + found.missed[kind]}; "
                f"delay {statistics.median(delays) if delays else '-'} s, at most {max(delays, default='-')} s",
            )
        )
    alarms, cpu = found.false_per_1000_miner_days, 1e6 * found.watch_cpu_s / found.readings
    return [
        *rows,
        Figure(
            name="anomaly_farm_false_alarms",
            value=round(alarms, 2),
            unit="per 1,000 miner-days",
            target="< 1",
            ok=alarms < 1,
            note=f"{len(found.alarms)} in {found.miner_days:.0f} miner-days",
        ),
        Figure(
            name="anomaly_stream_cpu",
            value=round(cpu, 1),
            unit="us a miner and tick",
            target="<= 20: a tenth of a tick",
            ok=cpu <= 20,
            note=f"{found.bytes_per_miner:.0f} bytes of state a miner",
        ),
    ]


def _slow_loss() -> list[Figure]:
    """A percent a day, by the hourly flow's judgement: hours are means of ten readings."""
    days, losing, began = FarmDays(500, SEED), 60, START + 15 * DAY_S
    troubles = [Trouble(row, "lost_slowly", began, began + 30 * DAY_S) for row in range(losing)]
    hours = _hours(days, 21, troubles)
    first = 15 * 24
    found: dict[int, int] = {}
    false = 0
    told_before = np.zeros(len(days.miners), dtype=bool)
    for number, judged in judged_hours(hours, first):
        odd = np.nan_to_num(judged.overall) >= THRESHOLD
        for row in np.flatnonzero(odd[:losing]).tolist():
            found.setdefault(row, number + 1 - first)
        false += int((odd & ~told_before)[losing:].sum())
        told_before = odd
    delays = sorted(found.get(row, 10**6) / 24 for row in range(losing))
    miner_days = 6 * (len(days.miners) - losing)
    return [
        Figure(
            name="anomaly_farm_slow_loss",
            value=round(delays[-1], 2),
            unit="days",
            target="<= 5: every loss of 1 % a day",
            ok=delays[-1] <= 5,
            note=f"{losing} miners, median {statistics.median(delays):.2f} days",
        ),
        Figure(
            name="anomaly_farm_hourly_false_alarms",
            value=round(1_000 * false / miner_days, 2),
            unit="per 1,000 miner-days",
            target="< 1",
            ok=1_000 * false / miner_days < 1,
            note=f"{false} in {miner_days} miner-days",
        ),
    ]


def _hours(days: FarmDays, number: int, troubles: list[Trouble]) -> Hours:
    """Hours of so many days, from START."""
    dice = np.random.default_rng(SEED)
    columns: dict[str, list[Floats]] = defaultdict(list)
    for day in range(number):
        read = days.over(range(START + day * DAY_S, START + (day + 1) * DAY_S, 360), troubles)
        rates = read.hashrate_hs / days.nominal_hs[:, None] * (1 + dice.normal(0, 0.015, read.hashrate_hs.shape))
        for name, values in (("rate", rates), ("chip", np.round(read.chip_c)), ("watts", read.power_w)):
            columns[name].append(values.reshape(len(values), 24, 10).mean(axis=2))
        drawn = dice.poisson(np.diff(read.expected[:, 9::10], prepend=0.0, axis=1))
        columns["refused"].append(dice.binomial(drawn, days.refused[:, None]).astype(np.float64))
        columns["found"].append(drawn.astype(np.float64))
    of = {name: np.concatenate(parts, axis=1) for name, parts in columns.items()}
    shape = of["rate"].shape
    kinds = np.unique([f"{one.model}/{one.site}" for one in days.miners], return_inverse=True)[1]
    no = np.zeros(shape, dtype=bool)
    return Hours(
        values=np.stack([of["rate"], of["chip"], of["watts"] / days.limit_w[:, None]]),
        reference=np.stack([days.nominal_hs, days.limit_w]),
        working=~no,
        boards_lost=np.zeros(shape),
        fans=np.repeat(days.fans[:, None].astype(np.float64), shape[1], axis=1),
        other_pool=no,
        accepted=of["found"] - of["refused"],
        refused=of["refused"],
        still=np.zeros(shape, dtype=np.int64),
        unit_wrong=no,
        group=np.repeat(preset_group(kinds, days.nominal_hs)[:, None], shape[1], axis=1),
    )


@dataclass(slots=True)
class Found:
    """What came of the faults. ``delays`` in seconds by kind, ``missed`` and ``false`` (by the kind named) counts."""

    delays: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    missed: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    false: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    alarms: list[MinerEvent] = field(default_factory=list)
    miner_days: float = 0.0
    watch_cpu_s: float = 0.0
    readings: int = 0
    bytes_per_miner: float = 0.0

    def recall(self, kind: str) -> float:
        """Part of the faults of a kind that were found while they lasted."""
        return len(self.delays[kind]) / (len(self.delays[kind]) + self.missed[kind])

    def precision(self, kind: str) -> float:
        """Part of the alarms that name a kind in which that fault was there."""
        told = len(self.delays[kind]) + self.false[kind]
        return len(self.delays[kind]) / told if told else 0.0

    @property
    def false_per_1000_miner_days(self) -> float:
        """Alarms without a fault."""
        return 1_000 * len(self.alarms) / self.miner_days


def run(miners: int, days: int, seed: int, *, each: int) -> Found:
    """``each`` faults of every kind, and as many of what is harmless, over ``days`` after a day of quiet."""
    dice = np.random.default_rng(seed)
    farm = FarmDays(miners, seed)
    troubles = _troubles(dice, miners, days, each)
    watch = Watch(farm.miners)
    found = Found(miner_days=miners * days, bytes_per_miner=watch.memory.bytes_per_miner)
    events: list[MinerEvent] = []
    shares = np.zeros((2, miners))
    for day in range(days + 1):
        begin = START + day * DAY_S
        for slot, records in _day(farm, dice, begin, troubles, shares):
            cpu = time.process_time()
            events += watch.look(slot, records).events
            found.watch_cpu_s += time.process_time() - cpu
            found.readings += len(records)
    _judge(found, farm, troubles, events)
    return found


def _troubles(dice: np.random.Generator, miners: int, days: int, each: int) -> list[Trouble]:
    who = dice.permutation(miners)[: each * (len(KINDS) + len(HARMLESS))]
    found = []
    for number, miner in enumerate(who.tolist()):
        kind = (*KINDS, *HARMLESS)[number // each]
        start = START + DAY_S + int(dice.integers(0, days * DAY_S - 9 * 3_600)) // TICK_S * TICK_S
        found.append(Trouble(miner, kind, start, start + int(dice.integers(2, 9)) * 3_600))
    return found


def _day(farm: FarmDays, dice: np.random.Generator, begin: int, troubles: list[Trouble], shares: Any) -> Any:
    """Slots of a day with their readings. ``shares`` (accepted, refused) go on from day to day."""
    times = range(begin, begin + DAY_S, TICK_S)
    read = farm.over(times, troubles)
    number = len(farm.miners)
    units = np.where(farm.nominal_hs > 1e12, 1e9, 1e6)[:, None]
    noise = 1 + dice.normal(0, 0.015, read.hashrate_hs.shape)
    rates = np.round(read.hashrate_hs * noise / units, 2) * units
    heat = np.round(read.chip_c + dice.normal(0, 0.4, read.chip_c.shape))
    drawn = dice.poisson(np.diff(read.expected, prepend=0.0, axis=1))
    refused = dice.binomial(drawn, farm.refused[:, None])
    accepted_all = shares[0][:, None] + np.cumsum(drawn - refused, axis=1)
    refused_all = shares[1][:, None] + np.cumsum(refused, axis=1)
    shares[0], shares[1] = accepted_all[:, -1], refused_all[:, -1]
    odd: dict[int, list[Trouble]] = defaultdict(list)
    for one in troubles:
        if one.start < begin + DAY_S and one.stop > begin:
            odd[one.miner].append(one)
    own, other = (
        (PoolReading(slot="0", status="active", is_fee=False, url=url),) for url in ("own.invalid:3333", "other:3333")
    )
    for place, slot in enumerate(times):
        columns = [
            column[:, place].tolist()
            for column in (rates, heat, read.power_w, read.boards_mining, read.fans, accepted_all, refused_all)
        ]
        records = []
        for row, (rate, chip, watts, mining, fans, accepted, refusals) in enumerate(zip(*columns, strict=True)):
            record = MinerTelemetry(
                time=slot,
                miner=farm.miners[row],
                reachable=True,
                state="mining",
                hashrate_hs=rate,
                hashrate_nominal_hs=float(farm.nominal_hs[row]),
                power_w=int(watts),
                power_limit_w=int(farm.limit_w[row]),
                chip_temp_max_c=chip,
                shares_accepted=int(accepted),
                shares_rejected=int(refusals),
                boards_mining=int(mining) if row % 3 else None,
                boards_expected=int(farm.boards[row]) if row % 3 else None,
                fans_running=int(fans),
                uptime_s=1_000_000 + slot - START,
                pools=own,
            )
            for one in odd.get(row, ()) if number else ():
                if one.start <= slot < one.stop:
                    record = _befallen(record, one, other)
            records.append(record)
        yield slot, records


def _befallen(record: MinerTelemetry, one: Trouble, other: tuple[PoolReading, ...]) -> MinerTelemetry:
    replace = msgspec.structs.replace
    match one.kind:
        case "flatline":
            return replace(record, hashrate_hs=(record.hashrate_nominal_hs or 0.0) * 0.981)
        case "unit_switched":
            wrong = replace(
                record,
                hashrate_hs=1e-3 * (record.hashrate_hs or 0.0),
                hashrate_nominal_hs=1e-3 * (record.hashrate_nominal_hs or 0.0),
            )
            return judge(wrong).record
        case "pool_switched":
            return replace(record, pools=other)
        case "paused":
            return replace(record, state="paused")
        case "silent":
            return MinerTelemetry(time=record.time, miner=record.miner, reachable=False, state="unreachable")
        case "restarted":
            up = record.time - one.start
            starting = up < 60
            return replace(
                record,
                uptime_s=up,
                state="starting" if starting else "mining",
                hashrate_hs=0.0 if starting else record.hashrate_hs,
                chip_temp_max_c=(record.chip_temp_max_c or 0.0) - 29.0 * np.exp(-up / 90.0),
            )
    return record


def _judge(found: Found, farm: FarmDays, troubles: list[Trouble], events: list[MinerEvent]) -> None:
    of_miner = defaultdict(list)
    for event in events:
        if event.kind == "anomaly_began":
            of_miner[event.miner.miner_id].append(event)
    for one in troubles:
        name = farm.miners[one.miner].miner_id
        if one.kind not in KINDS:
            continue
        during = [event for event in of_miner[name] if one.start <= event.time < one.stop]
        if not during:
            found.missed[one.kind] += 1
            continue
        found.delays[one.kind].append(during[0].time - one.start)
        if named(during[0]) != one.kind:
            found.false[named(during[0])] += 1
    spans = {farm.miners[one.miner].miner_id: (one.start, one.stop + _AFTER_S) for one in troubles if one.kind in KINDS}
    for name, alarms in of_miner.items():
        start, stop = spans.get(name, (0, 0))
        for alarm in alarms:
            if not start <= alarm.time < stop:
                found.alarms.append(alarm)
                found.false[named(alarm)] += 1


def named(event: MinerEvent) -> str:
    """The fault that the words of an anomaly speak of."""
    for kind, words in _WORDS:
        if any(word in event.message for word in words):
            return kind
    return "other"
