"""How good a forecast was: MASE, sMAPE. Pure; defined as in the M4 competition."""

from __future__ import annotations

import numpy as np

from tasks.derive.forecast.models import DAY, Floats


def mase(truth: Floats, forecast: Floats, history: Floats, season: int = DAY) -> float | None:
    """Mean absolute error over that of seasonal naive one step ahead within ``history``; None where that is zero."""
    scale = float(np.abs(history[season:] - history[:-season]).mean()) if len(history) > season else 0.0
    return float(np.abs(truth - forecast).mean()) / scale if scale > 0 else None


def smape(truth: Floats, forecast: Floats) -> float:
    """Symmetric mean absolute percentage error, 0 to 200; two zeros agree."""
    sizes = np.abs(truth) + np.abs(forecast)
    parts = np.divide(np.abs(truth - forecast), sizes, out=np.zeros_like(sizes), where=sizes > 0)
    return 200.0 * float(parts.mean())
