"""How a miner behaves: pure functions of seed and Unix time, so that any instant can be asked for, in any order.

Whatever varies with time is a sum of sines with seeded phases. That is smooth as the real thing, needs no memory, and
has an integral in closed form: the hashes delivered between two instants are exact, not added up.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

DAY_S = 86_400.0

FAN_DUTY_MIN = 20.0
FAN_DUTY_MAX = 100.0
_FAN_STARTS_AT_C = 50.0
_FAN_GAIN = 4.0  # percent of duty for each degree above the start
_HEAT_RISE_C = 29.0  # chip above intake at nameplate power and full fans
_HOTTEST_C = 118.0
"""What throttling holds chips to where nothing cools them; the worst board is a few degrees hotter still."""
_WARM_UP_S = 90.0


@dataclass(frozen=True, slots=True)
class Ripple:
    """A small deviation over time, as a fraction: the sum of ``amplitude * sin(omega * t + phase)``."""

    terms: tuple[tuple[float, float, float], ...]

    def at(self, t: float) -> float:
        """The deviation at an instant."""
        deviation = 0.0
        for amplitude, omega, phase in self.terms:
            deviation += amplitude * math.sin(omega * t + phase)
        return deviation

    def antiderivative(self, t: float) -> float:
        """Whose difference between two instants is the area between them, in fraction-seconds."""
        value = 0.0
        for amplitude, omega, phase in self.terms:
            value -= amplitude / omega * math.cos(omega * t + phase)
        return value

    @property
    def bound(self) -> float:
        """The deviation is never greater than this."""
        return sum(amplitude for amplitude, _, _ in self.terms)


def ripple(dice: random.Random, *waves: tuple[float, float]) -> Ripple:
    """A ripple of waves ``(amplitude, period in seconds)``, their periods spread by a fifth: miners drift apart."""
    return Ripple(
        tuple(
            (amplitude, 2 * math.pi / (period * dice.uniform(0.8, 1.2)), dice.uniform(0, 2 * math.pi))
            for amplitude, period in waves
        )
    )


@dataclass(frozen=True, slots=True)
class Silicon:
    """What the lottery gave one board: the part of its ideal hashrate that it delivers, its heat, its errors."""

    efficiency: float
    hashrate_ripple: Ripple
    power_ripple: Ripple
    heat_factor: float
    errors_per_hour: float
    chips_red: int
    chips_orange: int

    def hashrate(self, ideal_hs: float, t: float) -> float:
        """H/s at an instant."""
        return ideal_hs * self.efficiency * (1 + self.hashrate_ripple.at(t))

    def even_seconds(self, start: float, end: float, ripple_at_start: float) -> float:
        """Seconds in which a board without ripple would deliver what this one does over ``[start, end]``.

        ``ripple_at_start`` is the ripple's antiderivative there, which a caller who asks for many ends keeps.
        """
        return end - start + self.hashrate_ripple.antiderivative(end) - ripple_at_start

    def hashes(self, ideal_hs: float, start: float, end: float) -> float:
        """Hashes delivered over ``[start, end]``: the exact integral of :meth:`hashrate`."""
        ripple_at_start = self.hashrate_ripple.antiderivative(start)
        return ideal_hs * self.efficiency * self.even_seconds(start, end, ripple_at_start)


def silicon(dice: random.Random) -> Silicon:
    """Draw a board."""
    return Silicon(
        efficiency=dice.uniform(0.965, 0.995),
        hashrate_ripple=ripple(dice, (0.006, 41), (0.005, 330), (0.004, 5_100)),
        power_ripple=ripple(dice, (0.003, 67), (0.004, 1_300)),
        heat_factor=dice.uniform(0.95, 1.05),
        errors_per_hour=dice.uniform(0.5, 12),
        chips_red=1 if dice.random() < 0.06 else 0,
        chips_orange=dice.randrange(2, 10),
    )


@dataclass(frozen=True, slots=True)
class Climate:
    """Air at a site: a daily course with its peak at 15:00 UTC, and weather that takes days. Degrees Celsius."""

    mean_c: float
    daily_c: float
    weather: Ripple

    def ambient(self, t: float) -> float:
        """Temperature of the air outside at an instant."""
        return self.mean_c + self.daily_c * math.cos(2 * math.pi * (t / DAY_S - 15 / 24)) + self.weather.at(t)


def climate(dice: random.Random) -> Climate:
    """Draw a site's climate: between about 9 and 41 degrees over a year."""
    return Climate(dice.uniform(22, 28), dice.uniform(5, 8), ripple(dice, (2.5, 5.3 * DAY_S), (1.5, 11 * DAY_S)))


@dataclass(frozen=True, slots=True)
class Cooling:
    """Where fan control and heat come to rest: duty in percent, and how far the chips are above the intake."""

    duty_percent: float
    rise_c: float


def cooling(
    intake_c: float, load: float, fans_running: float, obstruction: float = 1.0, stuck_percent: float | None = None
) -> Cooling:
    """Balance of heat and fans.

    The fans turn in proportion to how far the chips are above 50 degrees, the chips warm in proportion to load over air
    flow; the balance is the root of a quadratic. It rises with intake temperature, with load and with each lost fan.

    Args:
        intake_c: air at the intake.
        load: power over nameplate power.
        fans_running: fraction of the fans that turn; without any, a tenth of the air still moves.
        obstruction: 1 is free, 2 halves the air flow.
        stuck_percent: duty at which the fan control is stuck, None where it works.
    """
    heat = 100 * _HEAT_RISE_C * load * obstruction / max(fans_running, 0.1)
    if stuck_percent is not None:
        return Cooling(stuck_percent, min(heat / stuck_percent, _HOTTEST_C - intake_c))
    linear = _FAN_STARTS_AT_C - FAN_DUTY_MIN / _FAN_GAIN - intake_c
    duty = _FAN_GAIN / 2 * (math.sqrt(linear * linear + 4 * heat / _FAN_GAIN) - linear)
    duty = min(FAN_DUTY_MAX, max(FAN_DUTY_MIN, duty))
    return Cooling(duty, heat / duty)


def warm_up(seconds_hashing: float) -> float:
    """Fraction of its final heat that a miner has reached after so many seconds of work."""
    return 1 - math.exp(-max(0.0, seconds_hashing) / _WARM_UP_S)
