"""Where a driver finds a miner: its scheme names the transport (tasks/miners/transport.py)."""

from __future__ import annotations

from tasks.miners.socket_transport import SCHEME as SOCKET

SOCKET_PORT = 4_028
ASIC_RS = "asic-rs"
"""The library, at the maker's own ports."""

AUTO = "auto+"
"""Before http or https: any of them, as the request says."""


def base_url(driver: str, address: str, *, scheme: str = "http", port: int | None = None) -> str:
    """``scheme`` and ``port`` are those of the web interface; for ``cgminer-socket`` ``port`` is that of the socket."""
    if driver == "cgminer-socket":
        scheme, port = SOCKET, port or SOCKET_PORT
    elif driver == "asic-rs":
        scheme, port = ASIC_RS, None
    elif driver == "auto":
        scheme = AUTO + scheme
    host = f"[{address}]" if ":" in address else address
    return f"{scheme}://{host}" + (f":{port}" if port is not None else "")
