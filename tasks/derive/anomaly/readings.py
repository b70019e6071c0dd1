"""What the tests of oddness look at: readings of many miners at one time, and what is usual of each. Arrays, no I/O."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.derive.anomaly.own_history import Floats

Bools = NDArray[np.bool_]
Whole = NDArray[np.int64]

SIGNALS = ("hashrate", "temperature", "power", "shares")
"""What a score is given for."""
HASHRATE, TEMPERATURE, POWER, SHARES = range(4)
VALUES = 3
"""The first three signals are values; shares are counted."""
STEPS = (0.0, 1.0, 0.0)
"""Resolution of their sensors: ratio, degrees Celsius, ratio."""
SETTLES_S = 900
"""A miner that started so many seconds ago, or was paused, stopped or off by hand until then, has not settled: it warms
up and tunes."""


@dataclass(frozen=True, slots=True)
class Readings:
    """Miners at one time; the last axis is the miner, NaN is *not known*.

    ``values`` (3 x miners): hashrate and power as a ratio to the ``reference`` (2 x miners, H/s and W: what the preset
    promises where the miner says so, so that another preset is no anomaly), hottest chip in degrees Celsius.
    ``accepted`` and ``refused`` are shares of the last hour; ``whole_hour``: it was seen to hash in all of it.
    ``still`` counts readings in a row with the same hashrate. ``unit_wrong``: the hashrate was not believable for its
    unit. ``working``: the miner answered, is meant to hash and has settled; of others nothing is said. ``group``: one
    number for each model, preset and site.
    """

    working: Bools
    values: Floats
    reference: Floats
    boards_lost: Floats
    fans: Floats
    other_pool: Bools
    accepted: Floats
    refused: Floats
    whole_hour: Bools
    still: Whole
    unit_wrong: Bools
    group: Whole

    def __len__(self) -> int:
        return int(self.working.shape[0])


@dataclass(frozen=True, slots=True)
class Usual:
    """What is usual of the same miners. ``middle`` and ``spread`` (3 x miners) are median and floored MAD of the values
    before, NaN where too few are known. ``accepted``, ``refused``: shares of an hour. ``fans`` turn, ``boards_lost``
    are missing, of late. ``known`` (3 x miners): the size of z that happened of late and is over, so is no news."""

    middle: Floats
    spread: Floats
    fans: Floats
    boards_lost: Floats
    accepted: Floats
    refused: Floats
    known: Floats


def preset_group(kinds: Whole, nominal_hs: Floats) -> Whole:
    """One number for each kind (model and site) and each hashrate that a preset promises, to a percent."""
    rates = np.where(nominal_hs > 0, nominal_hs, 1.0)
    return np.asarray(kinds * 100_000 + np.round(100 * np.log(rates)).astype(np.int64))
