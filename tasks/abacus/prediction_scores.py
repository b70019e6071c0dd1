"""Predictions beside what happened: records ``prediction_score``."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from storage.declaration import MEASUREMENTS, Tier
from storage.downsample.windows import unix_seconds
from storage.features.changes import settled_until
from storage.features.rows import newest_versions, seconds
from storage.features.table import feature_table, published
from storage.features.view import ENTITY
from storage.frame import Frame, build_frame
from storage.lake.location import LakeLocation
from storage.store import Store
from tasks.abacus.prediction import Prediction
from tasks.abacus.prediction_rows import nullable
from tasks.derive.changed import write_changed

LATE_S = 7 * 86_400
"""How long after its time a score may still change."""

TAGS = ("prediction", "entity", "lead", "model")


def score_predictions(store: Store, root: LakeLocation, prediction: Prediction) -> int:
    """Score what the feature view has settled in the last week; the same again writes nothing. Returns rows written.

    Raises:
        TryAgain: the store does not answer. NeedsHuman, StoreError: the lake cannot be read.
    """
    view = prediction.definition.view
    settled = settled_until(root, view)
    if settled is None:
        return 0
    start, stop = settled - LATE_S, settled + 1
    told = store.read(MEASUREMENTS["prediction"], Tier.RAW, start, stop, where={"prediction": prediction.name})
    if not told.num_rows:
        return 0
    sent = prediction.column.sent
    came = newest_versions(published(feature_table(root, view), view, start, stop, columns=[sent.feature]))
    actual = pd.DataFrame(
        {
            "entity": came[ENTITY].to_pylist(),
            "time": seconds(came),
            "actual": pd.to_numeric(pd.Series(came[sent.feature].to_pylist(), dtype="float64")) / sent.divisor,
        }
    )
    return write_changed(store, [scores(told, actual)])


def scores(told: pa.Table, actual: pd.DataFrame) -> Frame:
    """Rows of ``prediction_score`` of ``told`` (rows of ``prediction``). ``actual``: columns entity, time (Unix
    seconds, one row of each pair) and actual, NaN where no value is known. Pure.
    """
    wanted = pd.DataFrame({name: told[name].to_pylist() for name in (*TAGS, "value", "low", "high")})
    wanted["time"] = unix_seconds(told)
    rows = wanted.merge(actual, how="left", on=["entity", "time"], validate="many_to_one")
    value, low, high, came = (rows[name].to_numpy(dtype=np.float64) for name in ("value", "low", "high", "actual"))
    error = value - came
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(came == 0, np.nan, np.abs(error) / np.abs(came))
    bounded = ~np.isnan(low) & ~np.isnan(high) & ~np.isnan(came)
    inside = (low <= came) & (came <= high)
    reason = np.where(np.isnan(came), "what came is not known", np.where(np.isnan(value), "nothing was predicted", ""))
    columns: dict[str, list[Any]] = {name: rows[name].tolist() for name in TAGS}
    columns |= {"actual": nullable(came), "error": nullable(error), "error_ratio": nullable(ratio)}
    columns["inside"] = [bool(one) if known else None for one, known in zip(inside, bounded, strict=True)]
    columns["reason"] = reason.tolist()
    return build_frame("prediction_score", rows["time"].tolist(), columns)
