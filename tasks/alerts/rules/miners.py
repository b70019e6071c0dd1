"""Rules over miners. A miner that does not answer is unknown to all of them but the two that say so."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tasks.alerts.facts import Facts
from tasks.alerts.rule import About, Finding, Found, Level, Rule, missing, said
from tasks.quantity import age, hashrate

if TYPE_CHECKING:
    import pandas as pd

HASHING = ("mining", "degraded")
_NOT_KNOWN = frozenset({"miner_unreachable", "miner_stale"})
_DOWN = _NOT_KNOWN | {"miner_failed"}


def _of_miners(
    wrong: Callable[[pd.DataFrame, float], pd.Series],
    message: Callable[[pd.Series, float], str],
    value: str | None = None,
) -> Callable[[Facts, float | None], Found]:
    """A search over miners that answer: ``wrong`` marks rows, ``message`` words one; null is never wrong."""

    def find(facts: Facts, limit: float | None) -> Found:
        rows = facts.miners[facts.miners["answers"]]
        bound = 0.0 if limit is None else limit
        hits = rows[wrong(rows, bound).astype("boolean").fillna(value=False).astype(bool)]
        return Found(
            tuple(
                _finding(str(miner), row, message(row, bound), None if value is None else row[value])
                for miner, row in hits.iterrows()
            ),
            frozenset(map(str, facts.miners.index[~facts.miners["answers"]])),
        )

    return find


def _finding(miner: str, row: pd.Series, message: str, value: float | None = None) -> Finding:
    return Finding(
        subject=miner,
        entity=miner,
        site=row["site"],
        rack=row["rack"],
        message=message,
        value=None if value is None or missing(value) else float(value),
    )


def _unreachable(facts: Facts, _limit: float | None) -> Found:
    rows = facts.miners[facts.miners["fresh"] & ~facts.miners["answers"]]
    return Found(
        tuple(
            _finding(str(miner), row, f"does not answer: {said(row['failure'], 'no reason stored').replace('_', ' ')}")
            for miner, row in rows.iterrows()
        ),
        frozenset(map(str, facts.miners.index[~facts.miners["fresh"]])),
    )


def _stale(facts: Facts, _limit: float | None) -> Found:
    rows = facts.miners[~facts.miners["fresh"]]
    return Found(
        tuple(
            _finding(
                str(miner),
                row,
                f"no reading in reach; it is polled every {row['interval_s']:.0f} s"
                if missing(row["age_s"])
                else f"newest reading is {row['age_s']:.0f} s old; it is polled every {row['interval_s']:.0f} s",
                row["age_s"],
            )
            for miner, row in rows.iterrows()
        )
    )


def _fans(facts: Facts, _limit: float | None) -> Found:
    lost = facts.fans[facts.fans["status"] == "lost"]
    findings = []
    for miner, fans in lost.groupby("miner_id"):
        row = facts.miners.loc[str(miner)]
        names = ", ".join(sorted(fans["fan"]))
        findings.append(_finding(str(miner), row, f"fan {names} does not turn", float(len(fans))))
    return Found(tuple(findings), frozenset(map(str, facts.miners.index[~facts.miners["answers"]])))


def _astray(facts: Facts, _limit: float | None) -> Found:
    rows = facts.matches[facts.matches["status"].isin(_ASTRAY)]
    return Found(
        tuple(
            _finding(
                row["miner_id"], row, f"{row['status'].replace('_', ' ')}: {said(row['reason'], 'see lodeline pools')}"
            )
            for _, row in rows.iterrows()
        )
    )


def _not_credited(facts: Facts, limit: float | None) -> Found:
    rows = facts.matches
    well = facts.miners.index[facts.miners["answers"] & _hashes(facts.miners)]
    gap = rows["gap_unexplained_ratio"].astype("float64")
    rows = rows[rows["miner_id"].isin(well) & (rows["status"] == "matched") & (gap >= (limit or 0.0))]
    return Found(
        tuple(
            _finding(
                row["miner_id"],
                row,
                f"the miner tells {hashrate(row['hashrate_miner_hs'], None)}, {row['pool_id']} credits "
                f"{hashrate(row['hashrate_pool_hs'], None)}",
                row["gap_unexplained_ratio"],
            )
            for _, row in rows.iterrows()
        ),
        frozenset(map(str, facts.miners.index[~facts.miners["answers"]])),
    )


def _switched(facts: Facts, _limit: float | None) -> Found:
    return Found(
        tuple(
            _finding(
                row["miner_id"],
                row,
                f"mines at {said(row['new'], 'a pool without a name')}, until {age(row['age_s'])} ago at "
                f"{said(row['old'], 'a pool without a name')}",
                row["age_s"],
            )
            for _, row in facts.switches.iterrows()
        )
    )


def _odd(facts: Facts, limit: float | None) -> Found:
    scores = facts.anomalies["overall"].astype("float64")
    rows = facts.anomalies[scores >= (limit or 0.0)]
    return Found(
        tuple(
            _finding(
                row["miner_id"],
                row,
                f"score {row['overall']:.2f}: {said(row['reasons'], 'no reason told')}",
                row["overall"],
            )
            for _, row in rows.iterrows()
        )
    )


_ASTRAY = ("wrong_pool", "wrong_worker", "missing_worker", "fee_only")


def _hashes(rows: pd.DataFrame) -> pd.Series:
    return rows["state"].isin(HASHING)


def _share_of_nominal(rows: pd.DataFrame) -> pd.Series:
    nominal = rows["hashrate_nominal_hs"].astype("float64")
    return rows["hashrate_hs"].astype("float64") / nominal.where(nominal > 0)


def _hot_and_slow(rows: pd.DataFrame, limit: float) -> pd.Series:
    driven = rows["fan_duty_percent"].astype("float64")
    weak = (rows["fans_running"].astype("float64") == 0) | (driven <= LOW_DUTY_PERCENT)
    return (
        _hashes(rows)
        & (rows["chip_temp_max_c"].astype("float64") >= limit)
        & weak
        & (_share_of_nominal(rows) < FALLING_RATIO)
    )


def _fans_in_words(row: pd.Series) -> str:
    if missing(row["fan_duty_percent"]):
        return "no fan turns"
    return f"fans are driven at {row['fan_duty_percent']:.0f}%"


LOW_DUTY_PERCENT = 40.0
FALLING_RATIO = 0.95

MINER_RULES = (
    Rule(
        "miner_unreachable",
        Level.WARNING,
        About.MINER,
        "The miner does not answer.",
        "Look at its power, its network cable and its switch; `lodeline status --miner ID` says why polls fail.",
        _unreachable,
        for_s=300,
        keep_s=120,
        muted_by=frozenset({"miner_stale"}),
    ),
    Rule(
        "miner_stale",
        Level.WARNING,
        About.MINER,
        "Nobody has polled the miner for a while, so nothing is known of it.",
        "The collector of its site stands still or is cut off: `lodeline status` on that host.",
        _stale,
        for_s=60,
        keep_s=60,
        muted_by=frozenset({"lane_stands_still", "store_away"}),
    ),
    Rule(
        "miner_failed",
        Level.CRITICAL,
        About.MINER,
        "The miner says that it has failed.",
        "Read its errors on the page or by `lodeline query miner_error`; restart it once, then take it to the bench.",
        _of_miners(lambda rows, _limit: rows["state"] == "failed", lambda _row, _limit: "its state is failed"),
        for_s=120,
        keep_s=300,
    ),
    Rule(
        "no_hashrate",
        Level.CRITICAL,
        About.MINER,
        "The miner says that it mines and delivers nothing.",
        "Look at its pool and its boards; it draws power for nothing until then.",
        _of_miners(
            lambda rows, limit: _hashes(rows) & (_share_of_nominal(rows).fillna(rows["hashrate_hs"]) <= limit),
            lambda row, _limit: f"hashrate is {hashrate(row['hashrate_hs'], None)}, state {row['state']}",
            "hashrate_hs",
        ),
        for_s=300,
        keep_s=300,
        limit=0.01,
        unit="ratio",
        muted_by=_DOWN,
    ),
    Rule(
        "hashrate_low",
        Level.WARNING,
        About.MINER,
        "The miner delivers clearly less than its preset promises.",
        "See which board is short on its page; heat, a lost board or wrong nonces are the usual causes.",
        _of_miners(
            lambda rows, limit: _hashes(rows) & (_share_of_nominal(rows) < limit),
            lambda row, limit: (
                f"hashrate is {hashrate(row['hashrate_hs'], None)} of {hashrate(row['hashrate_nominal_hs'], None)}, "
                f"below {limit:.0%}"
            ),
            "hashrate_hs",
        ),
        for_s=900,
        keep_s=600,
        limit=0.9,
        unit="ratio",
        muted_by=_DOWN | {"no_hashrate", "board_lost", "chip_too_hot", "cooling_failing"},
    ),
    Rule(
        "board_lost",
        Level.WARNING,
        About.MINER,
        "A hashboard of the miner does not mine.",
        "Its page names the board; reseat its cables, then swap it.",
        _of_miners(
            lambda rows, _limit: _hashes(rows) & (rows["boards_mining"] < rows["boards_expected"]),
            lambda row, _limit: f"{row['boards_mining']:.0f} of {row['boards_expected']:.0f} boards mine",
            "boards_mining",
        ),
        for_s=300,
        keep_s=300,
        muted_by=_DOWN,
    ),
    Rule(
        "fan_lost",
        Level.CRITICAL,
        About.MINER,
        "A fan of the miner does not turn.",
        "Swap the fan soon: with the rest at full speed the boards last hours, not weeks.",
        _fans,
        for_s=120,
        keep_s=300,
        muted_by=_DOWN,
    ),
    Rule(
        "chip_too_hot",
        Level.CRITICAL,
        About.MINER,
        "The hottest chip of the miner is above its limit.",
        "Look at the air that it takes in and at its fans; a lower preset cools it at once.",
        _of_miners(
            lambda rows, limit: rows["chip_temp_max_c"] >= limit,
            lambda row, limit: f"hottest chip has {row['chip_temp_max_c']:.0f} °C, limit {limit:.0f} °C",
            "chip_temp_max_c",
        ),
        for_s=120,
        keep_s=300,
        limit=95.0,
        unit="degC",
        muted_by=_NOT_KNOWN,
    ),
    Rule(
        "cooling_failing",
        Level.CRITICAL,
        About.MINER,
        "Hot, fans low and hashrate falling at once: the cooling fails before the firmware's own limit is reached.",
        "Stop the miner or lower its preset, then look at fans and their control.",
        _of_miners(
            _hot_and_slow,
            lambda row, _limit: (
                f"hottest chip has {row['chip_temp_max_c']:.0f} °C, {_fans_in_words(row)}, "
                f"hashrate is {row['hashrate_hs'] / row['hashrate_nominal_hs']:.0%} of nominal"
            ),
            "chip_temp_max_c",
        ),
        for_s=120,
        keep_s=300,
        limit=85.0,
        unit="degC",
        muted_by=_NOT_KNOWN,
    ),
    Rule(
        "work_astray",
        Level.CRITICAL,
        About.MINER,
        "The miner's work goes to another pool or worker than it should, to none that is seen, or to the maker alone.",
        "`lodeline pools` shows miner against worker. Compare its pool settings; a change nobody made may be theft.",
        _astray,
        for_s=0,
        keep_s=0,
        muted_by=_DOWN | {"pool_away"},
    ),
    Rule(
        "pool_switched",
        Level.WARNING,
        About.MINER,
        "The miner mines at another pool than some hours ago.",
        "If its first pool failed, it does as it should; if nobody changed it, it may be theft. Look at its settings.",
        _switched,
        for_s=0,
        keep_s=0,
        muted_by=_DOWN | {"work_astray"},
    ),
    Rule(
        "work_not_credited",
        Level.CRITICAL,
        About.MINER,
        "The miner mines well, and its pool credits much less than fee and refused shares explain.",
        "Look for a second pool in its settings, stale shares, or a pool that is in trouble.",
        _not_credited,
        for_s=0,
        keep_s=0,
        limit=0.3,
        unit="ratio",
        muted_by=_DOWN | {"work_astray", "pool_away"},
    ),
    Rule(
        "miner_odd",
        Level.INFO,
        About.MINER,
        "The miner does not behave as it did, or as its peers do.",
        "`lodeline anomalies` tells what is odd about it; watch it, other rules tell what is urgent.",
        _odd,
        for_s=0,
        keep_s=0,
        limit=0.8,
        unit="ratio",
        muted_by=_DOWN
        | {"no_hashrate", "hashrate_low", "board_lost", "fan_lost", "chip_too_hot", "cooling_failing", "work_astray"}
        | {"pool_switched"},
    ),
)
