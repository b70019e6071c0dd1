"""A day of readings, money, pools and matches in the embedded store, and the facts that they are; advised once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from storage.downsample.run import GRACE_S, roll_up
from storage.frame import Frame, build_frame
from storage.lake.store import EmbeddedStore
from tasks.derive.fleet import Fleet
from tasks.derive.opportunities.advising import AdviceReport, advise
from tasks.derive.opportunities.facts import Facts
from tasks.derive.opportunities.gathering import gather
from tasks.derive.opportunities.latest import latest
from tasks.derive.settings import ElectricitySettings
from tests.derive.test_operations import arrive

HOUR = 3_600
END = 1_795_478_400  # a midnight of UTC
HOURS = 8
"""Of the day the last eight have readings."""
START = END - HOURS * HOUR
TH = 1e12
FLEET = Fleet(
    {"a": ("S19", "hall"), "silent": ("S19", "elsewhere")},
    ElectricitySettings.model_validate({"tariffs": [{"sites": ["hall"], "usd_per_kwh": 0.05}]}),
    devfee_percent={"a": 2.0},
)
TAGS = {"miner_id": "a", "model": "S19", "site": "hall"}


def frame(name: str, times: list[int], **columns: Any) -> Frame:
    """Rows at ``times``; what is no list is the same in all."""
    wide = {key: value if isinstance(value, list) else [value] * len(times) for key, value in columns.items()}
    return build_frame(name, times, wide)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedStore]:
    store = EmbeddedStore(tmp_path_factory.mktemp("advice") / "lake")
    times = list(range(START, END, 1_200))
    hours = list(range(START, END, HOUR))
    # the fan stands in the last three hours
    fan = ["lost" if at >= END - 3 * HOUR else "ok" for at in times]
    arrive(
        store,
        [
            frame(
                "miner_telemetry", times, **TAGS, reachable=True, state="mining", hashrate_hs=90 * TH,
                hashrate_nominal_hs=100 * TH, power_w=3_000, chip_temp_max_c=70.0, fan_duty_percent=80.0,
                boards_expected=3, power_limit_w=3_000,
            ),
            frame("miner_fan", times, **TAGS, fan="1", status=fan, speed_rpm=0),
            frame("miner_fan", times, **TAGS, fan="2", status="ok", speed_rpm=6_000),
            frame("miner_board", times, **TAGS, board="1", status="mining"),
        ],
    )  # fmt: skip
    roll_up(store, END + GRACE_S, measurements=["miner_telemetry", "miner_fan", "miner_board"])
    store.write(
        [
            # 90 TH/s x 0.06 USD a day / 24 = 0.225 USD an hour
            frame("financial_metrics", hours, miner_id="a", time_period="1h", revenue=0.225),
            frame(
                "mining_profitability", hours, algorithm="sha256d", coins="bitcoin", source="mempool.space",
                usd_th_day=0.06, by_coin="bitcoin=0.06", quality_flags="",
            ),
            frame("pool_profitability", hours, pool_id="here", algorithm="sha256d", per_hash_rate_usd_th_day=0.06),
            frame(
                "pool_profitability", hours, pool_id="there", algorithm="sha256d", per_hash_rate_usd_th_day=0.08,
                fee_ratio=0.5,
            ),
            frame(
                "pool_profitability", hours, pool_id="odd", algorithm="sha256d", per_hash_rate_usd_th_day=9.0,
                quality_flags="unit_suspect",
            ),
            frame("worker_match", hours[:-1], pool_id="here", worker_id="acc.a", miner_id="a", status="matched"),
            frame(
                "worker_match", hours[-1:], pool_id="other", worker_id="acc.a", miner_id="a", status="wrong_pool",
                reason="expected here",
            ),
            frame(
                "pool_payout", [END - HOUR], pool_id="other", coin_id="bitcoin", kind="credited", reference="1",
                amount=0.1,
            ),
        ]
    )  # fmt: skip
    yield store
    store.close()


def test_the_facts_of_a_day(store: EmbeddedStore) -> None:
    facts, silent = gather(store, FLEET, END)
    assert (facts.hours, facts.algorithm, facts.boards_expected, facts.power_limit_w) == (8, "sha256d", 3, 3_000)
    assert facts.hashrate_hs == pytest.approx(90 * TH, rel=1e-4)
    assert facts.nominal_hs == pytest.approx(100 * TH, rel=1e-4)
    assert facts.power_w == pytest.approx(3_000)
    assert facts.usd_th_day == pytest.approx(0.06, rel=1e-4)
    assert facts.kept == pytest.approx(0.98)
    assert facts.tariff == (0.05,) * 24
    assert (facts.lost_fans, facts.fan_hours, facts.lost_boards) == ({"1": 3}, 8, {})
    assert facts.coins == "bitcoin"
    assert facts.coin_pays["bitcoin"].by_coin == {"bitcoin": pytest.approx(0.06)}
    pays: dict[str, Any] = {pool: (pay.usd_th_day, pay.hours) for pool, pay in facts.pool_pays.items()}
    # the other pool keeps half of what it pays, and an estimate that is suspect counts for nothing
    assert pays == {"here": (pytest.approx(0.06), 8), "there": (pytest.approx(0.04), 8)}
    assert (facts.pool_id, facts.worker_status, facts.worker_hours) == ("other", "wrong_pool", 1)
    assert facts.credited_coins == {"bitcoin"}
    (record,) = facts.presets
    assert (record.power_limit_w, record.hours, record.miners) == (3_000, 8, 1)
    assert record.efficiency_j_th == pytest.approx(3_000 / 90, rel=1e-4)
    # the other miner was never heard of, and no tariff holds where it stands
    assert silent == Facts(
        miner_id="silent", model="S19", algorithm="sha256d", plate_hs=95 * TH, presets=(record,), coins="bitcoin",
        coin_pays=facts.coin_pays, pool_pays=facts.pool_pays,
    )  # fmt: skip


def test_an_empty_store_has_no_facts(tmp_path: Path) -> None:
    facts, _ = gather(EmbeddedStore(tmp_path), FLEET, END)
    assert (facts.hours, facts.hashrate_hs, facts.usd_th_day, facts.worker_status) == (0, None, None, None)


def test_advised_twice_is_advised_once_and_what_brings_most_comes_first(store: EmbeddedStore) -> None:
    assert advise(store, FLEET, END + 60) == AdviceReport(opened=2)
    assert advise(store, FLEET, END + 3_000) == AdviceReport()
    shown = latest(store, END + 60, None, ended=False, least_usd_day=0.0).to_pylist()
    # its work goes to another pool: 90 x 0.06; the fan: 10 TH/s short of the preset, 0.6
    assert [(row["type"], row["subject"]) for row in shown] == [("worker", "wrong_pool"), ("fan", "fan 1")]
    assert [row["potential_impact_usd_day"] for row in shown] == pytest.approx([5.4, 0.6], rel=1e-3)
    assert latest(store, END + 60, None, ended=False, least_usd_day=1.0).num_rows == 1
    assert latest(store, END + 60, ["silent"], ended=True, least_usd_day=0.0).num_rows == 0


def test_hours_off_on_purpose_are_no_facts(tmp_path: Path) -> None:
    """Eight hours of 90 TH/s. In the fifth it is paused by itself for half of it, in the last it is in maintenance for
    two minutes, with its fans out and at another pool. a then has no lost fan, and six hours."""
    store = EmbeddedStore(tmp_path / "lake")
    times = list(range(START, END, 600))
    paused = [START + 4 * HOUR <= at < START + 4 * HOUR + 1_800 for at in times]
    last = [at >= END - HOUR for at in times]
    rates = [0.0 if off else 10 * TH if work else 90 * TH for off, work in zip(paused, last, strict=True)]
    arrive(
        store,
        [
            frame(
                "miner_telemetry", times, **TAGS, reachable=True, power_w=[50 if off else 3_000 for off in paused],
                state=["paused" if off else "mining" for off in paused], hashrate_nominal_hs=100 * TH,
                hashrate_hs=rates,
            ),
            frame("miner_fan", times, **TAGS, fan="1", status=["lost" if work else "ok" for work in last]),
        ],
    )  # fmt: skip
    roll_up(store, END + GRACE_S, measurements=["miner_telemetry", "miner_fan"])
    hours = list(range(START, END, HOUR))
    status = ["matched"] * 7 + ["wrong_pool"]
    store.write([frame("worker_match", hours, pool_id="here", worker_id="acc.a", miner_id="a", status=status)])
    hand = {"miner_id": "a", "subject": "miner", "severity": "info"}
    began = "maintenance by hand until 04:00 UTC by ana: fan swap"
    store.write(
        [
            frame("miner_event", [END - 1_800], **hand, kind="override_began", new=began),
            frame("miner_event", [END - 1_680], **hand, kind="override_ended"),
        ]
    )
    facts, _ = gather(store, FLEET, END)
    assert (facts.hours, facts.fan_hours, facts.lost_fans) == (6, 6, {})
    assert facts.hashrate_hs == pytest.approx(90 * TH, rel=1e-4)
    assert facts.power_w == pytest.approx(3_000)
    assert (facts.idle_hours, facts.worker_status, facts.worker_hours) == (0, "matched", 6)
    store.close()
