"""What one value is: its type, how it behaves over time, its unit and its meaning."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

UNITS = frozenset(
    {
        "",  # a name, a text or a count without dimension
        "H/s", "W", "degC", "J/TH", "J/MH", "MHz", "V", "s", "ms", "rpm", "percent", "ratio", "bytes",
        "d1_shares",  # work, counted as shares of difficulty 1
        "shares", "hashes", "coins", "USD", "BTC", "kWh", "USD/kWh", "USD/TH/day", "USD/day", "days", "count",
        "count/s",
    }
)  # fmt: skip
"""Units that a field may have. Storage holds base units only; TH/s is for the edges (page, exports)."""


class Type(StrEnum):
    """Stored type, the same in line protocol, Arrow and SQL."""

    FLOAT = "float"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    STRING = "string"


class Kind(StrEnum):
    """How a field behaves over time, which decides what its roll-up keeps (storage/declaration/rollup.py)."""

    GAUGE = "gauge"  # a level: hashrate, temperature
    COUNTER = "counter"  # rises until a reset: accepted shares, uptime
    STATE = "state"  # one of the declared ``values``, or true/false
    TEXT = "text"  # changes seldom: URL, firmware, error text


@dataclass(frozen=True, slots=True)
class Field:
    """One declared field.

    ``exact`` keeps a float bit for bit (money, prices, difficulty); others are rounded to 16 significant bits when
    written, a relative error below 1.6e-5 that halves the disk (reference/influx-portable.md 5.2).
    ``values`` lists what a STATE of type string may hold. ``long`` is a text of kilobytes, no two of them alike.
    ``integrated``: a GAUGE that adds up over time (power to energy, hashrate to hashes), so its roll-up weights it so.
    ``was`` is the name under which the lake holds its values of before: a type never changes, so a field of another
    type (or name) is declared anew and the old one goes; reads take its values where they fit the new type.
    """

    name: str
    type: Type
    kind: Kind
    unit: str
    meaning: str
    exact: bool = False
    values: tuple[str, ...] = ()
    long: bool = False
    integrated: bool = False
    was: str = ""

    def __post_init__(self) -> None:
        if self.unit not in UNITS:
            raise ValueError(f"field {self.name}: unit {self.unit!r} is not one of {sorted(UNITS)}")
        if self.name == "time" or not self.name.isidentifier() or self.name != self.name.lower():
            raise ValueError(f"field {self.name!r}: a name is lower case with underscores and never 'time'")
        if (self.kind is Kind.STATE) != (self.type is Type.BOOLEAN or bool(self.values)):
            raise ValueError(f"field {self.name}: a STATE is a boolean or has values, and nothing else has them")
        if self.was == self.name:
            raise ValueError(f"field {self.name}: it was another name or none")
        if self.integrated and self.kind is not Kind.GAUGE:
            raise ValueError(f"field {self.name}: only a GAUGE adds up over time")


@dataclass(frozen=True, slots=True)
class Tag:
    """One declared tag: an identity that never changes for a series and has few values."""

    name: str
    meaning: str


def gauge(name: str, unit: str, meaning: str, *, exact: bool = False, integrated: bool = False) -> Field:
    """A float level, e.g. a temperature."""
    return Field(name, Type.FLOAT, Kind.GAUGE, unit, meaning, exact, integrated=integrated)


def level(name: str, unit: str, meaning: str, *, integrated: bool = False) -> Field:
    """A whole-number level, e.g. rpm."""
    return Field(name, Type.INTEGER, Kind.GAUGE, unit, meaning, integrated=integrated)


def counter(name: str, unit: str, meaning: str) -> Field:
    """A whole number that rises until it is reset."""
    return Field(name, Type.INTEGER, Kind.COUNTER, unit, meaning)


def work(name: str, meaning: str) -> Field:
    """A float counter of work in difficulty-1 shares; it outgrows int64 at pools, hence a float."""
    return Field(name, Type.FLOAT, Kind.COUNTER, "d1_shares", meaning, exact=True)


def flag(name: str, meaning: str) -> Field:
    """A true/false state."""
    return Field(name, Type.BOOLEAN, Kind.STATE, "", meaning)


def state(name: str, values: tuple[str, ...], meaning: str) -> Field:
    """A state with a closed list of values."""
    return Field(name, Type.STRING, Kind.STATE, "", meaning, values=values)


def text(name: str, meaning: str) -> Field:
    """Free text that changes seldom."""
    return Field(name, Type.STRING, Kind.TEXT, "", meaning)


def long_text(name: str, meaning: str) -> Field:
    """A text of kilobytes, different in every row."""
    return Field(name, Type.STRING, Kind.TEXT, "", meaning, long=True)
