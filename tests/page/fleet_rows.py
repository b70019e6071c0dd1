"""A small fleet with known totals: three SHA-256 and two Scrypt miners, every condition that a row can have."""

from __future__ import annotations

from storage.frame import Frame
from storage.records.miner import (
    BoardReading,
    FanReading,
    Miner,
    MinerConfiguration,
    MinerErrorReading,
    MinerTelemetry,
    PoolReading,
    configuration_frames,
    telemetry_frames,
)

TH, GH = 1e12, 1e9
S19, L7 = "ANTMINER_S19", "ANTMINER_L7"


def miner(miner_id: str, model: str = S19) -> Miner:
    return Miner(miner_id=miner_id, model=model, site="hall-1")


def mining(
    time: int, miner_id: str, hashrate_hs: float, power_w: int, *, model: str = S19, state: str = "mining"
) -> MinerTelemetry:
    scale = 3
    return MinerTelemetry(
        time=time,
        miner=miner(miner_id, model),
        reachable=True,
        state=state,
        hashrate_hs=hashrate_hs,
        hashrate_nominal_hs=100 * TH if model == S19 else 10 * GH,
        power_w=power_w,
        efficiency_j_th=power_w / (hashrate_hs / TH) if hashrate_hs else None,
        ambient_temp_c=22.0,
        chip_temp_avg_c=64.0,
        chip_temp_max_c=71.0,
        fan_duty_percent=60.0,
        fans_running=4,
        boards_mining=3 if state == "mining" else 2,
        boards_expected=3,
        shares_accepted=1200,
        shares_rejected=3,
        uptime_s=86_000,
        error_count=0 if state == "mining" else 1,
        poll_ms=31.0,
        boards=tuple(
            BoardReading(
                board=str(n + 1),
                status="mining",
                hashrate_hs=hashrate_hs / scale,
                chip_temp_c=70.0 + n,
                voltage_v=13.25,
            )
            for n in range(scale)
        ),
        fans=tuple(FanReading(fan=str(n + 1), status="ok", speed_rpm=4800 + n) for n in range(4)),
        pools=(
            PoolReading(slot="0", status="active", is_fee=False, url="stratum+tcp://pool.example:3333", user="farm.a1"),
        ),
        errors=()
        if state == "mining"
        else (MinerErrorReading(code="B3", severity="critical", message="board 3 lost"),),
    )


def unreachable(time: int, miner_id: str, failure: str = "deadline") -> MinerTelemetry:
    return MinerTelemetry(time=time, miner=miner(miner_id), reachable=False, state="unreachable", failure=failure)


def configuration(time: int, miner_id: str, model: str = S19) -> MinerConfiguration:
    return MinerConfiguration(
        time=time,
        miner=miner(miner_id, model),
        ip_address="127.1.0.1",
        driver="vnish-rest",
        firmware_version="Vnish 1.2.6",
        algorithm="sha256d" if model == S19 else "scrypt",
    )


def fleet_at(time: int) -> list[MinerTelemetry]:
    """One tick. SHA-256: 95 + 60 TH/s, 3,000 + 2,200 W and one unreachable; Scrypt: 9 GH/s, 3,200 W and one paused."""
    return [
        mining(time, "a1", 95 * TH, 3000),
        mining(time, "a2", 60 * TH, 2200, state="degraded"),
        unreachable(time, "a3"),
        mining(time, "l1", 9 * GH, 3200, model=L7),
        mining(time, "l2", 0.0, 40, model=L7, state="paused"),
    ]


def frames_at(time: int) -> list[Frame]:
    return telemetry_frames(fleet_at(time))


def configurations_at(time: int) -> list[Frame]:
    return configuration_frames(
        [configuration(time, name, S19 if name.startswith("a") else L7) for name in ("a1", "a2", "a3", "l1", "l2")]
    )
