"""A report as PDF, on A4. Needs the extra [pdf]. The same report gives the same bytes."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from storage.errors import NeedsHuman
from tasks.reports.comparison import compared
from tasks.reports.figures import Report
from tasks.reports.page import TILES, against
from tasks.reports.text import Section, Table, sections

if TYPE_CHECKING:
    from fpdf import FPDF

CORE_ENCODING = "windows-1252"
"""What the fonts that every PDF reader brings can show."""
FURTHER_FONTS = tuple(
    Path("/usr/share/fonts", place)
    for place in (
        "truetype/dejavu/DejaVuSans.ttf", "dejavu/DejaVuSans.ttf", "dejavu-sans-fonts/DejaVuSans.ttf",
        "TTF/DejaVuSans.ttf", "truetype/noto/NotoSans-Regular.ttf",
    )
)  # fmt: skip
"""Fonts of the host for names that these cannot show, e.g. Cyrillic ones; without any they are shown as ``?``."""

_MARGIN_MM, _GREY, _INK = 14, 95, 34
_WIDEST = 46


def as_pdf(report: Report) -> bytes:
    """The report as PDF.

    Raises:
        NeedsHuman: fpdf2 is not installed.
    """
    said = sections(report)
    paper = _opened(report, said)
    _words(paper, report.period.title, 15, bold=True)
    _tiles(paper, report)
    for section in said:
        _section(paper, section)
    return bytes(paper.output())


def _opened(report: Report, said: Sequence[Section]) -> FPDF:
    try:
        from fpdf import FPDF
    except ImportError as error:
        raise NeedsHuman("a PDF needs fpdf2, which is not installed", remedy="Install lodeline[pdf]") from error

    class Numbered(FPDF):
        """Tells the period and the page below each page."""

        def footer(self) -> None:
            self.set_y(-12)
            self.set_font(size=8)
            self.set_text_color(_GREY)
            self.cell(0, 8, f"{report.period.title}, page {self.page_no()} of {{nb}}", align="C")

    paper = Numbered(format="A4")
    paper.core_fonts_encoding = CORE_ENCODING
    paper.set_creation_date(datetime.fromtimestamp(report.period.stop, UTC))
    paper.set_title(report.period.title)
    paper.set_margin(_MARGIN_MM)
    paper.set_auto_page_break(True, 16)
    _choose_font(paper, said)
    paper.add_page()
    return paper


def _choose_font(paper: FPDF, said: Sequence[Section]) -> None:
    """Helvetica where it can show all that is said, else a font of the host, else Helvetica with question marks."""
    foreign = any(_cannot_be_shown(words) for section in said for words in _all_words(section))
    font = next((path for path in FURTHER_FONTS if path.is_file()), None) if foreign else None
    if font is None:
        paper.set_font("Helvetica")
        return
    bold = font.with_name("DejaVuSans-Bold.ttf")
    paper.add_font("further", "", font)
    paper.add_font("further", "B", bold if bold.is_file() else font)
    paper.set_font("further")


def _all_words(section: Section) -> Iterator[str]:
    yield from (section.heading, *section.paragraphs, *section.points)
    for row in section.table.rows if section.table else ():
        yield from row


def _cannot_be_shown(words: str) -> bool:
    return words.encode(CORE_ENCODING, "replace").decode(CORE_ENCODING) != words


def _shown(paper: FPDF, words: str) -> str:
    return words if paper.is_ttf_font else words.encode(CORE_ENCODING, "replace").decode(CORE_ENCODING)


def _words(paper: FPDF, words: str, size: float, *, bold: bool = False, grey: bool = False) -> None:
    paper.set_font(style="B" if bold else "", size=size)
    paper.set_text_color(_GREY if grey else _INK)
    paper.multi_cell(0, size * 0.5, _shown(paper, words), align="L", new_x="LMARGIN", new_y="NEXT")


def _tiles(paper: FPDF, report: Report) -> None:
    """The first figures of the comparison, large."""
    paper.ln(2)
    rows = compared(report)[:TILES]
    if not rows:
        return
    top, wide, gap, high = paper.get_y(), paper.epw, 3.0, 19.0
    each = (wide - gap * (len(rows) - 1)) / len(rows)
    for place, (what, now, _, change) in enumerate(rows):
        left = paper.l_margin + place * (each + gap)
        paper.set_draw_color(190)
        paper.rect(left, top, each, high, round_corners=True, corner_radius=1.5)
        said = against(change, report.period.word)
        for down, size, bold, words in ((2.0, 8, False, what), (6.5, 13, True, now), (13.0, 7, False, said)):
            with _at(paper, left + 2, top + down):
                paper.set_font(style="B" if bold else "", size=size)
                paper.set_text_color(_INK if bold else _GREY)
                fitting = size * min(1.0, (each - 5) / max(paper.get_string_width(_shown(paper, words)), 1))
                paper.set_font_size(fitting)
                paper.cell(each - 4, size * 0.42, _shown(paper, words))
    paper.set_y(top + high + 2)


@contextmanager
def _at(paper: FPDF, x: float, y: float) -> Iterator[None]:
    paper.set_xy(x, y)
    yield


def _section(paper: FPDF, section: Section) -> None:
    first_picture = 1.05 * _picture_height(paper) if section.pictures else 0.0
    if paper.will_page_break(14 + first_picture):
        paper.add_page()
    paper.ln(3)
    _words(paper, section.heading, 12, bold=True)
    paper.ln(1)
    for paragraph in section.paragraphs:
        _words(paper, paragraph, 10)
    for point in section.points:
        _words(paper, f"\N{BULLET} {point}", 10)
    for picture in section.pictures:
        high = _picture_height(paper)
        if paper.will_page_break(high + 6):
            paper.add_page()
        paper.ln(1.5)
        _words(paper, picture.caption, 8, grey=True)
        with paper.local_context():
            paper.image(io.BytesIO(picture.svg.encode()), w=paper.epw, h=high, alt_text=picture.caption)
    if section.table is not None:
        _table(paper, section.table)


def _picture_height(paper: FPDF) -> float:
    from tasks.reports.chart import HEIGHT, WIDTH

    return paper.epw * HEIGHT / WIDTH


def _table(paper: FPDF, table: Table) -> None:
    from fpdf.enums import TableBordersLayout
    from fpdf.fonts import FontFace

    paper.ln(1.5)
    paper.set_font(style="", size=8.5)
    paper.set_text_color(_INK)
    paper.set_draw_color(200)
    lines = [table.header, *table.rows]
    widths = [min(max(len(line[place]) for line in lines) + 2, _WIDEST) for place in range(len(table.header))]
    aligned = tuple("RIGHT" if place in table.numbers else "LEFT" for place in range(len(table.header)))
    with paper.table(
        col_widths=tuple(widths),
        text_align=aligned,
        line_height=4.6,
        borders_layout=TableBordersLayout.HORIZONTAL_LINES,
        headings_style=FontFace(emphasis="BOLD", color=_GREY),
        padding=(0.4, 1.5),
    ) as drawn:
        for line in lines:
            drawn.row([_shown(paper, cell) for cell in line])
