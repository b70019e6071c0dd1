"""cgminer's socket API on port 4028; see README.md beside this file."""

from tasks.miners.cgminer_socket.session import CgminerSocket

__all__ = ["CgminerSocket"]
