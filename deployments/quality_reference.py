"""docs/quality.md, made from the rules: ``python -m deployments.quality_reference``."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from textwrap import fill

from deployments.markdown import markdown_table
from tasks.market.network.judging import DISAGREE, ENOUGH_SAMPLES, NEW_ENOUGH_S
from tasks.market.network.judging import RULES as NETWORK_RULES
from tasks.market.reconciliation import PRIORITY, STALE
from tasks.market.reconciliation import RULES as PRICE_RULES
from tasks.normalize.consistency import BOARDS_TOLERANCE, EFFICIENCY_TOLERANCE
from tasks.normalize.history import COUNTERS, GAUGES, STALE_POLLS, STALE_S
from tasks.normalize.interpolation import FIELDS, LONGEST_GAP
from tasks.normalize.limits import BOARD_LIMITS, FAN_LIMITS, MINER_LIMITS, POOL_LIMITS, Limits
from tasks.normalize.nameplates import NAMEPLATES
from tasks.normalize.plausible import MOST_RATIO, UNIT_RATIO
from tasks.normalize.quality import EXPECTED, RULES, UNNAMED_WEIGHT, Rule
from tasks.pools.judging import RULES as WORKER_RULES
from tasks.pools.litecoinpool import SAMPLE_TOLERANCE
from tasks.pools.price_guard import FACTOR as PRICE_FACTOR
from tasks.pools.price_guard import UNIT_SUSPECT

DOCUMENT = Path(__file__).parent.parent / "docs" / "quality.md"


def quality_reference() -> str:
    """The whole document."""
    return "\n".join(
        [
            _introduction(),
            _words(),
            _expected(),
            _comparisons(),
            _limits(),
            _nameplates(),
            _pools(),
            _prices(),
            _networks(),
        ]
    )


def _introduction() -> str:
    return """# Quality of readings

Made from the rules by `python -m deployments.quality_reference`; a test fails when it is stale. First miners
(`tasks/normalize`), then what [pools](#pools), [providers of prices](#prices) and [explorers](#networks) tell.

Every record of a miner is judged before it is stored (`tasks/normalize/judging.py`). A value is either kept as it was
read or dropped, which leaves a null; it is never replaced by zero, by the value before or by a guess. The reason stays
on the record in `quality_flags`, and `quality` says how much of it can be relied on. The answer of the miner itself is
kept in the lake as long as raw payloads are, so that nothing is lost by dropping.
"""


def _words() -> str:
    return (
        "## Words of quality_flags\n\n"
        "`*` stands for a field (`impossible:power_w`, `impossible:boards.chip_temp_c`) or for a place in the answer.\n"
        "A field that was worked out of a dropped one is dropped with it.\n\n" + _table(RULES)
    )


def _table(rules: Iterable[Rule]) -> str:
    rows = [(f"`{rule.word}`", rule.meaning, rule.value, f"{rule.weight:g}") for rule in rules]
    return markdown_table(("word", "meaning", "value", "weight"), rows)


def _expected() -> str:
    rows = [(f"`{name}`", f"{share:g}") for name, share in EXPECTED.items()]
    text = f"""`quality` is the product of the weights of all words on the record, each once ({UNNAMED_WEIGHT:g} for a
        word that is not in the table), times the share of the expected fields that are there. A miner that runs is
        expected to give the fields below, but for what its make cannot tell: Bitmain's own firmware knows no power. One
        that is paused, stopped or starting need not. A miner that did not answer has quality 0. What a miner remembers
        of an outage of the collector is judged as a poll is, by the fields that a history has."""
    return f"## Score\n\n{_wrapped(text)}\n\n" + markdown_table(("field", "share of a whole reading"), rows)


def _comparisons() -> str:
    points = (
        f"""**Nameplate.** Hashrate and power of more than {MOST_RATIO:g} times the nameplate are `implausible`; from
        {UNIT_RATIO:g} times on, or below a {UNIT_RATIO:g}th, the unit is wrong. Where the preset itself promises over
        {MOST_RATIO:g} times the nameplate, it is the configured model that is wrong (`model_suspect`), and readings are
        kept. A model that is not in the table is compared with its preset; one notice in the log names it.""",
        f"""**Boards and total** may differ by {100 * BOARDS_TOLERANCE:g} %; a miner that has just started is not
        compared.""",
        f"""**Efficiency** is power / hashrate; a figure of the firmware that differs by more than
        {100 * EFFICIENCY_TOLERANCE:g} % is `conflicting`.""",
        f"""**Stale**: {_names(COUNTERS + GAUGES)} are all the same for {STALE_POLLS} polls and {STALE_S} seconds.""",
        f"""**Counter reset**: one of {_names(COUNTERS)} fell, or the uptime is shorter than the time since the last
        reading. Rises over a reset are counted from zero by the roll-ups; nothing is ever negative.""",
        f"""**Interpolated** values are not stored. A reader that wants them asks for them: `lodeline query
        miner_telemetry --interpolate` names the fields in a column of its own, the page draws a miner's as a dashed
        line of its own. `tasks/normalize/interpolation.py` closes gaps of at most {LONGEST_GAP} polls, never across a
        change of state, an unreachable miner or a reset, in {_names(FIELDS)}.""",
    )
    return "## Comparisons\n\n" + _bullets(points)


def _names(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _wrapped(text: str, *, bullet: bool = False) -> str:
    first, rest = ("- ", "  ") if bullet else ("", "")
    return fill(" ".join(text.split()), 120, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False)


def _limits() -> str:
    parts: tuple[tuple[str, Limits], ...] = (
        ("", MINER_LIMITS),
        ("boards.", BOARD_LIMITS),
        ("fans.", FAN_LIMITS),
        ("pools.", POOL_LIMITS),
    )
    rows = [
        (f"`{prefix}{name}`", f"{low:g}", f"{high:g}")
        for prefix, limits in parts
        for name, (low, high) in limits.items()
    ]
    return "## What is possible\n\n" + markdown_table(("field", "from", "to"), rows)


def _nameplates() -> str:
    rows = [
        (
            plate.model,
            plate.algorithm,
            f"{plate.hashrate_hs / 1e12:g}",
            str(plate.power_w),
            f"{plate.efficiency_j_th:.4g}",
        )
        for plate in NAMEPLATES
    ]
    return "## Nameplates\n\n" + markdown_table(("model", "algorithm", "TH/s", "W", "J/TH"), rows)


def _bullets(points: Iterable[str]) -> str:
    return "".join(f"{_wrapped(point, bullet=True)}\n" for point in points)


def _pools() -> str:
    points = (
        """**What cannot be is null**: a number that is none, negative or endless, a ratio of rejects above 1, a time
        before the first block of all. What a pool does not say is null, not zero; how workers differ from miners, and
        days of money from what was predicted, is a matter of its own (docs/pools.md).""",
        f"""**A price that jumps** is left out, and its row flagged `{UNIT_SUSPECT}`: more than {PRICE_FACTOR:g} times
        off the pool's own median of 24 h, or off what the coins' networks pay for the algorithm. Pools have changed
        units overnight. One that stays is believed within a day.""",
        """**A worker above its whole pool** is a unit gone wrong: it is left out, with a notice in the log
        (Mining-Dutch, whose documentation leaves the unit open).""",
        f"""**An answer that does not fit its own arithmetic** by {SAMPLE_TOLERANCE:.0%} is stored with a notice in the
        log (litecoinpool: hashrate of the network against its difficulty).""",
        """**Workers of one name**: the active one, else the one seen last, has the name; others are `name#id`.""",
    )
    return "## Pools\n\n" + _bullets(points) + f"\n{_table(WORKER_RULES)}"


def _prices() -> str:
    text = f"""Each provider's price is stored as it was told, in rows of its own; nothing is averaged, since the mean
        of a right and a wrong price is wrong. Which one counts is decided by who needs a price: the first of
        {_names(PRIORITY)} with a fresh one, else the youngest of all, which then is called `{STALE}` and never fresh.
        When two conflict both are stored again with the flag. Values of mining take no price that is not fresh: they
        are null and say `missing:COIN.price`."""
    return f"## Prices\n\n{_wrapped(text)}\n\n{_table(PRICE_RULES)}"


def _networks() -> str:
    factors = ", ".join(f"`{field}` {factor:g}" for field, factor in DISAGREE.items())
    text = f"""Explorers are held against each other and against themselves; `*` is the field. Two values conflict from
        these factors on: {factors}; what was told more than {NEW_ENOUGH_S / 3600:g} hours ago is not compared. A
        source's own week counts from {ENOUGH_SAMPLES} samples on. What is implausible is stored, and used neither for
        values of mining nor to judge others."""
    return f"## Networks\n\n{_wrapped(text)}\n\n{_table(NETWORK_RULES)}"


if __name__ == "__main__":
    DOCUMENT.write_text(quality_reference(), encoding="utf-8")
    sys.stdout.write(f"{DOCUMENT} written\n")
