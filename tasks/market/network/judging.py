"""What a network is said to be, judged against itself, against what others say, and against the week before. Pure.

A value is kept as it was told; flags say why it is not to be trusted, and what is implausible is not used further on.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

import msgspec

from storage.records.market import NetworkData
from tasks.derive.network import network_hashrate_hs
from tasks.market.coins import COINS
from tasks.normalize.quality import Rule

WEEK_S = 7 * 86_400
NEW_ENOUGH_S = 2 * 3_600
"""What others said longer ago than this is not compared: Bitcoin's difficulty may have changed since."""
ENOUGH_SAMPLES = 8
"""Hours of a source's own past before it is judged by them."""

DISAGREE = {"network_hashrate_hs": 1.6, "network_difficulty": 1.3, "block_reward": 1.3}
"""Factor beyond which two values conflict. Hashrates are observed over windows of their makers' choice, a third off at
worst in a published sample; difficulty is a fact of the chain, but Dogecoin's moves with every block; a reward may have
fees in it. A wrong unit is a factor of 1,000."""
UNUSUAL = 3.0
"""Factor beyond which a value does not go with the median of its source's week. The reward of a block halves."""

IMPLAUSIBLE, CONFLICTING = "implausible", "conflicting"
RULES = (
    Rule(f"{IMPLAUSIBLE}:*", 0.3, f"{UNUSUAL:g} times off the median of what this source told in 7 days", "not used"),
    Rule(
        f"{CONFLICTING}:*", 0.7, "others tell it and none agrees, or the hashrate does not fit the difficulty", "kept"
    ),
)
_WEIGHTS = {rule.word.partition(":")[0]: rule.weight for rule in RULES}


class Sample(msgspec.Struct, frozen=True):
    """What a source said of a coin; the fields of a record that are compared."""

    source: str
    coin_id: str
    time: int
    network_hashrate_hs: float | None = None
    network_difficulty: float | None = None
    block_reward: float | None = None
    implausible: bool = False


def judge(told: NetworkData, past: Sequence[Sample]) -> NetworkData:
    """``told`` with quality and flags, each flag a word and the field that it is about.

    ``past``: samples of all sources, of times before ``told.time`` or equal; those of later times are passed over.

    ``conflicting``: the hashrate does not fit difficulty and block time, or others told the same and none agrees.
    ``implausible``: far from the median of what this source itself told of the coin in the last seven days.
    """
    samples = [one for one in past if one.coin_id == told.coin_id and one.time <= told.time]
    flags: set[str] = set()
    coin = COINS.get(told.coin_id)
    expected = network_hashrate_hs(
        told.mining_algorithm or "",
        told.network_difficulty,
        told.block_time_s or (coin.block_time_s if coin is not None else None),
    )
    if told.network_hashrate_hs and expected and _apart(told.network_hashrate_hs, expected) > DISAGREE[_HASHRATE]:
        flags.add(f"{CONFLICTING}:{_HASHRATE}")
    others = _newest_of_others(told, samples)
    own = [one for one in samples if one.source == told.source and told.time - WEEK_S <= one.time < told.time]
    for field, factor in DISAGREE.items():
        value = getattr(told, field)
        if value is None:
            continue
        said = [other for one in others if (other := getattr(one, field)) is not None]
        if said and all(_apart(value, other) > factor for other in said):
            flags.add(f"{CONFLICTING}:{field}")
        week = [before for one in own if (before := getattr(one, field)) is not None]
        if len(week) >= ENOUGH_SAMPLES and _apart(value, median(week)) > UNUSUAL:
            flags.add(f"{IMPLAUSIBLE}:{field}")
    quality = 1.0
    for word in sorted({flag.partition(":")[0] for flag in flags}):
        quality *= _WEIGHTS[word]
    return msgspec.structs.replace(
        told, quality=round(quality, 4), quality_flags=",".join(sorted(flags)) if flags else None
    )


def sample_of(judged: NetworkData) -> Sample:
    """What is remembered of a judged record."""
    return Sample(
        judged.source,
        judged.coin_id,
        judged.time,
        judged.network_hashrate_hs,
        judged.network_difficulty,
        judged.block_reward,
        IMPLAUSIBLE in (judged.quality_flags or ""),
    )


_HASHRATE = "network_hashrate_hs"


def _newest_of_others(told: NetworkData, samples: Sequence[Sample]) -> list[Sample]:
    newest: dict[str, Sample] = {}
    for one in samples:
        if one.source != told.source and told.time - one.time <= NEW_ENOUGH_S:
            held = newest.get(one.source)
            if held is None or held.time <= one.time:
                newest[one.source] = one
    return [one for one in newest.values() if not one.implausible]


def _apart(one: float, other: float) -> float:
    """How many times the larger is the smaller; both are positive."""
    return max(one / other, other / one)
