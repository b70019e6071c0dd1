"""The tables in docs/warehouse.md, made from the star's declaration: ``python -m deployments.warehouse_reference``."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from deployments.markdown import markdown_table
from storage.warehouse.star import STAR, Fact, StarTable

DOCUMENT = Path(__file__).parent.parent / "docs" / "warehouse.md"
_BEGIN, _END = "<!-- made from storage/warehouse/star.py -->", "<!-- end -->"


def rendered(document: str) -> str:
    """``document`` with its tables made anew."""
    made = "\n".join(_table(star) for star in STAR)
    return re.sub(
        f"{re.escape(_BEGIN)}.*?{re.escape(_END)}", lambda _: f"{_BEGIN}\n\n{made}\n{_END}", document, flags=re.S
    )


def _table(star: StarTable) -> str:
    lines = [f"### {star.name}\n", f"{star.meaning[0].upper()}{star.meaning[1:]}. One row: {star.grain}."]
    if isinstance(star, Fact):
        source = star.source
        condition = "".join(f", {tag} {value}" for tag, value in source.where.items())
        lines.append(f"Made of `{source.measurement.stored_name(source.tier)}`{condition}; `time` is its time.")
    rows = [
        (
            f"`{column.name}`",
            column.type.value,
            column.unit or "-",
            column.meaning,
            f"`{column.source}`" if column.source else "-",
        )
        for column in star.columns
    ]
    return "\n".join([*lines, "", markdown_table(("column", "type", "unit", "meaning", "made of"), rows)])


if __name__ == "__main__":
    DOCUMENT.write_text(rendered(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
    sys.stdout.write(f"{DOCUMENT} written\n")
