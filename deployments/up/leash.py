"""``python -m deployments.up.leash PARENT COMMAND...``: become COMMAND, but end when process PARENT dies.

The kernel sends SIGTERM (Linux only). SIGINT gets its default back: what was started by a shell in the background
ignores it, and Prefect's worker ends by sending it to itself.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main(parent: int, command: list[str]) -> None:
    """Replace this process; returns only when ``parent`` is gone already."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it died before the kernel knew
            return
    os.execvp(command[0], command)  # noqa: S606 - no shell wanted


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
