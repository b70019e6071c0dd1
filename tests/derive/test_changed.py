"""Only what would change something is written, on the lake."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from storage.declaration import MEASUREMENTS, Tier
from storage.frame import build_frame
from storage.lake.store import EmbeddedStore
from tasks.derive.changed import write_changed

T = 1_790_000_000 // 86_400 * 86_400
DAY_S = 86_400


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EmbeddedStore]:
    opened = EmbeddedStore(tmp_path)
    opened.write([frame(T, rsi_14=50.0, closes=20), frame(T + DAY_S, rsi_14=60.0, closes=21)])
    yield opened
    opened.close()


def frame(time: int, coin: str = "bitcoin", **values: Any) -> Any:
    columns = {"source": ["coingecko"], "coin_id": [coin], **{name: [value] for name, value in values.items()}}
    return build_frame("market_indicator", [time], columns)


@pytest.mark.parametrize(
    ("made", "more", "written"),
    [
        (frame(T, rsi_14=50.0, closes=20), {}, 0),
        (frame(T, rsi_14=50.0 * (1 + 1e-12), closes=20), {}, 0),
        (frame(T, rsi_14=50.001, closes=20), {}, 1),
        (frame(T, rsi_14=None, closes=20), {}, 0),  # a null takes nothing back
        (frame(T, rsi_14=50.0, ma_50_usd=7.0, closes=20), {}, 1),  # and a value where there was none is new
        (frame(T, "litecoin", rsi_14=50.0, closes=20), {}, 1),
        (frame(T + 2 * DAY_S, rsi_14=50.0, closes=20), {}, 1),
        (frame(T, rsi_14=50.0, closes=19), {}, 1),
        (frame(T, rsi_14=50.0, closes=19), {"regardless_of": ("closes",)}, 0),
        (frame(T, rsi_14=51.0, closes=19), {"regardless_of": ("closes",)}, 1),
        (frame(T, rsi_14=51.0, closes=20), {"compared_from": T + 1}, 0),
        (frame(T, rsi_14=51.0, closes=20), {"compared_from": T}, 1),
        (frame(T, "litecoin", rsi_14=51.0, closes=20), {"compared_from": T + 1}, 1),
    ],
)
def test_what_is_written(store: EmbeddedStore, made: Any, more: dict[str, Any], written: int) -> None:
    assert write_changed(store, [made], **more) == written
    assert write_changed(store, [made], **more) == 0
    kept = store.read(MEASUREMENTS["market_indicator"], Tier.RAW, T + DAY_S, T + DAY_S + 1)
    assert kept["rsi_14"].to_pylist() == [60.0]
