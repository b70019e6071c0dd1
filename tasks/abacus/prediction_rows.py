"""The result of a batch prediction, a CSV file of the service, as records ``prediction``. Pure."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from storage.errors import NeedsHuman
from storage.features.rows import with_entity
from storage.features.view import ENTITY
from storage.frame import Frame, build_frame
from tasks.abacus.prediction import Prediction
from tasks.abacus.rows import Rejected

HOUR_S = 3600
UNKNOWN_MODEL = "unknown"
NO_VALUE = "the deployment gave no value"


class Fetched(NamedTuple):
    """What a result holds. ``rows``: lines of it; ``past``: those about a time that was over when the batch began,
    which are no predictions; ``erased``: those about what was erased here, of which nothing is kept."""

    frame: Frame
    rejected: list[Rejected]
    rows: int
    past: int
    erased: int = 0


Erased = Callable[[pd.DataFrame, npt.NDArray[np.int64], npt.NDArray[np.int64]], npt.NDArray[np.bool_]]
"""Which rows were erased here, of their tags, and of the times (Unix seconds) of input and of what is predicted."""


def fetched_rows(
    prediction: Prediction,
    content: bytes,
    *,
    started_at: int,
    batch: str,
    model: str | None,
    erased: Erased | None = None,
) -> Fetched:
    """Records of ``content``. A line without entity, time or number is rejected; a value that is blank is null with
    a reason. ``started_at``: Unix seconds when the batch was asked for; ``batch``: its version.

    Raises:
        NeedsHuman: it is no CSV, or lacks a column that the configuration names.
    """
    settings, definition = prediction.settings, prediction.definition
    table = _read(prediction, content)
    bounds = {"low": settings.low_column, "high": settings.high_column}
    entity_columns = pa.table({tag: pa.array(table[tag], pa.string()) for tag in definition.view.entity})
    entities = pd.Series(with_entity(definition.view, entity_columns)[ENTITY].to_pylist(), dtype="object")
    nobody = (entities.str.replace("/", "", regex=False) == "").to_numpy()
    # the service gives times back as it got them: UTC without a zone
    times = pd.to_datetime(table[definition.time], utc=True, errors="coerce", format="ISO8601")
    timeless = times.isna().to_numpy()
    seconds = times.dt.as_unit("s").astype("int64").to_numpy()
    ends = np.where(timeless, 0, seconds) + settings.horizon_hours * HOUR_S
    values, wrong = _numbers(table[settings.value_column])
    numbers = {"value": values}
    for name, column in bounds.items():
        if column is not None:
            numbers[name], unfit = _numbers(table[column])
            wrong |= unfit
    past = ~nobody & ~timeless & ~wrong & (ends <= started_at)
    gone = np.zeros(len(table), dtype=np.bool_)
    if erased is not None:
        gone = erased(table[list(definition.view.entity)], np.where(timeless, 0, seconds), ends)
    past &= ~gone
    good = ~nobody & ~timeless & ~wrong & ~past & ~gone
    keys = pd.DataFrame({"entity": entities, "end": ends})
    doubled = np.zeros(len(table), dtype=bool)
    doubled[good] = keys[good].duplicated(keep="last").to_numpy()
    why = {
        "no entity": nobody,
        f"{definition.time} is no time": timeless & ~nobody,
        "a value is no number": wrong & ~nobody & ~timeless,
        "predicted twice in one result; the last one counts": doubled,
    }
    rejected = [
        Rejected(f"{entities[at]}|{table[definition.time].iloc[at]}", reason)
        for reason, those in why.items()
        for at in np.flatnonzero(those & ~gone).tolist()
    ]
    kept = np.flatnonzero(good & ~doubled)
    told = {name: of[kept] for name, of in numbers.items()}
    frame = _frame(
        prediction, entities.iloc[kept].tolist(), ends[kept], told, started_at=started_at, batch=batch, model=model
    )
    return Fetched(frame, rejected, len(table), int(past.sum()), int(gone.sum()))


def _frame(
    prediction: Prediction,
    entities: list[str],
    ends: npt.NDArray[np.int64],
    numbers: Mapping[str, npt.NDArray[np.float64]],
    *,
    started_at: int,
    batch: str,
    model: str | None,
) -> Frame:
    """Records of what is predicted of ``entities`` at ``ends``; NaN is null."""
    count, leads = len(entities), ends - started_at
    columns: dict[str, list[Any]] = {
        "prediction": [prediction.name] * count,
        "entity": entities,
        "lead": [f"{hours}h" for hours in (leads // HOUR_S).tolist()],
        "model": [model or UNKNOWN_MODEL] * count,
        "unit": [prediction.column.sent.unit] * count,
        "feature": [f"{prediction.definition.name}.{prediction.column.name}"] * count,
        "lead_s": leads.tolist(),
        "batch": [batch] * count,
        "reason": np.where(np.isnan(numbers["value"]), NO_VALUE, "").tolist(),
    }
    columns |= {name: nullable(values) for name, values in numbers.items()}
    return build_frame("prediction", ends.tolist(), columns)


def _read(prediction: Prediction, content: bytes) -> pd.DataFrame:
    settings, definition = prediction.settings, prediction.definition
    wanted = [*definition.view.entity, definition.time, settings.value_column]
    wanted += [name for name in (settings.low_column, settings.high_column) if name is not None]
    try:
        table = pd.read_csv(io.BytesIO(content), dtype=str, keep_default_na=False)
    except pd.errors.EmptyDataError:
        return pd.DataFrame({name: pd.Series([], dtype=str) for name in wanted})
    except (pd.errors.ParserError, UnicodeDecodeError) as error:
        raise NeedsHuman(
            f"prediction {prediction.name}: its result is no CSV: {error}", remedy="Look at the deployment's output"
        ) from error
    missing = [name for name in wanted if name not in table.columns]
    if missing:
        raise NeedsHuman(
            f"prediction {prediction.name}: the result has no column {', '.join(missing)}; it has "
            f"{', '.join(map(str, table.columns))}",
            remedy="Name its columns in predictions of abacus_integration_config.yaml",
        )
    return table


def _numbers(texts: Any) -> tuple[Any, Any]:
    """Numbers, NaN where there is none; and where there is something else than a finite number."""
    values = pd.to_numeric(texts, errors="coerce").to_numpy(dtype=np.float64)
    blank = texts.str.strip().str.lower().isin(["", "null", "none", "nan"]).to_numpy()
    return np.where(blank, np.nan, values), ~blank & ~np.isfinite(values)


def nullable(values: Any) -> list[float | None]:
    """``values`` with None for NaN."""
    return [None if missing else x for x, missing in zip(values.tolist(), np.isnan(values).tolist(), strict=True)]
