"""A host as its kernel tells it: files of a Raspberry Pi, of a container, of a board that tells nothing."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tasks.health.host import TICK_S, Clock, HostState, kernel_clock, look

GIB = 2**30
# As proc(5) has them: user nice system idle iowait irq softirq steal guest guest_nice; guests are in user already.
STAT = "cpu  100 10 50 800 30 5 5 0 40 0\ncpu0 1 1 1 1 1 1 1 1 1 1\nintr 5\n"
MEMINFO = (
    "MemTotal:        3884364 kB\nMemFree:  100 kB\nMemAvailable:     971091 kB\nHugePages_Total:       0\n"
    "SwapTotal:        102396 kB\nSwapFree:          2396 kB\n"
)
PI = {
    "proc/stat": STAT,
    "proc/meminfo": MEMINFO,
    "proc/uptime": "12345.67 40000.00\n",
    "sys/class/thermal/thermal_zone0/temp": "84250\n",
    "sys/class/thermal/thermal_zone1/temp": "32767000\n",  # a broken sensor
    "sys/devices/platform/soc/soc:firmware/get_throttled": "50005\n",
}
FIRMWARE = "sys/devices/platform/soc/soc:firmware/get_throttled"


def seen(tmp_path: Path, files: Mapping[str, str], clock: Clock | str = "not_asked") -> HostState:
    for name, content in files.items():
        file = tmp_path / "root" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    return look(tmp_path / "data", root=tmp_path / "root", clock=lambda: clock)


def test_a_raspberry_pi_that_is_hot_and_badly_supplied(tmp_path: Path) -> None:
    state = seen(tmp_path, PI, Clock(synchronised=True, error_s=0.02))
    assert state.temperature_c == 84.25, "and not what a broken sensor tells"
    assert (state.throttled, state.under_voltage) == (True, True)
    assert state.cpu is not None
    assert state.cpu.busy_s == pytest.approx(170 * TICK_S), "idle and waiting for the disk are not busy"
    assert state.cpu.whole_s == pytest.approx(1000 * TICK_S)
    assert (state.memory_total, state.memory_available) == (3884364 * 1024, 971091 * 1024)
    assert state.swap_used == 100_000 * 1024
    assert state.uptime_s == 12345
    assert state.clock == Clock(synchronised=True, error_s=0.02)
    assert dict(state.reasons) == {}
    assert 0 < state.disk_free <= state.disk_total


@pytest.mark.parametrize(
    ("bits", "throttled", "under_voltage"),
    [
        ("0", False, False),
        ("50000", False, False),  # both happened since the start, neither now
        ("1", False, True),
        ("2", True, False),  # the clock is capped
        ("4", True, False),
        ("8", True, False),  # the soft limit of temperature
        ("0x5", True, True),
    ],
)
def test_what_the_firmware_tells(tmp_path: Path, bits: str, throttled: bool, under_voltage: bool) -> None:
    state = seen(tmp_path, {**PI, FIRMWARE: bits})
    assert (state.throttled, state.under_voltage) == (throttled, under_voltage)


def test_other_boards_tell_it_by_cooling_devices_and_monitors(tmp_path: Path) -> None:
    files = {name: content for name, content in PI.items() if name != FIRMWARE}
    files |= {
        "sys/class/thermal/cooling_device0/type": "thermal-cpufreq-0\n",
        "sys/class/thermal/cooling_device0/cur_state": "0\n",
        "sys/class/thermal/cooling_device1/type": "pwm-fan\n",
        "sys/class/thermal/cooling_device1/cur_state": "4\n",
        "sys/class/hwmon/hwmon1/name": "rpi_volt\n",
        "sys/class/hwmon/hwmon1/in0_lcrit_alarm": "1\n",
    }
    state = seen(tmp_path, files)
    assert (state.throttled, state.under_voltage) == (False, True), "a fan that turns slows nothing down"
    files["sys/class/thermal/cooling_device0/cur_state"] = "2\n"
    assert seen(tmp_path, files).throttled is True


@pytest.mark.parametrize(
    ("limit", "total", "available"),
    [
        # 1 GiB, of which 0.75 GiB are used; 0.25 GiB of that are files that can be dropped
        (str(GIB), GIB, GIB // 2),
        ("max", 3884364 * 1024, 971091 * 1024),
        (str(64 * GIB), 3884364 * 1024, 971091 * 1024),
    ],
)
def test_a_container_has_the_memory_of_its_limit(tmp_path: Path, limit: str, total: int, available: int) -> None:
    group = {
        "sys/fs/cgroup/memory.max": f"{limit}\n",
        "sys/fs/cgroup/memory.current": f"{3 * GIB // 4}\n",
        "sys/fs/cgroup/memory.stat": f"anon 5\ninactive_file {GIB // 4}\nactive_file 7\n",
    }
    state = seen(tmp_path, {**PI, **group})
    assert (state.memory_total, state.memory_available) == (total, available)


def test_what_is_not_told_is_null_with_a_reason(tmp_path: Path) -> None:
    state = seen(tmp_path, {}, "not_allowed")
    assert state.cpus >= 1
    assert state.load_1m >= 0
    for name in ("cpu", "memory_total", "memory_available", "temperature_c", "throttled", "uptime_s", "clock"):
        assert getattr(state, name) is None, name
    assert dict(state.reasons) == {
        "cpu": "no_proc", "memory": "no_proc", "uptime_s": "no_proc", "temperature_c": "no_sensor",
        "throttled": "no_sensor", "under_voltage": "no_sensor", "clock": "not_allowed",
    }  # fmt: skip


def test_what_a_driver_writes_that_is_no_number_ends_nobody(tmp_path: Path) -> None:
    """The thread that looks would be gone, and the host silent until the next shift."""
    odd = {
        "proc/meminfo": "MemTotal: 100 kB\nMemFree:\nnonsense\n",
        "sys/class/thermal/thermal_zone0/temp": "\n",
        FIRMWARE: "unknown\n",
        "sys/class/thermal/cooling_device0/type": "thermal-cpufreq-0\n",
        "sys/class/thermal/cooling_device0/cur_state": "n/a\n",
    }
    state = seen(tmp_path, {**PI, **odd})
    assert (state.memory_total, state.memory_available, state.swap_used) == (None, None, None)
    assert (state.temperature_c, state.throttled, state.under_voltage) == (None, None, None)
    assert state.reasons["memory"] == "not_told"


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's clock is asked on Linux only")
def test_the_kernel_is_asked_for_the_clock() -> None:
    told = kernel_clock()
    if isinstance(told, str):
        assert told == "not_allowed"
    else:
        assert 0 <= told.error_s <= 3_600, "microseconds, read at the right place of the structure"


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is there on Linux only")
def test_this_very_host(tmp_path: Path) -> None:
    state = look(tmp_path)
    assert state.memory_total is not None
    assert state.memory_total <= os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert state.cpu is not None
    assert 0 < state.cpu.busy_s < state.cpu.whole_s
