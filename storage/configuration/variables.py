"""``LODELINE_...`` variables over a model: ``LODELINE_INFLUX__URL`` is ``influx.url``; a list or mapping is JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast, get_origin

from pydantic import BaseModel, SecretStr
from pydantic_settings import BaseSettings, EnvSettingsSource
from pydantic_settings.exceptions import SettingsError

from storage.configuration.place import Fault, KeyPath
from storage.configuration.resolvers import Resolver
from storage.configuration.words import types_at

_SEPARATOR = "__"


@dataclass
class Variables:
    """What the environment says of one model: values, and the variable that each path came from."""

    prefix: str = ""
    values: dict[str, Any] = field(default_factory=dict)
    names: dict[KeyPath, str] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)

    def name_of(self, path: KeyPath) -> str | None:
        """The variable that set ``path``, or something around or inside of it."""
        around = (self.names[path[:n]] for n in range(len(path), 0, -1) if path[:n] in self.names)
        return next(around, None)

    def name_for(self, path: KeyPath) -> str:
        """The variable that would set ``path``."""
        return self.prefix + _SEPARATOR.join(map(str, path)).upper()


def read_variables(model: type[BaseModel], prefix: str, environ: Mapping[str, str], resolve: Resolver) -> Variables:
    """Read the variables of ``model``. A secret that is not in ``environ`` is asked of ``resolve`` by its full name."""
    found = Variables(prefix)
    for name, path in variable_names(model, prefix).items():
        text = environ.get(name)
        if text is None and SecretStr in types_at(model, path):
            text = resolve(name)
        if text is None:
            continue
        source = _OneVariable(model, prefix, name, text)
        try:
            _merge(found.values, source())
        except SettingsError:
            found.faults.append(Fault(name, (), 'expected JSON, e.g. ["a", "b"]'))
        else:
            found.names[path] = name
    return found


def variable_names(model: type[BaseModel], prefix: str) -> dict[str, KeyPath]:
    """Every variable of ``model`` and the path it sets, in declared order; a list has one for the whole of it."""
    return {prefix + _SEPARATOR.join(map(str, path)).upper(): path for path in _leaves(model, ())}


def _leaves(model: type[BaseModel], path: KeyPath) -> Iterator[KeyPath]:
    for name in model.model_fields:
        inner = (*path, name)
        sections = [
            t
            for t in types_at(model, (name,))
            if isinstance(t, type) and not get_origin(t) and issubclass(t, BaseModel)
        ]
        if sections:
            for section in sections:
                yield from _leaves(section, inner)
        else:
            yield inner


def overlay(under: Any, over: dict[str, Any]) -> Any:
    """``under`` (of a file) with the values of ``over`` (of variables) put in."""
    if not over:
        return under
    merged = dict(under) if isinstance(under, dict) else {}
    for key, value in over.items():
        merged[key] = overlay(merged.get(key), value) if isinstance(value, dict) else value
    return merged


def _merge(into: dict[str, Any], values: dict[str, Any]) -> None:
    for key, value in values.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = value


class _OneVariable(EnvSettingsSource):
    """pydantic-settings' reading of one variable, so that each that cannot be read is named."""

    def __init__(self, model: type[BaseModel], prefix: str, name: str, text: str) -> None:
        self._only = {name.lower(): text}
        super().__init__(
            cast("type[BaseSettings]", model), env_prefix=prefix, env_nested_delimiter=_SEPARATOR, case_sensitive=False
        )

    def _load_env_vars(self) -> Mapping[str, str | None]:
        return self._only
