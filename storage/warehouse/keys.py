"""Keys of dimensions: numbers that depend on nothing but what they name."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Keys = npt.NDArray[np.int64]


def surrogate(*natural: str | int) -> int:
    """Key of the row that ``natural`` identifies: 63 bits of SHA-256, never negative.

    Two of a million rows share a key with a chance of 5e-8.
    """
    text = "\0".join(map(str, natural))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) >> 1


def keys_of(column: pa.ChunkedArray) -> pa.Array:
    """Key of each value of a text column; null stays null."""
    coded = column.combine_chunks().dictionary_encode()
    words = pa.array([surrogate(word) for word in coded.dictionary.to_pylist()], pa.int64())
    return words.take(coded.indices)


def hours_as_keys(times: Keys) -> Keys:
    """``yyyymmddhh`` of Unix seconds, UTC."""
    moments = times.astype("datetime64[s]")
    days = moments.astype("datetime64[D]")
    months = moments.astype("datetime64[M]")
    year = moments.astype("datetime64[Y]").astype(np.int64) + 1970
    month = months.astype(np.int64) % 12 + 1
    day = (days - months.astype("datetime64[D]")).astype(np.int64) + 1
    hour = (moments - days.astype("datetime64[s]")).astype(np.int64) // 3600
    return np.asarray(((year * 100 + month) * 100 + day) * 100 + hour, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a miner: what facts need to find it. ``valid_from`` is Unix seconds."""

    key: int
    miner_id: str
    model: str | None
    site: str | None
    valid_from: int


class Versions:
    """All versions of all miners, looked up by series and time."""

    def __init__(self, versions: Sequence[Version]) -> None:
        self.all = sorted(versions, key=lambda version: (version.valid_from, version.miner_id))
        self._by_miner: dict[str, list[Version]] = {}
        for version in self.all:
            self._by_miner.setdefault(version.miner_id, []).append(version)

    def keys(self, tags: Mapping[str, str | None], ends: Keys) -> list[int | None]:
        """Key of the version that a row of the series ``tags`` is of; ``ends`` are the ends of the rows' windows.

        The newest version that had begun by then, of those with the model and site of the series where it names them;
        before the first version, the first. None where the miner has none.
        """
        versions = self._by_miner.get(tags.get("miner_id") or "", [])
        same = [v for v in versions if all(tags.get(n, getattr(v, n)) == getattr(v, n) for n in ("model", "site"))]
        versions = same or versions
        if not versions:
            return [None] * len(ends)
        begun = np.searchsorted([version.valid_from for version in versions], ends, side="left") - 1
        return [versions[at].key for at in np.maximum(begun, 0).tolist()]

    def fingerprint(self, stop: int) -> str:
        """What facts before ``stop`` depend on."""
        known = [(v.key, v.model, v.site) for v in self.all if v.valid_from < stop]
        return hashlib.sha256(repr(known).encode()).hexdigest()[:16]
