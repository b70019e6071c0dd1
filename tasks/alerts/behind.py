"""What is rolled up and derived late, by the marks that those who do it leave in the store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from storage.declaration.bucket import Tier
from storage.declaration.derived import FORECAST, FORECAST_SCORE
from storage.declaration.pipeline import WINDOW_ROLLED, WINDOW_TOUCHED
from storage.store import Store

if TYPE_CHECKING:
    import pandas as pd

HOUR_S = 3_600
LOOK_BACK_S = 26 * HOUR_S
_ONCE_S = 7 * 86_400
"""Nobody is late with what nobody did for a week: `lodeline doctor` tells which deployments are missing."""
DERIVED = {
    "operational_metrics": "miner_telemetry",
    "financial_metrics": "miner_telemetry",
    "anomaly_score": "miner_telemetry",
    "worker_match": "pool_performance",
}
"""What is derived by the hour, and marked as roll-ups are, and the roll-up that it waits for. Of all that is derived of
pools ``worker_match`` has the marks."""
_LONGEST_FORECAST_S = 8 * 86_400


def behind(store: Store | None, now: float) -> pd.DataFrame:
    """``measurement`` and ``late_s`` of each that has an hour in the last day which got data, is over and not done; of
    scores of forecasts, of each that has a forecast of the fleet whose period was over in the last day.

    An hour could be done since it is over, or since its data came, which may be later. Raises TryAgain, StoreError.
    """
    import pandas as pd

    if store is None:
        return pd.DataFrame({"measurement": pd.Series(dtype="str"), "late_s": pd.Series(dtype="float64")})
    start, stop = int(now) - LOOK_BACK_S, int(now) + 1
    touched = _hours(store.read(WINDOW_TOUCHED, Tier.RAW, start, stop).to_pandas())
    touched["since"] = (
        touched[["hour"]]
        .assign(over=touched["hour"] + HOUR_S, came=touched["touched_ns"] / 1e9)[["over", "came"]]
        .max(axis="columns")
    )
    marks = store.read(WINDOW_ROLLED, Tier.RAW, int(now) - _ONCE_S, stop, columns=["covered"]).to_pandas()
    done = _hours(marks[marks["tier"].eq(Tier.HOURLY.value)])
    waiting = touched.groupby(["measurement", "hour"], as_index=False)["since"].max()
    rolled_up = done[done["hour"] >= start]
    for name, source in DERIVED.items():
        if done["measurement"].eq(name).any():
            hours = rolled_up.loc[rolled_up["measurement"].eq(source), ["hour"]]
            made = hours.assign(measurement=name, since=hours["hour"] + HOUR_S).astype({"since": "float64"})
            waiting = pd.concat([waiting, made], ignore_index=True) if len(waiting) else made
    keys = ["measurement", "hour"]
    left = waiting.merge(done[keys].drop_duplicates(), on=keys, how="left", indicator="known")
    left = left[left["known"].eq("left_only") & (left["since"] <= now) & (left["hour"] + HOUR_S <= now)]
    left = pd.concat([left[["measurement", "since"]], _scores_left(store, int(now))], ignore_index=True)
    return (now - left.groupby("measurement")["since"].min()).rename("late_s").reset_index()


def _scores_left(store: Store, now: int) -> pd.DataFrame:
    """``measurement``, ``since`` of forecasts of the fleet whose period was over in the last day, without a score."""
    fleet, start = {"miner_id": "fleet"}, now - LOOK_BACK_S - _LONGEST_FORECAST_S
    told = store.read(FORECAST, Tier.RAW, start, now, where=fleet, columns=["value", "horizon_s"]).to_pandas()
    made = store.read(FORECAST_SCORE, Tier.RAW, start, now, where=fleet, columns=["coverage"]).to_pandas()
    told = _hours(told[told["value"].notna()])
    told["since"] = (told["hour"] + told["horizon_s"]).astype("float64")
    told = told[told["since"].between(now - LOOK_BACK_S, now)]
    keys = ["hour", "quantity"]
    left = told.merge(_hours(made)[keys].drop_duplicates(), on=keys, how="left", indicator="known")
    left = left[left["known"].eq("left_only")] if len(made) else left.iloc[:0]
    return left.assign(measurement=FORECAST_SCORE.name)[["measurement", "since"]]


def _hours(rows: pd.DataFrame) -> pd.DataFrame:
    seconds = rows["time"].dt.tz_convert("UTC").dt.tz_localize(None).astype("datetime64[s]").astype("int64")
    return rows.assign(hour=seconds)
