"""A report as one page of HTML that loads nothing, its pictures drawn in it, to be read and to be printed. Pure."""

from __future__ import annotations

import html

from tasks.reports.comparison import SAME, compared
from tasks.reports.figures import Report
from tasks.reports.pictures import Picture
from tasks.reports.text import Section, Table, sections

TILES = 4
"""Rows of the comparison that are shown large."""


def as_html(report: Report) -> str:
    """The report as one page of HTML."""
    title = html.escape(report.period.title)
    body = [f"<h1>{title}</h1>"]
    for number, section in enumerate(sections(report)):
        body += _section(section)
        if number == 0:
            body.insert(1, _tiles(report))
    return _PAGE.replace("TITLE", title).replace("BODY", "\n".join(body))


def _tiles(report: Report) -> str:
    word = report.period.word
    tiles = "".join(
        f"<div><span>{html.escape(what)}</span><b>{html.escape(now)}</b>"
        f"<small>{html.escape(against(change, word))}</small></div>"
        for what, now, _, change in compared(report)[:TILES]
    )
    return f'<div class="tiles">{tiles}</div>'


def against(change: str, word: str) -> str:
    """A change in a few words."""
    return f"{change} as the {word} before" if change == SAME else f"{change} to the {word} before" if change else ""


def _section(section: Section) -> list[str]:
    body = [f"<section><h2>{html.escape(section.heading)}</h2>"]
    body += [f"<p>{html.escape(paragraph)}</p>" for paragraph in section.paragraphs]
    if section.points:
        body.append(f"<ul>{''.join(f'<li>{html.escape(point)}</li>' for point in section.points)}</ul>")
    body += [_figure(one) for one in section.pictures]
    if section.table is not None:
        body.append(_table(section.table))
    return [*body, "</section>"]


def _figure(picture: Picture) -> str:
    caption = html.escape(picture.caption, quote=True)
    svg = picture.svg.replace("<svg ", f'<svg role="img" aria-label="{caption}" ', 1)
    svg = svg.replace(' xmlns="http://www.w3.org/2000/svg"', "", 1)  # HTML knows it
    return f"<figure><figcaption>{caption}</figcaption>{svg}</figure>"


def _table(table: Table) -> str:
    def cells(tag: str, row: list[str]) -> str:
        return "".join(
            f"<{tag}{' class=n' if place in table.numbers else ''}>{html.escape(cell)}</{tag}>"
            for place, cell in enumerate(row)
        )

    body = "".join(f"<tr>{cells('td', list(row))}</tr>" for row in table.rows)
    return f"<table><thead><tr>{cells('th', list(table.header))}</tr></thead><tbody>{body}</tbody></table>"


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>TITLE</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light">
<style>@page{size:A4;margin:14mm}body{font:14px/1.45 system-ui,sans-serif;color:#222;background:#fff;max-width:50rem;
margin:1.5rem auto;padding:0 1rem}h1{font-size:1.35rem}h2{font-size:1.05rem;margin:1.3rem 0 .4rem}p,ul{margin:.4rem 0}
.tiles{display:flex;flex-wrap:wrap;gap:.6rem;margin:.8rem 0}.tiles div{flex:1 1 10rem;border:1px solid #ccc;
border-radius:6px;padding:.5rem .7rem}.tiles span,.tiles small{display:block;color:#555;font-size:.8rem}
.tiles b{font-size:1.25rem}table{border-collapse:collapse;width:100%;margin:.5rem 0}
th,td{text-align:left;padding:.2rem .6rem .2rem 0;border-bottom:1px solid #ddd}th{font-weight:600;color:#555}
.n{text-align:right;white-space:nowrap}figure{margin:.6rem 0;break-inside:avoid}figcaption{font-size:.8rem;color:#555}
svg{width:100%;height:auto;display:block}tr{break-inside:avoid}h2{break-after:avoid}
@media print{body{margin:0;max-width:none;padding:0}}</style></head><body>
BODY
</body></html>
"""
