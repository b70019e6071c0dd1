"""``python -m tests.gameday``: play a game day and tell what came of it. docs/game-day.md."""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.gameday.play import Miss, Play, Skipped
from tests.gameday.product import Product
from tests.gameday.proof import proof
from tests.gameday.scenarios import SCENARIOS, SHORT, small_volume

PATIENCE_S = 300.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit codes: 0 all was noticed and nothing lost, 1 a miss, 2 it could not be played."""
    parser = argparse.ArgumentParser(prog="python -m tests.gameday", description="Play mishaps against lodeline up.")
    parser.add_argument("--only", action="append", choices=list(SCENARIOS), help="play this; may be given again")
    parser.add_argument("--short", action="store_true", help=f"play {' and '.join(SHORT)} only")
    parser.add_argument("--embedded", action="store_true", help="without InfluxDB, also where influxd is installed")
    parser.add_argument("--miners", type=int, default=30, help="simulated miners (default %(default)s)")
    parser.add_argument("--patience", type=float, default=PATIENCE_S, metavar="S", help="longest wait (%(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result there as well")
    options = parser.parse_args(arguments)
    names = options.only or (SHORT if options.short else list(SCENARIOS))
    influx = not options.embedded and shutil.which("influxd") is not None
    folder = Path(tempfile.mkdtemp(prefix="gameday-"))
    mounted = "disk full" in names and small_volume(folder / "data", "600m")
    try:
        result = play(folder, names, miners=options.miners, influx=influx, patience_s=options.patience, say=_say)
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
    if result["well"]:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        _say(f"What is left of it lies in {folder}")
    return 0 if result["well"] else 1


def play(
    folder: Path, names: Sequence[str], *, miners: int, influx: bool, patience_s: float, services: bool = True,
    say: Any = lambda _line: None,
) -> dict[str, Any]:  # fmt: skip
    """Play scenarios one after another, then end the product and prove that all is there. ``services``: pools and
    markets too.

    Raises:
        RuntimeError: the product did not come up.
    """
    product = Product(folder, folder / "data", miners=miners, influx=influx, services=services)
    plays: list[Play] = []
    try:
        began = time.monotonic()
        product.start()
        say(
            f"lodeline up after {time.monotonic() - began:.0f} s, into {'InfluxDB' if influx else 'the embedded store'}"
        )
        for name in names:
            one = Play(name, patience_s)
            plays.append(one)
            try:
                SCENARIOS[name](product, one)
            except Skipped as why:
                one.skipped = str(why)
            except (Miss, StopIteration) as miss:
                one.fault = str(miss) or "it said nothing of it"
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
        "store": "influxdb" if influx else "embedded",
        "scenarios": plain,
        "proof": found,
        "summary": dict(summary),
    }


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
