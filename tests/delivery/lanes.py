"""Lanes of numbered records, and couriers of them."""

from __future__ import annotations

from storage.delivery.courier import Courier
from storage.spool.lane import Lane
from tests.spool.batches import numbered

CAP = 10**7


def spool(root, numbers, lane: str = "miners", **more) -> None:
    with Lane.open(root, lane, cap_bytes=CAP, **more) as open_lane:
        for number in numbers:
            open_lane.append(numbered(number))


def a_courier(root, sink, **more) -> Courier:
    return Courier(root / "miners", sink, [sink.name], holder="test", random=lambda: 0.5, **more)


def names(numbers) -> set[str]:
    return {f"p{number}.{row}" for number in numbers for row in range(3)}
