"""``python -m tests.gameday``: play a game day and tell what came of it. docs/game-day.md."""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from tests.gameday.play import Miss, Play, Skipped
from tests.gameday.product import SHORTENED_S, Product
from tests.gameday.proof import proof
from tests.gameday.scenarios import SCENARIOS, SHORT, small_volume

PATIENCE_S = 300.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit codes: 0 all was noticed and nothing lost, 1 a miss, 2 it could not be played."""
    parser = argparse.ArgumentParser(prog="python -m tests.gameday", description="Play mishaps against lodeline up.")
    parser.add_argument("--only", action="append", choices=list(SCENARIOS), help="play this; may be given again")
    parser.add_argument("--short", action="store_true", help=f"play {' and '.join(SHORT)} only, side by side")
    parser.add_argument("--embedded", action="store_true", help="without InfluxDB, also where influxd is installed")
    parser.add_argument("--miners-only", action="store_true", help="without pools and markets")
    parser.add_argument("--folder", type=Path, help="play there, in an empty folder, and leave all as it is at the end")
    parser.add_argument("--miners", type=int, default=30, help="simulated miners (default %(default)s)")
    parser.add_argument("--patience", type=float, default=PATIENCE_S, metavar="S", help="longest wait (%(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result there as well")
    options = parser.parse_args(arguments)
    names = options.only or (SHORT if options.short else list(SCENARIOS))
    influx = not options.embedded and shutil.which("influxd") is not None
    folder = options.folder or Path(tempfile.mkdtemp(prefix="gameday-"))
    mounted = "disk full" in names and small_volume(folder / "data", "600m")
    try:
        product = Product(
            folder,
            folder / "data",
            miners=options.miners,
            influx=influx,
            services=not options.miners_only,
            waits_s=0 if options.short else SHORTENED_S,
        )
        result = play(product, names, patience_s=options.patience, together=options.short, say=_say)
    except RuntimeError as error:
        _say(f"The game day could not be played: {error}")
        return 2
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(folder / "data")], check=False)
    for line in in_words(result):
        _say(line)
    if options.json is not None:
        options.json.write_text(json.dumps(result, indent=1))
    if result["well"] and options.folder is None:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        _say(f"What is left of it lies in {folder}")
    return 0 if result["well"] else 1


def play(
    product: Product, names: Sequence[str], *, patience_s: float, together: bool, say: Callable[[str], None]
) -> dict[str, Any]:
    """Play scenarios, one after another or all ``together``, then end the product and prove that all is there.

    Raises:
        RuntimeError: the product did not come up.
    """
    store = "embedded" if product.influx is None else "influxdb"
    plays = [Play(name, patience_s) for name in names]
    try:
        began = time.monotonic()
        product.start()
        say(f"lodeline up after {time.monotonic() - began:.0f} s, store {store}")
        with ThreadPoolExecutor(len(plays) if together else 1) as players:
            for one in players.map(partial(_played, product), plays):
                say(_line(one))
        product.heal()
        code, summary = product.end()
        found = proof(product)
    finally:
        product.close()
    if code != 0:
        found["faults"].append(f"lodeline up ended with exit code {code}: {product.lines[-3:]}")
    for word in ("points_dead_lettered", "backlog"):
        if summary.get(word, -1) != 0:
            found["faults"].append(f"{word} is {summary.get(word)} at the end")
    if summary.get("points_accepted") != summary.get("points_stored"):
        found["faults"].append(f"{summary.get('points_accepted')} accepted, {summary.get('points_stored')} stored")
    plain = [{key: value for key, value in asdict(one).items() if not key.startswith("_")} for one in plays]
    return {
        "well": all(one.well for one in plays) and not found["faults"],
        "store": store,
        "scenarios": plain,
        "proof": found,
        "summary": dict(summary),
    }


def _played(product: Product, one: Play) -> Play:
    try:
        SCENARIOS[one.name](product, one)
    except Skipped as why:
        one.skipped = str(why)
    except (Miss, StopIteration) as miss:
        one.fault = str(miss) or "it said nothing of it"
    return one


def in_words(result: dict[str, Any]) -> list[str]:
    """The result as a table and the proof below it."""
    lines = [
        "",
        "| scenario | done | noticed by | after | by itself | told | over after |",
        "|---|---|---|---|---|---|---|",
    ]
    for one in result["scenarios"]:
        if one["skipped"]:
            lines.append(f"| {one['name']} | NOT PLAYED: {one['skipped']} | | | | | |")
            continue
        cells = [one["name"], one["done"], one["detected_by"], _seconds(one["detected_s"]), one["itself"], one["told"]]
        cells.append(f"MISS: {one['fault']}" if one["fault"] else _seconds(one["over_s"]))
        lines.append("| " + " | ".join(cell.replace("|", "/") for cell in cells) + " |")
    proved = result["proof"]
    lines += ["", "Stored: " + ", ".join(f"{name} {number}" for name, number in proved["counted"].items())]
    lines += [f"FAULT: {fault}" for fault in proved["faults"][:20]] or ["Every accepted point is stored exactly once."]
    return [*lines, "", "Well." if result["well"] else "NOT well."]


def _line(one: Play) -> str:
    if one.skipped:
        return f"NOT PLAYED {one.name}: {one.skipped}"
    if one.fault:
        return f"MISS {one.name}: {one.fault}"
    return f"ok {one.name}: noticed after {_seconds(one.detected_s)}, over after {_seconds(one.over_s)}"


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.0f} s"


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
