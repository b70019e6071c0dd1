"""A reader of the InfluxQL that panels use: enough to know which measurements, fields and tags a query touches.

Stricter than the server on purpose: every name is in double quotes, every SELECT is bounded in time, and what this
reader does not know is refused, since a server answers a misspelt name with an empty result and no error
(reference/influx-portable.md 2.1).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

_TOKEN = re.compile(
    r"""\s*(?:(?P<name>"(?:[^"\\]|\\.)*") | (?P<text>'(?:[^'\\]|\\.)*') | (?P<regex>(?<=~\s)/(?:[^/\\]|\\.)*/)
      | (?P<variable>\$__?[a-zA-Z]\w*|\$\{\w+(?::\w+)?\}|\$[a-zA-Z]\w*) | (?P<duration>\d+(?:ns|u|ms|s|m|h|d|w)\b)
      | (?P<number>\d+(?:\.\d+)?(?:e\d+)?) | (?P<word>[a-zA-Z_]\w*) | (?P<sign>=~|!~|<=|>=|!=|<>|[-+*/%(),=<>]))""",
    re.VERBOSE | re.IGNORECASE,
)
_KEEP_UNIT = frozenset({"mean", "max", "min", "last", "first", "sum", "median", "spread", "mode"})
_COUNTS = frozenset({"count"})
_NUMBERS = frozenset({"mean", "max", "min", "sum", "median", "spread"})
_OVER_WINDOWS = frozenset({"moving_average"})
_FUNCTIONS = _KEEP_UNIT | _COUNTS | _OVER_WINDOWS


class QueryFault(ValueError):
    """A query is not what this reader knows; says where."""


@dataclass(frozen=True, slots=True)
class Column:
    """One selected column: the field names in it, and the one field whose unit it still has, if it has.

    ``numbers`` are the fields that some function takes for numbers; ``counts`` says that it is a number of rows,
    ``aggregated`` that a function is in it.
    """

    name: str
    fields: tuple[str, ...]
    unit_of: str | None
    counts: bool = False
    numbers: tuple[str, ...] = ()
    aggregated: bool = False


@dataclass(slots=True)
class Select:
    """A SELECT. ``source`` is a measurement or another SELECT; ``compared`` are names in its WHERE."""

    columns: list[Column] = field(default_factory=list)
    source: str | Select = ""
    compared: list[tuple[str, str | None]] = field(default_factory=list)
    group_by: list[str] = field(default_factory=list)
    interval: str | None = None
    bounded: bool = False
    fill: str | None = None
    order: str | None = None
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class ShowTagValues:
    """SHOW TAG VALUES of one tag of one measurement; ``compared`` are tags in its WHERE."""

    measurement: str
    key: str
    compared: tuple[str, ...]


def parse(query: str) -> Select | ShowTagValues:
    """Read one statement.

    Raises:
        QueryFault: not one of the forms above, or something after its end.
    """
    reader = _Reader(query)
    statement = reader.show() if reader.peek("SHOW") else reader.select()
    reader.end()
    return statement


class _Reader:
    def __init__(self, query: str) -> None:
        self._query = query
        self._tokens: list[tuple[str, str, int]] = []
        position = 0
        while query[position:].strip():
            match = _TOKEN.match(query, position)
            if match is None or match.lastgroup is None:
                raise QueryFault(f"unknown character at {query[position:].strip()[:20]!r}")
            self._tokens.append((match.lastgroup, match.group(match.lastgroup), match.start(match.lastgroup)))
            position = match.end()
        self._at = 0

    def peek(self, *words: str) -> bool:
        """Whether the next tokens are these words or signs."""
        following = self._tokens[self._at : self._at + len(words)]
        return len(following) == len(words) and all(
            kind in ("word", "sign") and text.upper() == word
            for (kind, text, _), word in zip(following, words, strict=True)
        )

    def _skip(self, *words: str) -> bool:
        if not self.peek(*words):
            return False
        self._at += len(words)
        return True

    def _expect(self, *words: str) -> None:
        if not self._skip(*words):
            raise self._fault(" ".join(words))

    def _take(self, *kinds: str) -> str:
        if self._at < len(self._tokens) and self._tokens[self._at][0] in kinds:
            self._at += 1
            return self._tokens[self._at - 1][1]
        raise self._fault(" or ".join(kinds))

    def _kind(self) -> str | None:
        return self._tokens[self._at][0] if self._at < len(self._tokens) else None

    def _fault(self, expected: str) -> QueryFault:
        rest = self._query[self._tokens[self._at][2] :][:40] if self._at < len(self._tokens) else "its end"
        return QueryFault(f"expected {expected} at {rest!r}")

    def end(self) -> None:
        """Nothing may follow."""
        if self._at < len(self._tokens):
            raise self._fault("the end")

    def _name(self) -> str:
        return self._take("name")[1:-1]

    def show(self) -> ShowTagValues:
        """SHOW TAG VALUES FROM "m" WITH KEY = "k" [WHERE ...]."""
        self._expect("SHOW", "TAG", "VALUES", "FROM")
        measurement = self._name()
        self._expect("WITH", "KEY", "=")
        key = self._name()
        into = Select()
        if self._skip("WHERE"):
            self._conditions(into)
        return ShowTagValues(measurement, key, tuple(name for name, _ in into.compared))

    def select(self) -> Select:
        """SELECT with everything that may follow."""
        found = Select()
        self._expect("SELECT")
        found.columns.append(self._column())
        while self._skip(","):
            found.columns.append(self._column())
        self._expect("FROM")
        if self._skip("("):
            found.source = self.select()
            self._expect(")")
        else:
            found.source = self._name()
        if self._skip("WHERE"):
            self._conditions(found)
        if self._skip("GROUP", "BY"):
            self._dimension(found)
            while self._skip(","):
                self._dimension(found)
        if self._skip("FILL"):
            self._expect("(")
            found.fill = self._take("word", "number")
            self._expect(")")
        if self._skip("ORDER", "BY"):
            self._expect("TIME")
            found.order = self._take("word").upper()
        if self._skip("LIMIT"):
            found.limit = int(self._take("number"))
        return found

    def _column(self) -> Column:
        column = self._sum()
        if self._skip("AS"):
            return replace(column, name=self._name())
        return column

    def _sum(self) -> Column:
        left = self._product()
        while self.peek("+") or self.peek("-"):
            self._take("sign")
            right = self._product()
            same = left.unit_of if left.unit_of == right.unit_of else None
            left = Column(
                left.name, left.fields + right.fields, same, left.counts and right.counts, left.numbers + right.numbers
            )
        return left

    def _product(self) -> Column:
        left = self._factor()
        while self.peek("*") or self.peek("/"):
            self._take("sign")
            right = self._factor()
            left = _joined(left, right, None, counts=False)
        return left

    def _factor(self) -> Column:
        if self._skip("("):
            inner = self._sum()
            self._expect(")")
            return inner
        if self._kind() == "number":
            self._take("number")
            return Column("", (), None)
        if self._kind() == "name":
            name = self._name()
            return Column(name, (name,), name)
        function = self._take("word").lower()
        if function not in _FUNCTIONS:
            raise QueryFault(f"function {function} is none of {', '.join(sorted(_FUNCTIONS))}")
        self._expect("(")
        inner = self._sum()
        if function in _OVER_WINDOWS:
            self._expect(",")
            self._take("number")
        self._expect(")")
        counts = function in _COUNTS
        unit_of = inner.unit_of if function in _KEEP_UNIT else None
        numbers = inner.fields if function in _NUMBERS else inner.numbers
        return Column(function, inner.fields, unit_of, counts, numbers, aggregated=True)

    def _conditions(self, into: Select) -> None:
        self._condition(into)
        while self._skip("AND") or self._skip("OR"):
            self._condition(into)

    def _condition(self, into: Select) -> None:
        if self._skip("("):
            self._conditions(into)
            self._expect(")")
            return
        if self._kind() == "variable":
            if self._take("variable") != "$timeFilter":
                raise QueryFault("only $timeFilter stands alone in WHERE")
            into.bounded = True
            return
        name = self._name()
        if self._skip("=~") or self._skip("!~"):
            self._take("regex")
            into.compared.append((name, None))
            return
        self._take("sign")
        value = self._take("text", "number", "word")
        into.compared.append((name, value[1:-1] if value.startswith("'") else None))

    def _dimension(self, into: Select) -> None:
        if self._skip("TIME", "("):
            into.interval = self._take("variable", "duration")
            self._expect(")")
        else:
            into.group_by.append(self._name())


def _joined(left: Column, right: Column, unit_of: str | None, *, counts: bool) -> Column:
    return Column(
        left.name,
        left.fields + right.fields,
        unit_of,
        counts,
        left.numbers + right.numbers,
        left.aggregated or right.aggregated,
    )
