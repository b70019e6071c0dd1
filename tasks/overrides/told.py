"""What other hosts have set by hand of their miners, as their shifts told it (``miner_event``).

Overrides are files of the host that asks a miner. A watch elsewhere, over several sites, learns of them from the store:
a shift tells ``override_began`` and ``override_ended`` at the tick that follows.
"""

from __future__ import annotations

from storage.declaration import MEASUREMENTS, Tier
from storage.downsample.windows import unix_seconds
from storage.store import Store
from tasks.overrides.override import Override
from tasks.overrides.stretches import EVENT_KINDS, LONGEST_S

_WHOLE_S = 3_600
_LATE_S = 7_200
"""What a look goes back beside the whole: a site that was cut off tells late, and the next whole look sees it."""
_EVENT = MEASUREMENTS["miner_event"]


class ToldOverrides:
    """What holds of miners by their newest event. The whole time that an override may last is read once an hour, the
    last two hours at every look."""

    def __init__(self) -> None:
        self._newest: dict[str, tuple[int, str | None]] = {}
        self._whole: float | None = None

    def look(self, store: Store, now: float) -> tuple[Override, ...]:
        """Those that hold at ``now`` (Unix seconds). Raises TryAgain where the store does not answer."""
        whole = self._whole is None or not 0 <= now - self._whole < _WHOLE_S
        since = int(now) - (LONGEST_S if whole else _LATE_S)
        table = store.read(
            _EVENT,
            Tier.RAW,
            since,
            int(now) + 1,
            where={"kind": list(EVENT_KINDS), "subject": "miner"},
            columns=["severity", "new"],
        )
        columns = (table["miner_id"].to_pylist(), unix_seconds(table).tolist(), table["new"].to_pylist())
        for miner_id, time, new in zip(*columns, strict=True):
            if time >= self._newest.get(miner_id, (0, None))[0]:
                self._newest[miner_id] = (time, new)
        if whole:
            self._whole = now
        found = (
            Override.from_words(new, miner_id=miner_id, made=time)
            for miner_id, (time, new) in self._newest.items()
            if new is not None
        )
        return tuple(one for one in found if one is not None and one.holds(now))
