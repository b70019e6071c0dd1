"""Days of the simulated farm without its network: the physics of deployments/farm for all miners and times at once.

tests/derive/anomaly/test_farm_days.py holds it to what the farm itself says of single instants.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from deployments.farm import physics
from deployments.farm.farm import Farm
from deployments.farm.miner import _OVERHEATING_INTAKE_C, _OVERHEATING_OBSTRUCTION, SimulatedMiner
from storage.records.miner import Miner
from tasks.derive.anomaly.own_history import Floats


@dataclass(frozen=True, slots=True)
class Trouble:
    """A fault of one miner (by number) in ``[start, stop)``; board and fan faults concern the first of them."""

    miner: int
    kind: str
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Stretch:
    """Readings of all miners (miners x times) over a stretch; ``expected`` shares found since the stretch began."""

    hashrate_hs: Floats
    power_w: Floats
    chip_c: Floats
    boards_mining: Floats
    fans: Floats
    expected: Floats


class FarmDays:
    """``miners`` of a farm of ``seed``."""

    def __init__(self, miners: int, seed: int) -> None:
        farm = Farm(miners, seed=seed, port=1, restart_days=None)
        self.simulated: list[SimulatedMiner] = [farm._web(one.miner_id).miner for one in farm.miners]
        self.miners = [
            Miner(one.identity.miner_id, one.identity.variant.model.name, one.identity.site) for one in self.simulated
        ]
        most = max(one.model.boards for one in self.simulated)
        self.boards = np.array([one.model.boards for one in self.simulated])
        self.fans = np.array([one.model.fans for one in self.simulated])
        self.nominal_hs = np.array([one.preset.hashrate_hs for one in self.simulated])
        self.limit_w = np.array([float(one.preset.power_w) for one in self.simulated])
        self.refused = np.array([one.hashing.refused for one in self.simulated])
        self._plate_w = np.array([float(one.model.power_w) for one in self.simulated])
        self._shares = np.array([one._shares(1.0) for one in self.simulated])
        self._there = np.arange(most) < self.boards[:, None]
        parts = [[one.silicon[min(b, len(one.silicon) - 1)] for b in range(most)] for one in self.simulated]
        self._efficiency = np.array([[board.efficiency for board in row] for row in parts])
        self._factor = np.array([[board.heat_factor for board in row] for row in parts])
        self._rate = np.array([[board.hashrate_ripple.terms for board in row] for row in parts])
        self._watts = np.array([[board.power_ripple.terms for board in row] for row in parts])
        self._climates = [one._climate for one in self.simulated]
        self._offset = np.array([one._intake_offset_c for one in self.simulated])

    def over(self, times: Sequence[int] | Floats, troubles: Sequence[Trouble] = ()) -> Stretch:
        """Readings at ``times`` (Unix seconds, evenly spaced). ``lost_slowly`` takes a percent a day from its start."""
        at = np.asarray(times, dtype=np.float64)
        shape = (len(self.simulated), len(at))
        on = np.broadcast_to(self._there[:, :, None], (*self._there.shape, len(at))).copy()
        turning = np.ones(shape)
        hot = np.zeros(shape, dtype=bool)
        paused = np.zeros(shape, dtype=bool)
        slow = np.ones(shape)
        for one in troubles:
            within = (at >= one.start) & (at < one.stop)
            if one.kind == "board_lost":
                on[one.miner, 0, within] = False
            elif one.kind == "fan_lost":
                turning[one.miner, within] -= 1 / self.fans[one.miner]
            elif one.kind == "overheating":
                hot[one.miner] |= within
            elif one.kind == "paused":
                paused[one.miner] |= within
            elif one.kind == "lost_slowly":
                slow[one.miner, within] -= 0.01 * (at[within] - one.start) / physics.DAY_S
        on &= ~paused[:, None]
        ideal = self.nominal_hs / self.boards
        rates = on * (ideal[:, None] * self._efficiency)[:, :, None] * (1 + _ripples(self._rate, at))
        watts = np.round(on * (self.limit_w / self.boards)[:, None, None] * (1 + _ripples(self._watts, at)))
        hashrate, power = rates.sum(axis=1) * slow, watts.sum(axis=1)
        outside = {id(one): _ambient(one, at) for one in self._climates}
        intake = np.stack([outside[id(one)] for one in self._climates]) + self._offset[:, None]
        intake = np.where(hot, np.maximum(intake, _OVERHEATING_INTAKE_C), intake)
        rise = _rise(intake, power / self._plate_w[:, None], turning, np.where(hot, _OVERHEATING_OBSTRUCTION, 1.0))
        chips = np.where(on, intake[:, None] + rise[:, None] * self._factor[:, :, None], intake[:, None])
        chips[~self._there] = -np.inf
        step = float(at[1] - at[0]) if len(at) > 1 else 0.0
        return Stretch(
            hashrate_hs=hashrate,
            power_w=power,
            chip_c=chips.max(axis=1),
            boards_mining=on.sum(axis=1).astype(np.float64),
            fans=np.round(turning * self.fans[:, None]),
            expected=np.cumsum(hashrate, axis=1) * step * self._shares[:, None],
        )


def _ripples(terms: Floats, at: Floats) -> Floats:
    """Deviation of each board (miners x boards x terms x 3) at each time."""
    found = np.zeros((*terms.shape[:2], len(at)))
    for number in range(terms.shape[2]):
        amplitude, omega, phase = (terms[:, :, number, kind, None] for kind in range(3))
        found += amplitude * np.sin(omega * at + phase)
    return found


def _ambient(one: physics.Climate, at: Floats) -> Floats:
    weather = sum(amplitude * np.sin(omega * at + phase) for amplitude, omega, phase in one.weather.terms)
    daily = one.daily_c * np.cos(2 * math.pi * (at / physics.DAY_S - 15 / 24))
    return np.asarray(one.mean_c + daily + weather)


def _rise(intake: Floats, load: Floats, running: Floats, obstruction: Floats) -> Floats:
    """What physics.cooling says of the chips above the intake, for arrays."""
    heat = 100 * physics._HEAT_RISE_C * load * obstruction / np.maximum(running, 0.1)
    linear = physics._FAN_STARTS_AT_C - physics.FAN_DUTY_MIN / physics._FAN_GAIN - intake
    duty = physics._FAN_GAIN / 2 * (np.sqrt(linear * linear + 4 * heat / physics._FAN_GAIN) - linear)
    return np.asarray(heat / np.clip(duty, physics.FAN_DUTY_MIN, physics.FAN_DUTY_MAX))
