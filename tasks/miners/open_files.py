"""Enough open files for a kept connection per miner.

When descriptors run out, the miners that come last fail on every tick as if they were dead, so this is settled before
the first poll.
"""

from __future__ import annotations

import resource

from storage.errors import NeedsHuman

_FOR_THE_REST = 200
"""Spool, logs, Prefect's client, databases."""
_SHARE = 0.8


def allow_open_files(miners: int) -> int:
    """Raise the soft limit of this process as far as ``miners`` kept connections need. Returns the limit then.

    Raises:
        NeedsHuman: the hard limit is too low; says which limit is needed.
    """
    needed = int((miners + _FOR_THE_REST) / _SHARE)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return soft
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise NeedsHuman(
            f"{miners} miners need a limit of {needed} open files; this process may have {hard} at most",
            remedy=f"Raise it, e.g. LimitNOFILE={needed} in the service's unit, or `ulimit -Hn {needed}` in its shell, "
            "or split the miners over several hosts",
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
    return needed
