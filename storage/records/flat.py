"""Records that are one row each: their fields are ``time`` and names of one measurement's tags and fields."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from storage.declaration import MEASUREMENTS
from storage.frame import Frame, build_frame
from storage.precision import rounded


def flat_frames(measurement: str, records: Sequence[msgspec.Struct]) -> list[Frame]:
    """The frame of ``records``, all of one type; none where there is no record, or no value in any.

    Floats are rounded as the declaration says.

    Raises:
        FrameError: a value does not fit the declaration.
    """
    if not records:
        return []
    fields = MEASUREMENTS[measurement].field_by_name
    columns: dict[str, list[Any]] = {}
    for name in records[0].__struct_fields__:
        if name == "time":
            continue
        values = [getattr(record, name) for record in records]
        field = fields.get(name)
        columns[name] = rounded(values) if field is not None and field.type == "float" and not field.exact else values
    times: list[int] = [record.time for record in records]  # type: ignore[attr-defined]
    frame = build_frame(measurement, times, columns)
    return [frame] if len(frame) else []
