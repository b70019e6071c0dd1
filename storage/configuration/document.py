"""A YAML file as plain values, with the line of every key and with ``${NAME}`` filled in."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import yaml

from storage.configuration.place import Fault, KeyPath
from storage.configuration.resolvers import SECRETS_FOLDER, Resolver
from storage.errors import ConfigurationError

_REFERENCE = re.compile(r"\$\$\{|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)\}|(?P<broken>\$\{)")
_QUOTED = re.compile(r"'(?!<)[^']{2,}'")
_PLAIN_TAGS = "tag:yaml.org,2002:"


@dataclass
class Document:
    """Content of one file, or of none (``name`` is empty then).

    ``value`` is what a model validates; it may be partial where there are ``faults``.
    """

    name: str
    value: Any = None
    faults: list[Fault] = field(default_factory=list)
    lines: dict[KeyPath, int] = field(default_factory=dict)
    references: dict[KeyPath, str] = field(default_factory=dict)
    unfilled: set[KeyPath] = field(default_factory=set)
    resolved: dict[str, str] = field(default_factory=dict)

    def line(self, path: KeyPath) -> int:
        """Line (from 1) of the key at ``path``, or of the nearest thing around it that the file has."""
        return next((self.lines[path[:n]] for n in range(len(path), -1, -1) if path[:n] in self.lines), 1)

    def fault(self, path: KeyPath, message: str, line: int | None = None) -> Fault:
        """A fault of this file."""
        line = line or self.line(path)
        return Fault(f"{self.name}:{line}", path, message, line)


def read_document(file: Path, resolve: Resolver) -> Document:
    """Read ``file``. Everything wrong with it is in ``faults``; nothing is raised.

    ``${NAME}`` in a text is replaced by ``resolve(NAME)``, also inside a longer text; ``$${`` stands for ``${``.
    A text that was replaced stays a text: a password of digits is not taken for a number.
    """
    document = Document(str(file))
    try:
        root = _compose(file.read_bytes())
        if root is not None:
            _Reading(document, resolve).read(root)
    except OSError as error:
        document.faults.append(Fault(document.name, (), f"cannot be read: {error.strerror}"))
    except yaml.YAMLError as error:
        document.faults.append(_syntax_fault(document, error))
    except RecursionError:
        document.faults.append(Fault(document.name, (), "nested too deeply"))
    return document


def _compose(content: bytes) -> yaml.Node | None:
    with contextlib.suppress(yaml.YAMLError, AttributeError):  # libyaml: ten times as fast, but not in every build
        fast: yaml.Node | None = yaml.compose(content, Loader=yaml.CSafeLoader)
        return fast
    slow: yaml.Node | None = yaml.compose(content, Loader=yaml.SafeLoader)  # the same, and its errors say more
    return slow


def _syntax_fault(document: Document, error: yaml.YAMLError) -> Fault:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "cannot be parsed"
    if "undefined alias" in problem:
        problem = "a text that starts with * stands for an anchor (&) that is not there; put it into quotes"
    elif "<block end>" in problem:
        problem = "the indentation does not fit the lines above"
    elif "'\\t'" in problem:
        problem = "there is a tab where only blanks may stand"
    # PyYAML repeats pieces of the file in quotes, and they may be pieces of a password.
    message = f"not valid YAML: {_QUOTED.sub('...', problem)}"
    if mark is None:
        return Fault(document.name, (), message)
    return document.fault((), f"{message} (column {mark.column + 1})", mark.line + 1)


class _Reading:
    """One walk over the nodes of a file."""

    def __init__(self, document: Document, resolve: Resolver) -> None:
        self._document = document
        self._resolve = resolve
        self._scalars = yaml.SafeLoader("")
        self._missing: dict[str, list[KeyPath]] = {}
        self._unreadable: dict[str, str] = {}
        self._open: list[yaml.Node] = []

    def read(self, root: yaml.Node) -> None:
        self._document.lines[()] = root.start_mark.line + 1
        self._document.value = self._value(root, ())
        for name, places in self._missing.items():
            used = "" if len(places) == 1 else f" (used at {len(places)} places, this is the first)"
            remedy = f"set {name} in the environment or put it into a file of that name in the folder {SECRETS_FOLDER}"
            reason = self._unreadable.get(name, f"has no value; {remedy}")
            self._complain(places[0], f"${{{name}}}{used} {reason}")
            self._document.unfilled.update(places)

    def _complain(self, path: KeyPath, message: str, line: int | None = None) -> None:
        self._document.faults.append(self._document.fault(path, message, line))

    def _value(self, node: yaml.Node, path: KeyPath) -> Any:
        if any(node is outer for outer in self._open):
            self._complain(path, "an alias (*) stands inside the very thing it repeats")
            return None
        if not node.tag.startswith(_PLAIN_TAGS):
            self._complain(path, "a tag (!) means nothing here; put a text that starts with ! into quotes")
            return None
        self._open.append(node)
        try:
            if isinstance(node, yaml.MappingNode):
                return dict(self._entries(node, path))
            if isinstance(node, yaml.SequenceNode):
                return [self._item(item, (*path, position)) for position, item in enumerate(node.value)]
            return self._scalar(cast("yaml.ScalarNode", node), path)
        finally:
            self._open.pop()

    def _item(self, node: yaml.Node, path: KeyPath) -> Any:
        self._document.lines[path] = node.start_mark.line + 1
        return self._value(node, path)

    def _entries(self, node: yaml.MappingNode, path: KeyPath) -> Iterator[tuple[str, Any]]:
        first: dict[str, int] = {}
        for key, _ in node.value:
            line = key.start_mark.line + 1
            if isinstance(key, yaml.ScalarNode):
                if key.value in first:
                    self._complain((*path, key.value), f"this key stands twice, first on line {first[key.value]}", line)
                first.setdefault(key.value, line)
        try:
            self._scalars.flatten_mapping(node)  # resolves merge keys (<<) by putting their entries first
        except yaml.YAMLError:
            self._complain(path, "<< must be followed by an alias (*) of a mapping, or a list of them")
            return
        for key, value in node.value:
            line = key.start_mark.line + 1
            name = self._scalar(key, path, plain=True) if isinstance(key, yaml.ScalarNode) else None
            if not isinstance(name, str):
                self._complain(path, "a key must be a text; put it into quotes", line)
                continue
            self._document.lines[(*path, name)] = line
            yield name, self._value(value, (*path, name))

    def _scalar(self, node: yaml.ScalarNode, path: KeyPath, *, plain: bool = False) -> Any:
        try:
            value = self._scalars.construct_object(node)
        except (yaml.YAMLError, ValueError, OverflowError):
            kind = node.tag.removeprefix(_PLAIN_TAGS)
            self._complain(path, f"looks like a YAML {kind} and is none; put it into quotes", node.start_mark.line + 1)
            return None
        return value if plain or not isinstance(value, str) else self._filled(value, path)

    def _filled(self, text: str, path: KeyPath) -> str:
        def replace(match: re.Match[str]) -> str:
            name = match["name"]
            if match["broken"]:
                self._complain(path, "${ must be followed by a name and }; write $${ where ${ itself is meant")
                return ""
            if name is None:
                return "${"
            self._document.references[path] = name
            value = self._look_up(name)
            if value is None:
                self._missing.setdefault(name, []).append(path)
                return ""
            self._document.resolved[name] = value
            return value

        return _REFERENCE.sub(replace, text)

    def _look_up(self, name: str) -> str | None:
        if name in self._document.resolved:
            return self._document.resolved[name]
        if name in self._missing:
            return None
        try:
            return self._resolve(name)
        except ConfigurationError as error:
            self._unreadable[name] = f"has no value: {error.faults[0]}"
            return None
