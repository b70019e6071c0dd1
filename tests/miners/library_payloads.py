"""Readings as pyasic-rs 0.8.6 gives them, of a machine that is not in the farm."""

from __future__ import annotations

from typing import Any

SLOT = 1_795_580_940


def rate(value: float, unit: str = "TH/s", algo: str = "SHA256") -> dict[str, Any]:
    return {"value": value, "unit": unit, "algo": algo}


def board(position: int, value: float = 38.0, **more: Any) -> dict[str, Any]:
    return {
        "position": position, "hashrate": rate(value), "expected_hashrate": rate(40.0), "board_temperature": 61.5,
        "inlet_chip_temperature": 60.0, "outlet_chip_temperature": 78.0, "voltage": 13.2, "frequency": 545.0,
        "active": True, "chips": [], "serial_number": None, **more,
    }  # fmt: skip


def pool(position: int, url: str, user: str, last: int | None, **more: Any) -> dict[str, Any]:
    return {
        "position": position, "url": url, "user": user, "accepted_shares": 100 * (position + 1),
        "rejected_shares": position, "last_share_time": last, "active": True, "alive": True, **more,
    }  # fmt: skip


def library_reading(**more: Any) -> dict[str, Any]:
    return {
        "timestamp": SLOT, "mac": "02:00:5E:10:00:01", "serial_number": "N/A", "firmware_version": "20230911.12",
        "device_info": {"make": "WhatsMiner", "model": "M50", "firmware": "Stock", "algo": "SHA256"},
        "expected_hashboards": 3, "hashboards": [board(0), board(1), board(2)], "hashrate": rate(114.0),
        "expected_hashrate": rate(999.0),
        "fans": [{"position": 0, "rpm": 5940.000000000001}, {"position": 1, "rpm": 0}],
        "wattage": 3306.0, "efficiency": 1.0, "messages": [], "uptime": 93784.0, "is_mining": True,
        "operating_state": None,
        "pools": [{"name": "", "quota": 1, "pools": [
            pool(0, "stratum+tcp://pool.invalid:3333", "site.worker", SLOT - 7),
            pool(1, "stratum+tcp://spare.invalid:3333", "site.worker", SLOT - 4_000),
            pool(2, "stratum+tcp://DevFee:80", "DevFee", SLOT - 3),
        ]}],
        **more,
    }  # fmt: skip
