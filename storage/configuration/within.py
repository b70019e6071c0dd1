"""Faults that a section finds in what lies inside it, each told with its own key and line, not those of the section."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from storage.configuration.place import KeyPath

Within = tuple[KeyPath, str]
"""A path from the section inwards, and what is wrong there."""


def refuse(faults: Iterable[Within]) -> None:
    """Refuse a section for ``faults``, all of them; nothing where there are none. For validators of sections.

    Raises:
        ValidationError: pydantic puts the way to the section before each path.
    """
    found = [
        InitErrorDetails(type=PydanticCustomError("within", "{told}", {"told": told}), loc=path, input=None)
        for path, told in faults
    ]
    if found:
        raise ValidationError.from_exception_data("section", found, hide_input=True)
