"""``source_hour``: how each pool and market source answered, by hour, worked out of its requests of all hosts."""

from __future__ import annotations

from collections import Counter

import pandas as pd

from storage.declaration.bucket import Tier
from storage.declaration.pipeline import SOURCE_HOUR, SOURCE_REQUEST
from storage.downsample.rollup import DAY_S, HOUR_S, window_of
from storage.downsample.run import GRACE_S
from storage.downsample.windows import unix_seconds
from storage.frame import Frame, Value, build_frame
from storage.store import Store
from tasks.derive.changed import write_changed

HORIZON_S = 7 * DAY_S
"""How far back hours are made that no run has made yet."""
LATE_S = 6 * HOUR_S
"""How far back hours are made again, for hosts that could not deliver in time."""
_NOT_SENT = "budget"
_PARTS = (50, 95, 99)


def derive_source_hours(store: Store, now: int) -> int:
    """Write the hours that are over at ``now`` (Unix seconds) and not stored like that; returns how many rows.

    Raises:
        TryAgain: the store does not answer.
    """
    stop = window_of(now - GRACE_S, HOUR_S)
    newest = store.newest(SOURCE_HOUR, now - HORIZON_S, before=stop)  # a clock that was ahead may have left later ones
    known = int(unix_seconds(newest).max()) if newest.num_rows else now - HORIZON_S
    first = window_of(known - LATE_S, HOUR_S)
    written = 0
    for start in range(first, stop, DAY_S):
        table = store.read(
            SOURCE_REQUEST,
            Tier.RAW,
            start,
            min(start + DAY_S, stop),
            columns=["ok", "failure", "latency_ms", "rows"],
        )
        rows: pd.DataFrame = table.to_pandas()
        rows["hour"] = unix_seconds(table) // HOUR_S * HOUR_S
        written += write_changed(store, [source_hours(rows)])
    return written


def source_hours(rows: pd.DataFrame) -> Frame:
    """Rows of ``source_hour`` of requests with ``source``, ``hour`` (Unix seconds), ``ok``, ``failure``, ``latency_ms``
    and ``rows``."""
    sent = rows[rows["failure"].ne(_NOT_SENT)]
    came = sent["ok"].eq(True).fillna(False).astype(bool)
    keys = ["source", "hour"]
    asked = sent.groupby(keys).size()
    answers = sent[came]
    counts = pd.DataFrame(
        {
            "asked": asked,
            "answered": answers.groupby(keys).size().reindex(asked.index, fill_value=0),
            "rows": answers.groupby(keys)["rows"].sum(min_count=1).reindex(asked.index),
        }
    )
    latency = answers.groupby(keys)["latency_ms"]
    for part in _PARTS:
        counts[f"latency_p{part}_ms"] = latency.quantile(part / 100).reindex(asked.index)
    failed = sent[~came].groupby(keys)["failure"].agg(_by_reason).reindex(asked.index)
    index = asked.index.to_frame(index=False)
    columns: dict[str, list[Value]] = {
        "source": index["source"].tolist(),
        "asked": counts["asked"].astype("int64").tolist(),
        "answered": counts["answered"].astype("int64").tolist(),
        "success_ratio": (counts["answered"] / counts["asked"]).tolist(),
        "rows": _or_none(counts["rows"]),
        "failed_by_reason": _or_none(failed),
        "reason": ["latency:no_answer" if not number else None for number in counts["answered"]],
        **{f"latency_p{part}_ms": _or_none(counts[f"latency_p{part}_ms"]) for part in _PARTS},
    }
    return build_frame(SOURCE_HOUR.name, [int(hour) for hour in index["hour"]], columns)


def _by_reason(failures: pd.Series) -> str:
    counted = Counter(failures.fillna("unknown"))
    return ",".join(f"{reason}={number}" for reason, number in sorted(counted.items()))


def _or_none(column: pd.Series) -> list[Value]:
    return [None if empty else value for value, empty in zip(column.tolist(), column.isna().tolist(), strict=True)]
