"""A line protocol parser for tests, written letter by letter; shares nothing with the encoder.

Outside strings a separator is escaped by a backslash right before it and backslashes do not pair up, as the real
server has it (``k=a\\\\,b`` is the value ``a\\,b``); inside strings they pair up.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_INTEGER = re.compile(r"-?[0-9]+i")
_FLOAT = re.compile(r"-?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")


@dataclass(frozen=True)
class Line:
    """One parsed line; ``fields`` have Python's types."""

    measurement: str
    tags: dict[str, str]
    fields: dict[str, float | int | bool | str]
    time: int | None


class Malformed(ValueError):
    """The line is not line protocol; the text is what is wrong with it."""


def parse_body(body: str) -> list[Line | Malformed]:
    """Every line of a body, or what is wrong with it; line breaks inside strings do not end a line."""
    parsed: list[Line | Malformed] = []
    for text in split_lines(body):
        try:
            parsed.append(parse_line(text))
        except Malformed as malformed:
            parsed.append(malformed)
    return parsed


def split_lines(body: str) -> list[str]:
    """Texts of the lines."""
    texts, current, in_fields, in_string, escaped = [], "", False, False, False
    for letter in body:
        if letter == "\n" and not in_string:
            texts.append(current)
            current, in_fields, escaped = "", False, False
            continue
        if letter == " " and not current.endswith("\\"):
            in_fields = True
        if letter == '"' and in_fields and not escaped:
            in_string = not in_string
        escaped = letter == "\\" and not escaped
        current += letter
    texts.append(current)
    return [text for text in texts if text.strip()]


def parse_line(text: str) -> Line:
    """One line; raises Malformed."""
    key, rest = _until(text, " ")
    field_text, time_text = _until(rest, " ", strings=True)
    measurement, *tag_texts = _split(key, ",")
    tags: dict[str, str] = {}
    for tag_text in tag_texts:
        name, value = _until(tag_text, "=")
        if not name or not value or value.endswith("\\"):
            raise Malformed(f"unable to parse '{text}': missing tag value")
        tags[_unescaped(name)] = _unescaped(value)
    fields = {}
    for one in _split(field_text, ",", strings=True):
        name, value = _until(one, "=")
        fields[_unescaped(name)] = _value(text, value)
    if time_text and not re.fullmatch(r"-?[0-9]+", time_text):
        raise Malformed(f"unable to parse '{text}': bad timestamp")
    return Line(_unescaped(measurement), tags, fields, int(time_text) if time_text else None)


def _value(line: str, text: str) -> float | int | bool | str:
    if len(text) >= 2 and text[0] == text[-1] == '"':
        return re.sub(r'\\(["\\])', r"\1", text[1:-1])
    if text in ("t", "T", "true", "True", "TRUE"):
        return True
    if text in ("f", "F", "false", "False", "FALSE"):
        return False
    if _INTEGER.fullmatch(text) and -(2**63) <= int(text[:-1]) < 2**63:
        return int(text[:-1])
    if _FLOAT.fullmatch(text):
        return float(text)
    raise Malformed(f"unable to parse '{line}': invalid number")


def _until(text: str, separator: str, *, strings: bool = False) -> tuple[str, str]:
    """Text before and after the first ``separator`` that is neither escaped nor, with ``strings``, inside quotes."""
    in_string = escaped = False
    for place, letter in enumerate(text):
        if letter == separator and not in_string and not text[:place].endswith("\\"):
            return text[:place], text[place + 1 :]
        if strings and letter == '"' and not escaped:
            in_string = not in_string
        escaped = letter == "\\" and not escaped
    return text, ""


def _split(text: str, separator: str, *, strings: bool = False) -> list[str]:
    parts = []
    while text:
        part, text = _until(text, separator, strings=strings)
        parts.append(part)
    return parts


def _unescaped(text: str) -> str:
    return re.sub(r"\\([,= ])", r"\1", text)
