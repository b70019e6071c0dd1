"""Words of ``quality_flags`` and what each costs. The table below is the declaration; docs/quality.md is made from it.

The score of a record is the product of the weights of its flags, each word once, times the share of the expected fields
that are there, of those that its make can tell. An unreachable miner has 0: nothing was read. Words that no rule knows
cost what an unnamed one costs.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import attrgetter

from storage.records.miner import MinerTelemetry


@dataclass(frozen=True, slots=True)
class Rule:
    """One word. It ends in ``*`` where something follows: a field, a place in the answer. ``weight`` is 0 to 1."""

    word: str
    weight: float
    meaning: str
    value: str


RULES = (
    Rule("impossible:*", 0.8, "no miner can report this: negative, not a number, a chip at 200 degrees", "dropped"),
    Rule("implausible:*", 0.7, "over twice what the machine can do, or too little power for its hashrate", "dropped"),
    Rule("unit_suspect", 0.5, "a hundred times or more from what the machine can do: the unit is wrong", "dropped"),
    Rule("unit_unknown", 0.6, "the miner did not say the unit of its hashrates", "dropped"),
    Rule("model_suspect", 0.8, "the preset promises more than twice the nameplate of the configured model", "kept"),
    Rule("conflicting:hashrate_hs", 0.7, "boards and total differ by more than a fifth", "kept"),
    Rule("conflicting:efficiency_j_th", 0.9, "reported and worked-out efficiency differ by over 5 %", "worked out"),
    Rule("stale", 0.2, "the miner repeats itself to the last digit, uptime and counters too", "measured ones dropped"),
    Rule("counter_reset", 0.9, "a counter fell, or the miner restarted since it was last read", "kept"),
    Rule("duplicate", 1.0, "a second answer in the same slot, which replaces the first", "kept"),
    Rule("interpolated", 0.5, "worked out from the neighbours in time by a reader; never stored", "worked out"),
    Rule("backfilled", 0.5, "remembered by the miner itself, read after an outage of the collector", "kept"),
    Rule("repaired", 0.9, "the answer was not valid JSON and was mended", "kept"),
    Rule("unreadable:*", 0.9, "a part of the answer was not what it should be", "dropped"),
    Rule("state_unknown", 0.9, "the firmware's word for its state is not known", "guessed from the hashrate"),
    Rule("duplicate_board", 0.9, "two boards with one number", "the later dropped"),
    Rule("duplicate_fan", 0.9, "two fans with one number", "the later dropped"),
    Rule("duplicate_pool", 0.9, "two pools with one number", "the later dropped"),
    Rule("duplicate_error", 1.0, "two errors with one code", "the later dropped"),
    Rule("no_*", 0.9, "a secondary request had no usable answer", "null"),
)  # fmt: skip

UNNAMED_WEIGHT = 0.9

EXPECTED = {
    "hashrate_hs": 0.4,
    "power_w": 0.1,
    "chip_temp_max_c": 0.1,
    "shares_accepted": 0.1,
    "uptime_s": 0.1,
    "boards_mining": 0.1,
    "fans_running": 0.1,
}
"""Fields that a running miner should give, and their share of a whole reading. Sums to one; what a make cannot tell is
left out, and the others count for more (MinerTelemetry.cannot_tell)."""

_RUNNING = frozenset({"mining", "degraded", "tuning"})
_expected = attrgetter(*EXPECTED)
_EXACT = {rule.word: rule for rule in RULES if not rule.word.endswith("*")}
_OPEN = tuple((rule.word[:-1], rule) for rule in RULES if rule.word.endswith("*"))


@lru_cache(maxsize=4_096)
def rule_of(flag: str) -> Rule | None:
    """The rule that ``flag`` falls under; None for a word that is not declared."""
    found = _EXACT.get(flag)
    return found or next((rule for start, rule in _OPEN if len(flag) > len(start) and flag.startswith(start)), None)


def score(record: MinerTelemetry, flags: Iterable[str]) -> float:
    """Quality of ``record`` with ``flags``, 0 to 1."""
    if not record.reachable:
        return 0.0
    found = 1.0
    for rule in dict.fromkeys(map(rule_of, sorted(flags))):
        found *= UNNAMED_WEIGHT if rule is None else rule.weight
    if record.state in _RUNNING:
        values = _expected(record)
        if None in values:
            found *= _share_told(values, record.cannot_tell)
    return round(found, 4)


def _share_told(values: Sequence[object], cannot_tell: Container[str]) -> float:
    told = able = 0.0
    for (name, share), value in zip(EXPECTED.items(), values, strict=True):
        if value is not None:
            told += share
        if value is not None or name not in cannot_tell:
            able += share
    return told / able if able else 1.0
