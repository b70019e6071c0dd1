"""A farm of 40 miners in an embedded store, with every number that the cards show worked out by hand.

30 miners of 100 TH/s (SHA-256) in hall-1 and hall-2, 10 of 10 GH/s (Scrypt) in hall-2, 10 in a rack. Of each algorithm
the first is unreachable, the second has lost a board (two thirds are left), the third is paused, and the others deliver
97 % of what is expected, the rest going to heat. So it was in each of the last 24 hours, of which the last two are not
derived.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import yaml

from storage.delivery.courier import Courier
from storage.errors import TryAgain
from storage.frame import Frame, build_frame
from storage.lake.store import EmbeddedStore
from storage.records.miner import Miner, MinerTelemetry, configuration_frames, telemetry_frames
from storage.spool.lane import Lane
from tasks.alerts.book import Book, Look
from tasks.alerts.life_cycle import Alert, Phase
from tasks.alerts.rule import Level, fingerprint
from tasks.miners.report import TickReport
from tasks.sources.standing import RequestStanding, StandingsFile
from tests.delivery.sinks import MemorySink
from tests.page.fleet_rows import GH, L7, S19, TH, configuration, mining, unreachable
from tests.spool.batches import batch

HOUR = 3_600
SHA = [f"s{number:02d}" for number in range(1, 31)]
SCRYPT = [f"l{number:02d}" for number in range(1, 11)]
MINERS = [*SHA, *SCRYPT]
DERIVED = 22
"""Hours of the last 24 that are derived."""


def model(name: str) -> str:
    return S19 if name in SHA else L7


def nominal(name: str) -> float:
    return 100 * TH if name in SHA else 10 * GH


def site(name: str) -> str:
    return "hall-1" if name in SHA[:20] else "hall-2"


def location(name: str) -> str:
    number = MINERS.index(name)
    return f"rack_{number // 10 + 1}_position_{number % 10 + 1}"


def kind(name: str) -> str:
    """What is the matter with a miner."""
    return {"01": "unreachable", "02": "board", "03": "paused"}.get(name[1:], "heat")


def part_lost(name: str) -> float:
    return {"unreachable": 1.0, "board": 1 / 3, "paused": 1.0, "heat": 0.03}[kind(name)]


def telemetry(time: int, *, answering: bool = False) -> list[MinerTelemetry]:
    """One tick; ``answering``: of before the first of each algorithm went out of reach."""
    found = []
    for name in MINERS:
        if kind(name) == "unreachable" and not answering:
            record = unreachable(time, name)
        else:
            made = nominal(name) * (0.97 if answering and kind(name) == "unreachable" else 1 - part_lost(name))
            state = {"board": "degraded", "paused": "paused"}.get(kind(name), "mining")
            watts = 40 if state == "paused" else 3000 if name in SHA else 3200
            record = mining(time, name, made, watts, model=model(name), state=state)
            if state == "degraded":
                gone = msgspec.structs.replace(record.boards[2], status="failed", hashrate_hs=0.0, chip_temp_c=None)
                lasting = [msgspec.structs.replace(one, hashrate_hs=made / 2) for one in record.boards[:2]]
                record = msgspec.structs.replace(record, boards=(*lasting, gone))
        found.append(record)
    return [_at_site(record) for record in found]


def _with_weather(record: MinerTelemetry) -> MinerTelemetry:
    """As it was earlier: a little warmer and colder in turn, and the faster the colder."""
    wave = math.sin(record.time / 2_000)
    if record.hashrate_hs is None or record.chip_temp_max_c is None or record.ambient_temp_c is None:
        return record
    return msgspec.structs.replace(
        record,
        hashrate_hs=record.hashrate_hs * (1 - 0.01 * wave),
        chip_temp_max_c=record.chip_temp_max_c + 3 * wave,
        ambient_temp_c=record.ambient_temp_c + 2 * wave,
    )


def _at_site(record: MinerTelemetry) -> MinerTelemetry:
    name = record.miner.miner_id
    return msgspec.structs.replace(record, miner=Miner(miner_id=name, model=model(name), site=site(name)))


def columns(rows: list[dict[str, Any]]) -> tuple[list[int], dict[str, list[Any]]]:
    names = dict.fromkeys(name for row in rows for name in row if name != "time")
    return [row["time"] for row in rows], {name: [row.get(name) for row in rows] for name in names}


def frame(measurement: str, rows: list[dict[str, Any]]) -> Frame:
    return build_frame(measurement, *columns(rows))


def operational(stop: int, hours: int = 24) -> Frame:
    """Rows of hours up to ``stop``, without the last two of 24."""
    rows = []
    for hour in range(stop - hours * HOUR, stop - (24 - DERIVED) * HOUR, HOUR):
        for name in MINERS:
            lost = {"unreachable": 0.0, "paused": 0.0, "pool": 0.0, "board": 0.0, "heat": 0.0, "unknown": 0.0}
            lost[kind(name)] = part_lost(name) * nominal(name)
            rows.append(
                {"time": hour, "miner_id": name, "time_period": "1h", "hashrate_expected_hs": nominal(name)}
                | {"hashrate_lost_hs": sum(lost.values())}
                | {f"lost_{cause}_hs": value for cause, value in lost.items()}
            )
    return frame("operational_metrics", rows)


def pool_hours(stop: int) -> Frame:
    """Two pools of SHA-256, of which one told nothing of the first of the hours; together 2,580 TH/s."""
    rows = []
    for hour in range(stop - 24 * HOUR, stop - (24 - DERIVED) * HOUR, HOUR):
        for pool, algorithm, hashrate in (
            ("f2", "sha256d", 1_580 * TH),
            ("via", "sha256d", 1_000 * TH),
            ("ltc", "scrypt", 75 * GH),
        ):
            silent = pool == "via" and hour == stop - 24 * HOUR
            rows.append(
                {"time": hour, "pool_id": pool, "dimension": "algorithm", "key": algorithm, "time_period": "1h"}
                | {"hashrate_effective_hs": None if silent else hashrate, "workers": 10}
            )
    return frame("pool_summary", rows)


def money(stop: int, hours: int = 48) -> Frame:
    """Each miner but those out of reach: 0.60 USD revenue an hour, 3 kWh at 0.10 USD, 0.02 USD fees: 0.30 USD profit;
    of a miner out of reach nothing is known."""
    rows = []
    for hour in range(stop - hours * HOUR, stop - (24 - DERIVED) * HOUR, HOUR):
        for name in MINERS:
            row: dict[str, Any] = {"time": hour, "miner_id": name, "time_period": "1h"}
            if kind(name) == "unreachable":
                row |= {"reason": "revenue:no_work", "hours": 0}
            else:
                row |= {"revenue": 0.60, "fees": 0.02, "electricity_cost": 0.30, "cost": 0.30, "profit": 0.30}
                row |= {"energy_kwh": 3.0, "hours": 1, "reason": ""}
            rows.append(row)
    return frame("financial_metrics", rows)


def summary(stop: int) -> Frame:
    hour = stop - (24 - DERIVED + 1) * HOUR
    row = {"time": hour, "scope": "fleet", "key": "fleet", "time_period": "1h", "profit": 11.4, "miners": 40}
    return frame("financial_summary", [row | {"miners_known": 38, "reason": "profit:miners_missing"}])


def forecasts(stop: int) -> Frame:
    row = {"time": stop - 6 * HOUR, "miner_id": "fleet", "quantity": "next_24h_revenue", "model": "seasonal_naive"}
    return frame("forecast", [row | {"value": 547.2, "low": 520.0, "high": 574.0, "unit": "USD", "horizon_s": 86_400}])


def reconciled(stop: int) -> Frame:
    """Yesterday's settlement: f2 credited 97 % of 0.004 BTC; ltc has a coin without a price."""
    day = stop // 86_400 * 86_400 - 86_400
    rows: list[dict[str, Any]] = [
        {"pool_id": "f2", "coin_id": "bitcoin", "predicted": 0.004, "credited": 0.00388, "difference": -0.00012}
        | {"predicted_usd": 400.0, "credited_usd": 388.0, "unexplained": -0.00002, "reason": "fee 2.5 %"},
        {"pool_id": "ltc", "coin_id": "litecoin", "predicted": 0.5, "credited": 0.49}
        | {"predicted_usd": 50.0, "credited_usd": 49.0, "reason": ""},
        {"pool_id": "ltc", "coin_id": "dogecoin", "predicted": 100.0, "credited": 98.0, "reason": "no price"},
    ]
    return frame("pool_reconciliation", [{"time": day, "settlement_zone": "UTC", **row} for row in rows])


def workers(stop: int) -> Frame:
    """In the newest hour worked out f2 saw 96 of 97 TH/s of each of ten miners and nothing of s11, ltc 9.6 of 9.7 GH/s
    of each of five; no pool knows s30."""

    def match(pool: str | None, miner: str, status: str, **more: Any) -> dict[str, Any]:
        worker = None if pool is None else f"farm.{miner}"
        return {"pool_id": pool, "worker_id": worker, "miner_id": miner, "status": status, "reason": "", **more}

    rows = [
        match("f2", name, "matched", hashrate_miner_hs=97 * TH, hashrate_pool_hs=96 * TH, gap_unexplained_ratio=0.01)
        for name in SHA[:10]
    ]
    rows.append(match("f2", "s11", "missing_worker", reason="f2 does not tell of farm.s11", hashrate_miner_hs=97 * TH))
    rows += [
        match("ltc", name, "matched", hashrate_miner_hs=9.7 * GH, hashrate_pool_hs=9.6 * GH, gap_unexplained_ratio=0.01)
        for name in SCRYPT[3:8]
    ]
    rows.append(match(None, "s30", "wrong_pool", reason="it mines at thief.example"))
    return frame("worker_match", [{"time": stop - 3 * HOUR, **row} for row in rows])


def accounts(now: int) -> list[Frame]:
    """f2 and ltc told two minutes ago, via never; f2 credited 0.00388 BTC ten hours ago."""
    told = now - 120
    rows: list[dict[str, Any]] = [
        {"pool_id": "f2", "coin_id": "bitcoin", "workers_active": 14, "workers_inactive": 1, "unpaid": 0.00123}
        | {"credited_24h": 0.0039, "hashrate_hs": 960 * TH},
        {"pool_id": "ltc", "coin_id": "litecoin", "workers_active": 5, "unpaid": 0.25, "credited_24h": 0.49},
        {"pool_id": "ltc", "coin_id": "dogecoin", "workers_active": 5, "unpaid": 40.0},
    ]
    credit = {"time": now - 10 * HOUR, "pool_id": "f2", "coin_id": "bitcoin", "kind": "credited", "reference": "1"}
    older = {**credit, "time": now - 34 * HOUR, "reference": "0", "amount": 0.0041}
    return [
        frame("pool_account", [{"time": told, "status": "live", **row} for row in rows]),
        frame("pool_payout", [older, {**credit, "amount": 0.00388, "usd_at_receipt": 388.0}]),
    ]


def market(now: int) -> list[Frame]:
    """Bitcoin at 100,000 USD by CoinGecko, which goes first; Dogecoin was last told of three hours ago."""
    stop, today = now // HOUR * HOUR, now // 86_400 * 86_400
    prices: list[dict[str, Any]] = [
        {"time": now - 60, "source": "coingecko", "coin_id": "bitcoin", "price_usd": 100_000.0}
        | {"price_change_24h_percent": 2.54, "age_s": 30.0},
        {"time": now - 30, "source": "coinmarketcap", "coin_id": "bitcoin", "price_usd": 100_100.0},
        {"time": now - 60, "source": "coingecko", "coin_id": "litecoin", "price_usd": 101.25}
        | {"price_change_24h_percent": -1.26},
        {"time": now - 3 * HOUR, "source": "coingecko", "coin_id": "dogecoin", "price_usd": 0.31415},
    ]
    indicator = {"time": today - 86_400, "source": "coingecko", "coin_id": "bitcoin", "rsi_14": 72.34}
    value = {"time": stop - HOUR, "source": "mempool_space", "quality_flags": ""}
    return [
        frame("market_data", prices),
        frame("market_indicator", [indicator | {"ma_50_usd": 95_123.45, "ma_200_usd": 80_000.0, "closes": 365}]),
        frame(
            "mining_profitability",
            [
                value | {"algorithm": "sha256d", "coins": "bitcoin", "usd_th_day": 0.05, "btc_th_day": 5e-7},
                value | {"algorithm": "scrypt", "coins": "litecoin+dogecoin", "source": "litesolo", "usd_th_day": 60.0},
            ],
        ),
    ]


def measured(now: int) -> list[Frame]:
    """What edge-1 measured of itself four minutes ago: its disk is full in 12 days, half of its points come in 2 s."""
    told = {"time": now - 240, "host": "edge-1"}
    volume = told | {"volume": "/srv/lodeline", "total": 500 * 10**9, "free": 100 * 10**9, "days_until_full": 12.4}
    host = told | {"cpu_busy": 0.31, "cpus": 4, "memory_total": 8 * 10**9, "memory_available": 3 * 10**9}
    delivery = told | {"lane": "miners", "sink": "influx", "backlog": 3, "lag_p50_s": 2.0, "lag_p95_s": 9.0}
    hour = now // HOUR * HOUR - HOUR
    source = {"time": hour, "source": "coinmarketcap", "asked": 8, "answered": 6, "success_ratio": 0.75}
    return [
        frame("pipeline_volume", [volume | {"actions": "compact"}]),
        frame("pipeline_host", [host | {"temperature_c": 61.5, "throttled": False}]),
        frame("pipeline_delivery", [delivery]),
        frame("source_hour", [source]),
    ]


def happened(now: int) -> list[Frame]:
    """To s02: it lost board 3 an hour ago, is odd, and a new board would bring 1.75 USD a day."""
    tags = {"time": now - HOUR, "miner_id": "s02", "model": S19, "site": "hall-1"}
    event = tags | {"kind": "board_lost", "subject": "board 3", "severity": "critical", "message": "board 3 is gone"}
    older = tags | {"time": now - 30 * HOUR, "kind": "started", "subject": "miner", "severity": "info"}
    hour = now // HOUR * HOUR
    score = {"time": hour - HOUR, "miner_id": "s02", "time_period": "1h", "hashrate": 0.93, "temperature": 0.1}
    found = {"time": hour, "miner_id": "s02", "type": "board", "subject": "board 3", "status": "open"}
    return [
        frame("miner_event", [event, older | {"message": "started with VNish 1.2.6"}]),
        frame("anomaly_score", [score | {"overall": 0.93, "anomalous": True, "reasons": "hashrate:own_history"}]),
        frame(
            "optimization_opportunity",
            [
                found
                | {"description": "Repair board 3", "potential_impact_usd_day": 1.75, "confidence": 0.9}
                | {"evidence": "2 of 3 boards in 24 of 24 h", "falsified_by": "board 3 mines again"}
            ],
        ),
    ]


def tell_ticks(folder: Path, now: int) -> None:
    """Lane miners ticked half a minute ago; 5 points are stored and 3 wait, since the store is away. Of lane market
    coinmarketcap refuses since two hours and coingecko answers; 812 of 10,000 credits are used."""
    state, slot = folder / "state", now - 30
    common = {"host": "edge-1", "points_dead_lettered": 0, "points_shed": 0, "loop_lag_ms": 3.0, "store": "influx"}
    of_miners = {"lane": "miners", "slot": slot, "finished": slot + 2.5, "polled": 40, "failed": 2, "points": 8}
    of_miners |= {"failed_by_reason": {"deadline": 2}, "points_accepted": 8, "points_stored": 5, "backlog": 3}
    of_market = {"lane": "market", "slot": slot, "finished": slot + 1.0, "polled": 2, "failed": 1, "points": 3}
    of_market |= {"failed_by_reason": {"refused": 1}, "points_accepted": 3, "points_stored": 3, "backlog": 0}
    for report in (of_miners | {"tick_s": 2.5}, of_market | {"tick_s": 1.0}):
        told = msgspec.convert({**common, **report, "next_slot": slot + 60}, TickReport)
        (state / f"{told.lane}.json").write_bytes(msgspec.json.encode(told))
    standing = RequestStanding(source="coingecko", request="price", every_s=300, success_slot=slot - 60)
    refused = RequestStanding(
        source="coinmarketcap", request="listings", every_s=900, success_slot=slot - 7_200, failures_in_a_row=8,
        failure="refused", message="the key is wrong",
    )  # fmt: skip
    StandingsFile(state, "market").write([standing, refused])
    month = f"{datetime.fromtimestamp(now, UTC):%Y-%m}"
    spent = {"month": month, "total": 812.0, "credits": 10_000.0, "by_request": {"listings": 812.0}}
    (state / "coinmarketcap.credits.json").write_bytes(msgspec.json.encode(spent))
    with Lane.open(folder / "spool", "miners", cap_bytes=10**7) as lane:
        lane.append(batch("a", [f"a.{row}" for row in range(5)], slot - 60))
        lane.append(batch("b", [f"b.{row}" for row in range(3)], slot))
    sink = MemorySink()
    courier = Courier(
        folder / "spool" / "miners", sink, [sink.name], holder="test", random=lambda: 0.5, now=lambda: now, max_points=1
    )
    courier.attempt()
    sink.failures = [TryAgain("the store refused the connection")]
    courier.attempt()
    courier.close()


def frames(now: int) -> Iterator[list[Frame]]:
    """All of it, as of ``now``."""
    slot, stop = now // 60 * 60, now // HOUR * HOUR
    yield configuration_frames([configuration(slot - 600, name, model(name)) for name in MINERS])
    ticks = [slot - ago for ago in range(0, 6 * HOUR, 300) if not 7_200 <= ago < 9_000]  # a hole of half an hour
    then = [
        _with_weather(one) for tick in sorted(ticks)[:-1] for one in telemetry(tick, answering=tick < slot - 10_000)
    ]
    yield telemetry_frames([*then, *telemetry(slot)])
    yield [
        operational(stop),
        pool_hours(stop),
        money(stop),
        summary(stop),
        forecasts(stop),
        reconciled(stop),
        workers(stop),
    ]
    yield [*accounts(now), *market(now), *measured(now), *happened(now)]


def alert(rule: str, subject: str, level: Level, now: float, message: str) -> Alert:
    """One that fires for ten minutes."""
    return Alert(
        id=fingerprint(rule, subject), rule=rule, subject=subject, entity=subject, site=site(subject), rack="",
        within="", level=level, phase=Phase.FIRING, since=now - 600, seen=now, message=message, fired=now - 300,
    )  # fmt: skip


def tell_alerts(state: Path, now: float) -> None:
    """Three miners of hall-1 are hot, one has lost a board; channel ``mail`` took a message four minutes ago, ``sms``
    refuses, ``pager`` was never tried."""
    held = [alert("chip_too_hot", name, Level.CRITICAL, now, "chips at 96 °C") for name in ("s05", "s06", "s07")]
    held.append(alert("board_lost", "s02", Level.WARNING, now, "2 of 3 boards mine"))
    book = Book.open(state)
    with book.transaction():
        book.replace_alerts(held)
        book.note_look(Look(at=now))
    book.note_channel("mail", now - 240, None)
    book.note_channel("sms", now - 90_000, None)
    book.note_channel("sms", now - 100, "refused: no credit")
    book.close()


def stored(folder: Path, *written: list[Frame]) -> EmbeddedStore:
    """The store under ``folder`` with these frames in it."""
    lake = EmbeddedStore(folder / "lake")
    for one in written:
        lake.write(one)
    return lake


def fill(folder: Path, now: int) -> Path:
    """A data directory with all of it, and its configuration in the folder ``config``."""
    stored(folder, *frames(now)).close()
    (folder / "state").mkdir()
    tell_alerts(folder / "state", now)
    tell_ticks(folder, now)
    (folder / "config").mkdir()
    (folder / "config" / "data_collection_config.yaml").write_text(yaml.safe_dump(settings(), sort_keys=False))
    return folder


def settings() -> dict[str, Any]:
    return {
        "miners": [
            {"id": name, "ip": f"127.1.0.{number}", "model": model(name), "site": site(name)}
            | {"location": location(name), "polling_interval_seconds": 300}
            for number, name in enumerate(MINERS, start=1)
        ],
        "pools": [
            {"id": "f2", "kind": "f2pool", "account": "farm", "api_key": "none", "coins": ["bitcoin"]},
            {"id": "via", "kind": "viabtc", "account": "farm", "api_key": "none", "coins": ["bitcoin"]},
            {"id": "ltc", "kind": "litecoinpool", "account": "farm", "api_key": "none"},
        ],
        "market_data": {"coingecko": {"coins": ["bitcoin", "litecoin", "dogecoin"]}},
        "alerts": {"channels": [{"name": name, "url": "json://127.0.0.1:9/none"} for name in ("mail", "sms", "pager")]},
        "electricity": {"tariffs": [{"usd_per_kwh": 0.10}]},
    }
