"""Times of a WAMP connection."""

from __future__ import annotations

from dataclasses import dataclass

from tasks.pools.prohashing.link import QUIET_S


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds. A dead peer is noticed within ``heartbeat_s`` + ``pong_s``; one that answers pings and says nothing
    within ``quiet_s``, or twice that where it has snapshots, which are asked for in between.

    ``rejected_s`` is the wait where no try helps until somebody acts. After other losses the wait doubles from
    ``first_wait_s`` to ``longest_wait_s``, cut by up to half at random, and begins anew after a session that lived
    ``proven_s``. ``flush_s``: how long changes of one thing are gathered. ``snapshot_s``: how often the whole state is
    called for, since a worker that does not change is not told of in changes, nor is one that is gone.
    """

    heartbeat_s: float = 30.0
    pong_s: float = 10.0
    join_s: float = 10.0
    answer_s: float = 20.0
    quiet_s: float = QUIET_S
    flush_s: float = 0.5
    snapshot_s: float = 600.0
    rejected_s: float = 300.0
    first_wait_s: float = 2.0
    longest_wait_s: float = 60.0
    proven_s: float = 60.0
