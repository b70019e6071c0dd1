"""From a file and the environment to a checked model, or to every fault there is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from storage.configuration.document import Document, read_document
from storage.configuration.place import Fault, KeyPath, dotted
from storage.configuration.resolvers import Resolver
from storage.configuration.variables import Variables, overlay, read_variables
from storage.configuration.words import fault_in_words
from storage.errors import ConfigurationError

Model = TypeVar("Model", bound=BaseModel)

_SHORTEST_SECRET = 4  # a shorter value would be found inside ordinary words


def load(
    model: type[Model],
    path: Path | None,
    resolve: Resolver,
    *,
    prefix: str | None = None,
    environ: Mapping[str, str] | None = None,
) -> Model:
    """Read ``path`` (None: no file, defaults only) into ``model``.

    ``prefix`` turns on variables: with ``LODELINE_COLLECTION__``, ``LODELINE_COLLECTION__GENERAL__LOG_LEVEL`` of
    ``environ`` goes over ``general.log_level`` of the file.

    Raises:
        ConfigurationError: one line per fault, all of them, by line: syntax, doubled key, ``${NAME}`` without a value,
            unknown key, wrong type or value. Says no secret and no value that came from ``resolve``.
    """
    document = read_document(path, resolve) if path is not None else Document("")
    variables = read_variables(model, prefix, environ or {}, resolve) if prefix is not None else Variables()
    faults = [*document.faults, *variables.faults]
    readable = document.value is not None or not document.faults
    instance: Model | None = None
    if readable:
        value = document.value if document.value is not None else {}
        try:
            instance = model.model_validate(overlay(value, variables.values))
        except ValidationError as error:
            faults += _faults_of(model, error, document, variables)
    if faults or instance is None:
        faults.sort(key=lambda fault: fault.line)
        raise ConfigurationError([str(fault) for fault in faults])
    return instance


def _faults_of(model: type[BaseModel], error: ValidationError, document: Document, variables: Variables) -> list[Fault]:
    told = {fault.path for fault in document.faults if fault.path} | document.unfilled
    faults: list[Fault] = []
    for found in error.errors(include_url=False):
        path: KeyPath = found["loc"]
        if any(path[:length] in told for length in range(1, len(path) + 1)):
            continue  # what is wrong there was said already, and better
        if found["type"] == "double":
            first = (*path[:-2], found["ctx"]["first"], path[-1])
            message = f"the same as {dotted(first)} on line {document.line(first)}; it must be there once"
        else:
            message = fault_in_words(model, found, path, reference=document.references.get(path))
        for name, value in document.resolved.items():
            if len(value) >= _SHORTEST_SECRET:
                message = message.replace(value, f"${{{name}}}")
        faults.append(_placed(path, message, document, variables))
    return faults


def _placed(path: KeyPath, message: str, document: Document, variables: Variables) -> Fault:
    """A fault of the file, or of the variable that set or would set ``path``."""
    variable = variables.name_of(path)
    if variable is None and not document.name:
        variable = variables.name_for(path)
    return document.fault(path, message) if variable is None else Fault(variable, (), message)
