"""A PDF cannot be searched for a name: it goes with the text of its period, and others stay."""

from __future__ import annotations

from pathlib import Path

from storage.erasure.entity import Entity
from storage.erasure.files import erase_from_reports


def test_the_paper_goes_with_its_text(tmp_path: Path) -> None:
    for day, text in (("2026-11-27", "lost most: m2"), ("2026-11-28", "lost most: m1")):
        (tmp_path / f"{day}.md").write_text(text)
        (tmp_path / f"{day}.html").write_text(text)
        (tmp_path / f"{day}.pdf").write_bytes(b"%PDF-1.3 packed")
        (tmp_path / f"{day}-profit.svg").write_text("<svg/>")
    (tmp_path / "2026-11-28.pdf.new").write_bytes(b"%PDF-1.3 killed while it was written")
    done = erase_from_reports(tmp_path, Entity({"miner_id": "m1"}, 0, 2_000_000_000, None))
    assert done.files == 4
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "2026-11-27-profit.svg", "2026-11-27.html", "2026-11-27.md", "2026-11-27.pdf", "2026-11-28-profit.svg",
    ]  # fmt: skip
    assert erase_from_reports(tmp_path, Entity({"miner_id": "m1"}, 0, 2_000_000_000, None)).files == 0
