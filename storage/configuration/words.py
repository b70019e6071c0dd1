"""What pydantic found wrong, in the words of the person who wrote the file. Says no value that may be secret."""

from __future__ import annotations

import datetime as dt
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, SecretBytes, SecretStr

from storage.configuration.place import KeyPath
from storage.configuration.section import nearest

_BOUNDS = {
    "greater_than_equal": ("at least {}", "ge"),
    "greater_than": ("more than {}", "gt"),
    "less_than_equal": ("at most {}", "le"),
    "less_than": ("less than {}", "lt"),
}
_NAMES = {str: "a text", int: "a whole number", float: "a number", bool: "true or false", Path: "a path"}
_WRONG_TYPE = ("_type", "_parsing", "_from_float", "literal_error", "enum", "bool_for_number", "finite_number")


def fault_in_words(model: type[BaseModel], error: Mapping[str, Any], path: KeyPath, *, reference: str | None) -> str:
    """One error of ``ValidationError.errors()`` in words; a value that came from ``${reference}`` is not shown."""
    kind, value, context = error["type"], error["input"], error.get("ctx", {})
    wanted = types_at(model, path)
    hidden = f"the value of ${{{reference}}}, which is not shown" if reference else ""
    if any(option in (SecretStr, SecretBytes) for option in wanted):
        hidden = hidden or "something that is not shown, for it may be secret"
    elif isinstance(value, str) and not any(option in _NAMES or get_origin(option) is Literal for option in wanted):
        hidden = hidden or "a text"
    if kind == "extra_forbidden":
        return _unknown_key(model, path)
    if kind == "missing":
        return f"is missing; expected {_expected(wanted)}"
    if kind in _BOUNDS:
        form, key = _BOUNDS[kind]
        return f"expected {form.format(_number(context[key]))}, found {_found(value, hidden)}"
    if kind in ("too_short", "string_too_short"):
        return "must not be empty" if context.get("min_length") == 1 else f"expected at least {context['min_length']}"
    if kind in ("too_long", "string_too_long"):
        return f"is too long; at most {context['max_length']} are allowed"
    if kind == "string_pattern_mismatch":
        return f"found {_found(value, hidden)}, which is empty, has blanks around it, or a sign that may not be in it"
    if kind.endswith(_WRONG_TYPE):
        return f"expected {_expected(wanted)}, found {_found(value, hidden)}{_quoting_hint(wanted, value)}"
    if kind == "value_error":
        return str(context["error"])
    return str(error["msg"])


def types_at(model: type[BaseModel], path: KeyPath) -> list[Any]:
    """Types that the value at ``path`` may have: classes, Literals and generic aliases, without None."""
    options: list[Any] = [model]
    for step in path:
        options = [inner for option in options for inner in _inside(option, step)]
    return options


def _inside(option: Any, step: str | int) -> list[Any]:
    if isinstance(option, type) and issubclass(option, BaseModel):
        field = next((f for name, f in option.model_fields.items() if step in (name, f.alias)), None)
        return _alternatives(field.annotation) if field else []
    arguments = get_args(option)
    if get_origin(option) is dict and len(arguments) == 2:
        return _alternatives(arguments[1])
    if get_origin(option) in (list, tuple, set, frozenset) and arguments:
        return _alternatives(arguments[0])
    return []


def _alternatives(annotation: Any) -> list[Any]:
    if get_origin(annotation) is Annotated:
        return _alternatives(get_args(annotation)[0])
    if isinstance(annotation, typing.TypeAliasType if hasattr(typing, "TypeAliasType") else ()):
        return _alternatives(annotation.__value__)
    if get_origin(annotation) in (Union, types.UnionType):
        return [inner for option in get_args(annotation) for inner in _alternatives(option)]
    return [] if annotation in (None, types.NoneType) else [annotation]


def _unknown_key(model: type[BaseModel], path: KeyPath) -> str:
    known = sorted({name for option in types_at(model, path[:-1]) for name in getattr(option, "model_fields", {})})
    meant = nearest(str(path[-1]), known)
    return f"unknown key; did you mean {meant}?" if meant else f"unknown key; known here: {', '.join(known)}"


def _expected(options: list[Any]) -> str:
    return " or ".join(dict.fromkeys(_one_expected(option) for option in options)) or "another value"


def _one_expected(option: Any) -> str:
    if get_origin(option) is Literal:
        values = get_args(option)
        words = ", ".join(str(value) for value in values)
        return words if len(values) == 1 else f"one of {words}"
    if option in (SecretStr, SecretBytes):
        return "a text"
    if get_origin(option) is dict or (isinstance(option, type) and issubclass(option, BaseModel)):
        return "a mapping (key: value)"
    if get_origin(option) in (list, tuple, set, frozenset) or option in (list, tuple):
        return "a list"
    return _NAMES.get(option, getattr(option, "__name__", str(option)))


def _found(value: Any, hidden: str) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return "a list"
    if hidden:
        return hidden
    if isinstance(value, bool):
        return "true (or yes, on)" if value else "false (or no, off)"
    if isinstance(value, str):
        return repr(value if len(value) <= 60 else f"{value[:57]}...")
    if isinstance(value, dt.date):
        return f"the date {value}"
    return f"the number {value}" if isinstance(value, int | float) else f"a {type(value).__name__}"


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else str(value)


def _quoting_hint(wanted: list[Any], value: Any) -> str:
    if isinstance(value, int | float | dt.date) and any(option in (str, SecretStr) for option in wanted):
        return "; put it into quotes"
    return ""
