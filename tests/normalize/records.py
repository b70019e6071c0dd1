"""Records to be judged: a sound miner with easy numbers, and any record at all."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from storage.declaration.miner import MINER_STATES
from storage.records.miner import BoardReading, FanReading, Miner, MinerTelemetry, PoolReading
from tasks.normalize.history import History

SLOT = 1_800_000_000


def board(number: int, **over: Any) -> BoardReading:
    usual: dict[str, Any] = {
        "status": "mining", "hashrate_hs": 31e12, "hashrate_nominal_hs": 32e12, "pcb_temp_c": 50.0, "chip_temp_c": 62.0,
        "frequency_mhz": 545.0, "voltage_v": 13.2, "power_w": 1_050, "hardware_errors": 5, "chips_bad": 0,
    }  # fmt: skip
    return BoardReading(board=str(number), **(usual | over))


def fan(number: int, **over: Any) -> FanReading:
    usual: dict[str, Any] = {"status": "ok", "speed_rpm": 5_400, "speed_percent": 90.0}
    return FanReading(fan=str(number), **(usual | over))


def pool(number: int, **over: Any) -> PoolReading:
    usual: dict[str, Any] = {
        "status": "active", "is_fee": False, "url": "pool.invalid:3333", "user": "account.rig",
        "shares_accepted": 1_000, "shares_rejected": 3, "shares_stale": 1, "work_accepted_d1": 65_536_000.0,
        "difficulty": 65_536.0, "last_share_age_s": 4.0, "ping_ms": 20.0,
    }  # fmt: skip
    return PoolReading(slot=str(number), **(usual | over))


def sound(model: str = "ANTMINER_S19", **over: Any) -> MinerTelemetry:
    """An S19 that does 93 TH/s with three boards at 3,150 W."""
    usual: dict[str, Any] = {
        "time": SLOT, "reachable": True, "state": "mining", "hashrate_hs": 93e12, "hashrate_average_hs": 93.5e12,
        "hashrate_nominal_hs": 96e12, "power_w": 3_150, "efficiency_j_th": 3_150 / 93, "voltage_v": 13.2,
        "ambient_temp_c": 24.0, "chip_temp_avg_c": 62.0, "chip_temp_max_c": 62.0, "pcb_temp_max_c": 50.0,
        "fan_duty_percent": 90.0, "frequency_mhz": 545.0, "power_limit_w": 3_250, "shares_accepted": 1_000,
        "shares_rejected": 3, "shares_stale": 1, "work_accepted_d1": 65_536_000.0, "last_share_age_s": 4.0,
        "hardware_errors": 15, "uptime_s": 183_840, "devfee_percent": 2.8, "boards_mining": 3, "boards_expected": 3,
        "fans_running": 4, "error_count": 0, "poll_ms": 120.0, "boards": tuple(board(i) for i in (1, 2, 3)),
        "fans": tuple(fan(i) for i in range(4)), "pools": (pool(0),),
    }  # fmt: skip
    return MinerTelemetry(miner=Miner("miner_01", model, "north"), **(usual | over))


_floats = st.none() | st.floats() | st.sampled_from([0.0, 93e12, 93e9, 3e13, 62.0, 3.5])
_integers = st.none() | st.integers(-(2**63), 2**63 - 1) | st.integers(0, 5_000) | st.sampled_from([1_000, 183_840])
_MODELS = st.sampled_from(["ANTMINER_S19", "ANTMINER_L7", "no such machine"]) | st.text()
_WORDS = ["repaired", "unit_suspect", "stale", "unreadable:miner.x", "unheard_of", "", "counter_reset", "interpolated"]


def _any_of(cls: Any, **fixed: Any) -> st.SearchStrategy[Any]:
    """Any ``cls``: its float and integer fields hold anything, the others None or what ``fixed`` gives."""
    values = {}
    for name, hint in cls.__annotations__.items():
        if name in fixed:
            values[name] = fixed[name]
        elif "float" in hint:
            values[name] = _floats
        elif "int" in hint:
            values[name] = _integers
    return st.builds(cls, **values)


def records(models: st.SearchStrategy[str] = _MODELS) -> st.SearchStrategy[MinerTelemetry]:
    """Any record that fits the types."""
    slots = st.integers(SLOT - 300, SLOT + 300) | st.integers(0, 2**40)
    boards = st.lists(
        _any_of(BoardReading, board=st.just("1"), status=st.sampled_from(["mining", "stopped", None])), max_size=4
    )
    fans = st.lists(_any_of(FanReading, fan=st.just("0"), status=st.none()), max_size=3)
    pools = st.lists(_any_of(PoolReading, slot=st.just("0"), status=st.none(), is_fee=st.none()), max_size=3)
    return _any_of(
        MinerTelemetry,
        time=slots,
        miner=st.builds(Miner, st.just("miner_01"), models, st.just("")),
        reachable=st.booleans(),
        state=st.sampled_from(MINER_STATES),
        failure=st.none(),
        quality=st.none(),
        quality_flags=st.none() | st.lists(st.sampled_from(_WORDS)).map(",".join),
        boards=boards.map(tuple),
        fans=fans.map(tuple),
        pools=pools.map(tuple),
        errors=st.just(()),
    )


def histories() -> st.SearchStrategy[History | None]:
    """Histories that earlier polls may have left."""
    names = st.sampled_from(["uptime_s", "shares_accepted", "work_accepted_d1", "something_of_another_version"])
    return st.none() | st.builds(
        History,
        time=st.integers(SLOT - 300, SLOT + 300),
        counters=st.dictionaries(names, st.floats(0, 1e15)),
        moving=st.lists(st.none() | st.floats(0, 1e15)).map(tuple),
        same_since=st.integers(0, SLOT),
        same_polls=st.integers(0, 5),
        verdicts=st.lists(st.sampled_from(["stale", "counter_reset"]), unique=True).map(tuple),
        noticed=st.none() | st.just("no such machine"),
    )
