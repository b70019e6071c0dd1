"""Kept polls of a span of time through today's drivers, compared with what is stored, and corrected where asked for.

The work goes hour by hour and some miners at a time, which bounds memory. A correction is a batch of its own lane in
the spool; its id is made of its content, so that a replay that was killed and is run again spools nothing twice. What
a replay has put right no longer differs, so a second one finds nothing to do.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from storage.declaration import MEASUREMENTS, Tier
from storage.declaration.payload import RAW_PAYLOAD
from storage.frame import Frame, build_frame
from storage.progress import told
from storage.spool.record import Batch
from tasks.miners.driver import MinerDriver
from tasks.miners.drivers import DRIVERS
from tasks.miners.payloads import lodeline_version
from tasks.replay.difference import REREAD, Difference, compared
from tasks.replay.recorded import kept_polls
from tasks.replay.rereading import Reread, Rereader

if TYPE_CHECKING:
    import pyarrow as pa

    from storage.store import Store

LANE = "replay"
HOUR_S = 3_600
WARM_UP_S = 3_600
"""Polls so long before the span are read as well, without a comparison: a session knows presets, boards and units from
polls before, and so does the judging of a reading."""
_MINERS_AT_ONCE = 50


class Replayed(msgspec.Struct):
    """What a replay found. ``failed`` polls give no reading today; ``newly_failed`` of them have one stored, and it
    stays. ``unreadable`` ones could not be tried. Reasons are counted. ``corrections`` are rows handed to the spool.
    """

    polls: int = 0
    miners: int = 0
    failed: dict[str, int] = {}
    newly_failed: int = 0
    unreadable: dict[str, int] = {}
    corrections: int = 0
    batches: int = 0
    difference: Difference = msgspec.field(default_factory=Difference)


Correct = Callable[[Batch], object]
"""Takes one batch of corrections."""


async def replay(
    lake: Store,
    store: Store,
    start: int,
    stop: int,
    miners: Sequence[str] | None = None,
    *,
    correct: Correct | None = None,
    run_id: str = "replay",
    drivers: Mapping[str, MinerDriver] = DRIVERS,
) -> Replayed:
    """Replay slots in ``[start, stop)`` (Unix seconds) of ``miners``, all that have any by default.

    Args:
        lake: where the answers are kept.
        store: what is compared with.
        correct: takes corrections; None to compare only.

    Raises:
        TryAgain: a store cannot answer; what was corrected until then stays.
    """
    replayed = Replayed()
    wanted = sorted(set(miners)) if miners is not None else _miners_kept(lake, start, stop)
    for at in range(0, len(wanted), _MINERS_AT_ONCE):
        some = wanted[at : at + _MINERS_AT_ONCE]
        rereaders = {miner_id: Rereader(drivers) for miner_id in some}
        for miner_id, polls in kept_polls(lake, start - WARM_UP_S, start, some).items():
            await rereaders[miner_id].read(polls.values())
        for first, end in _hours(start, stop):
            told(at + len(some) * (first - start) / (stop - start), len(wanted), "miners")
            polls_by_miner = kept_polls(lake, first, end, some)
            if not polls_by_miner:
                continue
            stored = _stored(store, first, end, some)
            configured = _slots_by_miner(stored["miner_configuration"])
            corrections: list[Frame] = []
            for miner_id, polls in polls_by_miner.items():
                reread = await rereaders[miner_id].read(polls.values(), configured.get(miner_id, set()))
                of_miner = {name: _of_miner(table, miner_id) for name, table in stored.items()}
                _count(replayed, reread, of_miner["miner_telemetry"])
                difference, frames = compared(of_miner, reread.frames, set(reread.slots))
                replayed.difference.add(difference)
                corrections += frames
            replayed.polls += sum(map(len, polls_by_miner.values()))
            if corrections and correct is not None:
                batch = _batch(first, corrections, run_id)
                correct(batch)
                replayed.batches += 1
                replayed.corrections += sum(map(len, corrections))
    replayed.miners = len(wanted)
    return replayed


def _miners_kept(lake: Store, start: int, stop: int) -> list[str]:
    rows = lake.read(RAW_PAYLOAD, Tier.RAW, start, stop, columns=["status"])
    return sorted(set(rows["miner_id"].unique().to_pylist()) - {None})


def _hours(start: int, stop: int) -> Iterator[tuple[int, int]]:
    first = start
    while first < stop:
        end = min(stop, first - first % HOUR_S + HOUR_S)
        yield first, end
        first = end


def _stored(store: Store, first: int, end: int, miners: Sequence[str]) -> dict[str, pa.Table]:
    return {
        name: store.read(MEASUREMENTS[name], Tier.RAW, first, end, where={"miner_id": list(miners)}) for name in REREAD
    }


def _of_miner(table: pa.Table, miner_id: str) -> pa.Table:
    """Rows of one miner; tables of a store are sorted by tags, so they are few slices."""
    import pyarrow.compute as pc

    return table.filter(pc.equal(table["miner_id"], miner_id))


def _slots_by_miner(table: pa.Table) -> dict[str, set[int]]:
    slots: dict[str, set[int]] = {}
    for miner_id, time in zip(table["miner_id"].to_pylist(), table["time"].to_pylist(), strict=True):
        slots.setdefault(miner_id, set()).add(int(time.timestamp()))
    return slots


def _count(replayed: Replayed, reread: Reread, telemetry: pa.Table) -> None:
    for reasons, found in ((replayed.failed, reread.failed), (replayed.unreadable, reread.unreadable)):
        for reason in found.values():
            reasons[reason] = reasons.get(reason, 0) + 1
    if reread.failed:
        answered = zip(telemetry["time"].to_pylist(), telemetry["reachable"].to_pylist(), strict=True)
        replayed.newly_failed += sum(
            reachable is True and int(time.timestamp()) in reread.failed for time, reachable in answered
        )


def _batch(first: int, corrections: list[Frame], run_id: str) -> Batch:
    """One batch that says of each poll that it corrects it; the same corrections give the same ``batch_id``."""
    content = hashlib.sha256(msgspec.msgpack.encode(corrections)).hexdigest()[:16]
    batch_id = f"{LANE}/{first}/{content}"
    polls = sorted(
        {
            (miner_id, time)
            for frame in corrections
            for miner_id, time in zip(frame.columns["miner_id"], frame.times, strict=True)
        }
    )
    corrected = build_frame(
        "replayed_poll",
        [time for _, time in polls],
        {
            "miner_id": [miner_id for miner_id, _ in polls],
            "batch_id": [batch_id] * len(polls),
            "run_id": [run_id] * len(polls),
            "version": [lodeline_version()] * len(polls),
        },
    )
    return Batch(batch_id, first, run_id, [*corrections, corrected])
