"""Lists whose items must differ: miner ids, addresses, names of feature groups."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler, ValidationError
from pydantic_core import CoreSchema, InitErrorDetails, PydanticCustomError, PydanticKnownError, core_schema


@dataclass(frozen=True, slots=True)
class Unique:
    """Annotation of a list of sections: no two items have the same values under ``keys``; a fault points at the first.

    It looks at the items as they were given, so that doubles are told together with other faults of the list.
    """

    keys: tuple[str, ...]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        def check(value: Any, inner: core_schema.ValidatorFunctionWrapHandler) -> Any:
            faults = list(self._doubles(value))
            try:
                checked = inner(value)
            except ValidationError as error:
                faults += map(_again, error.errors(include_url=False))
            if faults:
                raise ValidationError.from_exception_data("list", faults, hide_input=True)
            return checked

        return core_schema.no_info_wrap_validator_function(check, handler(source))

    def _doubles(self, items: Any) -> list[InitErrorDetails]:
        first: dict[tuple[Any, ...], int] = {}
        doubles: list[InitErrorDetails] = []
        for position, item in enumerate(items if isinstance(items, list | tuple) else ()):
            values = tuple(
                item.get(key) if isinstance(item, Mapping) else getattr(item, key, None) for key in self.keys
            )
            if values[0] is None or not all(isinstance(value, str | int | None) for value in values):
                continue
            if values in first:
                error = PydanticCustomError("double", "the same as in item {first}", {"first": first[values]})
                doubles.append(InitErrorDetails(type=error, loc=(position, self.keys[0]), input=None))
            first.setdefault(values, position)
        return doubles


def _again(error: Any) -> InitErrorDetails:
    context = error.get("ctx", {})
    kind: str | PydanticCustomError = error["type"]
    try:
        PydanticKnownError(error["type"], context)
    except KeyError:
        kind = PydanticCustomError(error["type"], error["msg"], context)
    return InitErrorDetails(type=kind, loc=error["loc"], input=error["input"], ctx=context)
