"""Words of VNish for what a miner and its boards do; REST and socket use the same."""

from __future__ import annotations

STATES = {
    "mining": "mining",
    "initializing": "starting",
    "starting": "starting",
    "restarting": "starting",
    "auto-tuning": "tuning",
    "shutting-down": "stopped",
    "stopped": "stopped",
    "paused": "paused",
    "pausing": "paused",
    "failure": "failed",
}
"""Their word to one of MINER_STATES. *Degraded* is no word of theirs."""

BOARD_STATES = frozenset({"mining", "initializing", "stopped", "failure", "disconnected", "disabled", "unknown"})
"""Words that are the same in ``miner_board.status``."""
