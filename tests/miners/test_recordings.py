"""Both versions' descriptions and a recorded Antminer S21 Pro (VNish 1.2.7), where the recordings are at hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tasks.miners.vnish_rest import VnishRest
from tasks.miners.vnish_rest.answers import Info, PerfSummary, Summary
from tests.miners.payloads import SLOT, Answers, target

RECORDINGS = Path(__file__).parents[3] / "shared" / "fixtures"

pytestmark = pytest.mark.skipif(
    not RECORDINGS.is_dir(), reason="the recorded payloads are not part of the project; compared only where they are"
)


def recorded(name: str) -> bytes:
    return (RECORDINGS / "vnish-1.2.7-s21pro" / "web" / f"{name}.json").read_bytes()


@pytest.fixture
def recording() -> Answers:
    return Answers({f"/api/v1/{name}": recorded(name) for name in ("info", "summary", "perf-summary")})


async def test_the_recorded_miner(recording: Answers) -> None:
    """Numbers read off the recording by hand."""
    session = VnishRest().session(target(), recording)
    record = await session.telemetry(SLOT)
    assert (record.state, record.quality_flags, record.uptime_s) == ("tuning", None, 6_900)
    assert record.hashrate_hs == pytest.approx(173.87094e12)
    assert record.hashrate_average_hs == pytest.approx(174.37475e12)
    assert record.hashrate_nominal_hs == pytest.approx(196.51717e12)
    assert (record.power_w, record.power_limit_w, record.voltage_v, record.frequency_mhz) == (2583, 2800, 13.0, 495.0)
    assert record.efficiency_j_th == pytest.approx(2583 / 173.87094)
    assert (record.chip_temp_max_c, record.pcb_temp_max_c) == (65.0, 50.0)
    assert record.chip_temp_avg_c == pytest.approx((65 + 64 + 64) / 3)
    assert (record.fan_duty_percent, record.fans_running, record.boards_mining, record.boards_expected) == (90, 4, 3, 3)
    assert (record.shares_accepted, record.shares_rejected, record.shares_stale) == (1599, 9, 0)
    assert (record.work_accepted_d1, record.last_share_age_s) == (159_888_384.0, 4.0)
    assert (record.hardware_errors, record.devfee_percent, record.error_count) == (57, 2.812, 0)
    assert [b.hashrate_hs for b in record.boards] == pytest.approx([60.79719e12, 57.766645e12, 55.3071e12])
    boards = [(b.board, b.status, b.pcb_temp_c, b.chip_temp_c, b.hardware_errors) for b in record.boards]
    assert boards == [
        ("1", "mining", 50.0, 65.0, 29),
        ("2", "mining", 49.0, 64.0, 20),
        ("3", "mining", 49.0, 64.0, 8),
    ]
    assert sum(b.hashrate_hs or 0 for b in record.boards) == pytest.approx(record.hashrate_hs)
    assert sum(b.power_w or 0 for b in record.boards) == record.power_w
    assert [f.speed_rpm for f in record.fans] == [5880, 5880, 5940, 5940]
    assert record.fans[0].speed_percent == pytest.approx(5880 / 65)
    pools = [(p.slot, p.status, p.is_fee, p.user, p.shares_accepted, p.difficulty, p.ping_ms) for p in record.pools]
    assert pools == [
        ("0", "active", False, "account.worker1", 1599, 262_144.0, 8.0),
        ("1", "working", False, "account.worker2", 0, None, None),
        ("2", "active", True, "DevFee", 224, 16_384.0, 49.0),
    ]
    settings = await session.configuration(SLOT)
    assert (settings.model_reported, settings.firmware_version) == ("Antminer S21 Pro", "Vnish 1.2.7")
    assert (settings.mac, settings.serial, settings.algorithm) == ("02005e100001", None, "sha256d")
    assert settings.overclock_profile == "2800 watt ~ 188 TH"


@pytest.mark.parametrize("version", ["1.2.7", "1.3.4"])
@pytest.mark.parametrize(("answer", "schema"), [(Info, "InfoJson"), (Summary, "Summary"), (PerfSummary, "PerfSummary")])
def test_every_field_that_is_read_is_in_the_vendors_description(version: str, answer: Any, schema: str) -> None:
    """``throttled`` alone came with 1.3."""
    schemas = json.loads((RECORDINGS / "vnish-openapi" / f"{version}.json").read_bytes())["components"]["schemas"]
    unknown = {path for path in _fields(answer) if not _described(schemas, schemas[schema], path.split("."))}
    assert unknown - ({"miner.miner_status.throttled"} if version == "1.2.7" else set()) == set()


def _fields(struct: Any) -> list[str]:
    import msgspec

    from tasks.miners.decode import _options

    found = []
    for field in msgspec.structs.fields(struct):
        inner = [
            option
            for hint in _options(field.type)
            for option in (getattr(hint, "__args__", None) or (hint,))
            if isinstance(option, type) and issubclass(option, msgspec.Struct)
        ]
        found += [f"{field.name}.{path}" for each in inner for path in _fields(each)] or [field.name]
    return found


def _described(schemas: dict[str, Any], schema: dict[str, Any], path: list[str]) -> bool:
    if "$ref" in schema:
        return _described(schemas, schemas[schema["$ref"].rsplit("/", 1)[1]], path)
    options = [*schema.get("allOf", []), *schema.get("oneOf", [])]
    if any(_described(schemas, option, path) for option in options):
        return True
    if not path:
        return not options
    if schema.get("type") == "array":
        return _described(schemas, schema["items"], path)
    inner = schema.get("properties", {}).get(path[0])
    return inner is not None and _described(schemas, inner, path[1:])


@pytest.mark.parametrize("cut", [1, 100, 1_000, 2_000])
def test_a_recording_cut_off_is_no_reading(cut: int) -> None:
    from tasks.miners.decode import decode
    from tasks.miners.driver import PollFailure

    with pytest.raises(PollFailure) as failure:
        decode(recorded("summary")[:-cut], Summary, set(), "/summary")
    assert failure.value.kind == "truncated"
