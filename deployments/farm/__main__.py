"""``python -m deployments.farm``: a farm in a process of its own.

Prints one JSON line when all miners listen, and ends on SIGTERM or SIGINT with exit code 0.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from contextlib import AsyncExitStack
from pathlib import Path

import msgspec

from deployments.farm.control import Control
from deployments.farm.farm import DEFAULT_PORT, FIRST_ADDRESS, Farm, variants
from deployments.farm.listener import FarmError
from deployments.farm.services import POOLS, Services


def main(arguments: list[str] | None = None) -> int:
    """Run a farm until it is told to stop. Exit codes: 0 well, 2 it cannot run as asked."""
    options = _options().parse_args(arguments)
    try:
        return asyncio.run(_run(options))
    except (FarmError, ValueError) as problem:
        print(f"farm: {problem}", file=sys.stderr)  # noqa: T201
        return 2


async def _run(options: argparse.Namespace) -> int:
    farm = Farm(
        options.miners,
        seed=options.seed,
        port=options.port,
        first_address=options.first_address,
        mix=variants(options.dialect, options.firmware),
        latency_ms=options.latency_ms,
        refresh_s=options.refresh_s,
        restart_days=options.restart_days,
        socket_port=options.socket_port,
        pools=POOLS if options.services else None,
    )
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(farm)
        ready: dict[str, object] = {"miners": len(farm.miners), "port": farm.port, "seed": farm.seed}
        ready["addresses"] = [farm.miners[0].address, farm.miners[-1].address]
        services = await stack.enter_async_context(Services(farm)) if options.services else None
        if services is not None:
            ready["services"] = services.names
        if options.control_port is not None:
            control = await stack.enter_async_context(Control(farm, options.control_port, services))
            ready["control"] = control.url
        if options.write_config is not None:
            sections = None if services is None else services.configuration()
            ready["configuration"] = str(farm.write_configuration(options.write_config, options.interval, sections))
        print(msgspec.json.encode(ready).decode(), flush=True)  # noqa: T201
        await stop.wait()
    return 0


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m deployments.farm", description="Simulated miners on loopback addresses, with known truth."
    )
    add = parser.add_argument
    add("--miners", type=int, default=24, help="how many (default %(default)s)")
    add("--seed", type=int, default=1, help="everything but clock and faults follows from it (default %(default)s)")
    add("--port", type=int, default=DEFAULT_PORT, help="port of all miners; 0 takes a free one (default %(default)s)")
    add("--socket-port", type=int, metavar="PORT", help="serve VNish's socket API too (4028 on real miners)")
    add("--first-address", default=FIRST_ADDRESS, metavar="IP", help="of the first miner (default %(default)s)")
    add("--control-port", type=int, metavar="PORT", help="serve truth and faults on 127.0.0.1; 0 takes a free port")
    add("--latency-ms", type=_latency, default=(0.0, 0.0), metavar="MS|LOW-HIGH", help="delay of every answer")
    add("--refresh-s", type=float, default=1.0, metavar="S", help="figures are renewed so often (default %(default)s)")
    add("--services", action="store_true", help="simulate the miners' pools, providers of prices and explorers too")
    add("--restart-days", type=float, metavar="DAYS", help="mean time between restarts by themselves (default: none)")
    add("--dialect", action="append", default=[], help="only miners of this dialect, or all there are; may be repeated")
    add("--firmware", action="append", default=[], help="only miners of this firmware version; may be repeated")
    add("--write-config", type=Path, metavar="DIR", help="write data_collection_config.yaml there")
    add("--interval", type=int, default=10, metavar="S", help="polling interval to write (default %(default)s)")
    return parser


def _latency(text: str) -> tuple[float, float]:
    low, _, high = text.partition("-")
    try:
        return float(low), float(high or low)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is neither milliseconds nor a range such as 50-200") from None


if __name__ == "__main__":
    sys.exit(main())
