"""Choosing a model for each series by forecasting its past, and what the errors there say of the future. Pure.

Rolling origins: the horizon before the last hour is forecast from what came before it, then a day earlier, and so on.
Every model is judged at the same origins. The errors of the chosen one, at the same length of horizon, make the
interval (split conformal): the k-th smallest of n, k = ceil((n + 1) x level), is wide enough with the probability
``level`` if the next error is one like the others.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tasks.derive.forecast.models import DAY, SEASONAL_NAIVE, Floats, Model

LEVEL = 0.9
"""Part of the intervals that should hold what comes."""
MOST_ORIGINS = 14
"""Back-tests of a series, one a day: two weeks of them."""
FEWEST_ORIGINS = 3
"""Back-tests below which nothing but seasonal naive is taken."""
MARGIN = 0.98
"""What a model's error must be below, as a part of seasonal naive's, to be taken in its place."""
SHARPNESS = 4
"""A model's weight in the combination is its error to this power, inverse."""
COMBINATION = "combination"


@dataclass(frozen=True, slots=True)
class Outlook:
    """Of each series: hours ahead, which model, and the errors of totals (sums over the horizon) in its back-tests.

    ``past_errors`` (forecast - truth) and ``naive_errors`` are series x origins, NaN where an origin had no truth.
    """

    path: Floats
    naive: Floats
    model: list[str]
    past_errors: Floats
    naive_errors: Floats


def outlook(
    history: Floats, known: npt.NDArray[np.bool_], horizon: int, models: Sequence[Model], most: int = MOST_ORIGINS
) -> Outlook:
    """Forecast each row of ``history`` (no NaN; ``known``: not filled in) for ``horizon`` hours.

    Each model is used from its ``least`` hours on; the first of ``models`` is the one to beat.
    """
    hours = history.shape[1]
    usable = [model for model in models if model.least <= hours]
    origins = _origins(hours, horizon, usable[0].least, most)
    fitting = [model for model in usable if not origins or model.least <= origins[-1]]
    if len(origins) < FEWEST_ORIGINS:
        fitting = fitting[:1] or usable[:1]
    truth = np.stack([history[:, origin : origin + horizon] for origin in origins]) if origins else None
    ahead = np.stack([_bounded(model.predict(history, horizon), history) for model in fitting])
    naive = SEASONAL_NAIVE.predict(history, horizon) if hours >= DAY else ahead[0]
    rows = np.arange(len(history))
    if truth is None:
        nothing = np.empty((len(history), 0))
        return Outlook(ahead[0], naive, [fitting[0].name] * len(history), nothing, nothing)
    # a horizon of which less than three quarters is known is no truth
    told = np.stack([known[:, origin : origin + horizon].mean(axis=1) >= 0.75 for origin in origins])
    tests = np.stack(
        [
            [_bounded(model.predict(history[:, :origin], horizon), history[:, :origin]) for origin in origins]
            for model in fitting
        ]
    )  # model x origin x series x hour
    errors = np.where(told, np.abs(tests - truth).mean(axis=3), np.nan)
    mixed_tests, mixed_ahead = _combined(tests, ahead, errors)
    tests, ahead = np.concatenate([tests, mixed_tests[None]]), np.concatenate([ahead, mixed_ahead[None]])
    errors = np.concatenate([errors, np.where(told, np.abs(mixed_tests - truth).mean(axis=2), np.nan)[None]])
    chosen = _chosen(errors)
    names = [*(model.name for model in fitting), COMBINATION]
    totals = np.where(told, (tests - truth).sum(axis=3), np.nan)
    before = np.stack([_naive_total(history[:, :origin], horizon) for origin in origins]) - truth.sum(axis=2)
    return Outlook(
        ahead[chosen, rows],
        naive,
        [names[number] for number in chosen],
        totals[chosen, :, rows],
        np.where(told, before, np.nan).T,
    )


def half_width(errors: Floats, level: float = LEVEL) -> Floats:
    """Half the interval around each forecast from its past errors (series x tests); NaN where they are too few for
    ``level``: nine for 0.9."""
    sizes = np.sort(np.abs(errors), axis=1)  # NaN last
    counts = np.sum(~np.isnan(errors), axis=1)
    ranks = np.array([math.ceil((count + 1) * level) for count in counts], dtype=np.int64)
    widths = np.full(len(errors), np.nan)
    enough = (ranks <= counts) & (counts > 0)
    widths[enough] = sizes[enough, ranks[enough] - 1]
    return widths


def _origins(hours: int, horizon: int, least: int, most: int) -> list[int]:
    """Newest first. Each has ``horizon`` hours after it and a week before it, or half of what there is."""
    newest = hours - horizon
    before = max(least, min(7 * DAY, hours // 2))
    return [newest - DAY * number for number in range(most) if newest - DAY * number >= before]


def _naive_total(history: Floats, horizon: int) -> Floats:
    return np.asarray(SEASONAL_NAIVE.predict(history[:, -DAY:], horizon).sum(axis=1))


def _bounded(path: Floats, history: Floats) -> Floats:
    """What was never negative does not become so."""
    return np.where((history.min(axis=1) >= 0)[:, None], np.maximum(path, 0.0), path)


def _combined(tests: Floats, ahead: Floats, errors: Floats) -> tuple[Floats, Floats]:
    """All models weighted by their errors; at each origin by those at the other origins, or it would be hindsight."""
    sums, counts = np.nansum(errors, axis=1), np.sum(~np.isnan(errors), axis=1)
    others = (sums[:, None] - np.nan_to_num(errors)) / np.maximum(counts[:, None] - ~np.isnan(errors), 1)
    mixed = np.einsum("mos,mosh->osh", _weights(others), tests)
    return mixed, np.einsum("ms,msh->sh", _weights(sums / np.maximum(counts, 1)), ahead)


def _weights(errors: Floats) -> Floats:
    smallest = errors.min(axis=0, keepdims=True)
    floor = np.where(smallest > 0, smallest, 1.0)
    weights = (np.maximum(errors, 1e-6 * floor) / floor) ** -float(SHARPNESS)
    return np.asarray(weights / weights.sum(axis=0, keepdims=True))


def _chosen(errors: Floats) -> npt.NDArray[np.intp]:
    """Number of the model for each series: the best on average, the first unless it is clearly beaten."""
    counts = np.sum(~np.isnan(errors), axis=1)
    means = np.nansum(errors, axis=1) / np.maximum(counts, 1)
    best = means.argmin(axis=0)
    clear = np.take_along_axis(means, best[None], axis=0)[0] < MARGIN * means[0]
    return np.where(clear & (counts[0] >= FEWEST_ORIGINS), best, 0)
