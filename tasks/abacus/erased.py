"""Rows that come back from the service about entities that were erased here.

The service predicts from what was exported before the erasure, so a batch of later may name the entity. A row of it is
not taken where an erasure holds its time, that of its input or that it is about; and, where the whole entity was
erased, for as long as nothing of the entity became known anew.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from storage.erasure.tombstones import Case, Tombstones
from storage.features.rows import with_entity
from storage.features.table import feature_table, published
from storage.features.view import ENTITY, FeatureView
from storage.lake.location import LakeLocation


class ErasedRows:
    """The erasures of this host, asked about rows of ``view``."""

    def __init__(self, tombstones: Tombstones, root: LakeLocation, view: FeatureView) -> None:
        self._tombstones = tombstones
        self._root = root
        self._view = view

    def of(
        self, tags: pd.DataFrame, inputs: npt.NDArray[np.int64], ends: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.bool_]:
        """Which rows were erased. ``tags``: a column for each tag of the view; ``inputs`` and ``ends``: Unix seconds of
        what a row was made of, and of what it is about.

        Raises:
            NeedsHuman: an erasure, or a feature table, cannot be read.
        """
        mask = np.zeros(len(tags), dtype=np.bool_)
        cases = self._tombstones.cases()
        if not cases:
            return mask
        names = list(self._view.entity)
        for values, rows in tags.groupby(names, sort=False).indices.items():
            found = dict(zip(names, values if isinstance(values, tuple) else (values,), strict=True))
            for case in cases:
                if case.is_about(found):
                    mask[rows] |= self._held(case, found, inputs[rows], ends[rows])
        return mask

    def _held(
        self, case: Case, tags: dict[str, str], inputs: npt.NDArray[np.int64], ends: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.bool_]:
        if case.measurements is not None and self._view.measurement.name not in case.measurements:
            return np.zeros(len(inputs), dtype=np.bool_)
        if case.start <= 0 and case.measurements is None and not self._is_known_since(tags, case.stop):
            return np.ones(len(inputs), dtype=np.bool_)
        return ((inputs >= case.start) & (inputs < case.stop)) | ((ends >= case.start) & (ends < case.stop))

    def _is_known_since(self, tags: dict[str, str], moment: int) -> bool:
        table = feature_table(self._root, self._view)
        if not table.exists():
            return False
        row = pa.table({name: pa.array([value], pa.string()) for name, value in tags.items()})
        (entity,) = with_entity(self._view, row)[ENTITY].to_pylist()
        return bool(published(table, self._view, start=moment, entities=[entity], columns=[]).num_rows)
