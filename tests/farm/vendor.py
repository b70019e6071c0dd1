"""What the vendor publishes and a real miner said, where it lies beside the repository."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest

FIXTURES = Path(__file__).resolve().parents[2].parent / "shared" / "fixtures"


def read(*parts: str) -> Any:
    """A recording, by folders and name."""
    path = FIXTURES.joinpath(*parts)
    if not path.is_file():
        pytest.skip(f"the recordings are not here ({'/'.join(parts)}); nothing to compare with")
    return json.loads(path.read_text(encoding="utf-8"))


def recorded(name: str, interface: str = "web") -> Any:
    """An answer of a real S21 Pro on VNish 1.2.7; ``interface`` is ``web`` or ``rpc``."""
    return read("vnish-1.2.7-s21pro", interface, f"{name}.json")


@cache
def _description(firmware: str) -> Any:
    return read("vnish-openapi", f"{firmware}.json")


@cache
def _validator(firmware: str, path: str, method: str, status: int) -> Any:
    document = _description(firmware)
    content = document["paths"][path][method]["responses"][str(status)]["content"]
    schema = {**content["application/json"]["schema"], "components": document["components"]}
    return jsonschema.Draft202012Validator(schema)


def check(firmware: str, path: str, value: Any, *, method: str = "get", status: int = 200) -> None:
    """Hold a body against the vendor's OpenAPI 3.1 document, whose schemas are JSON Schema 2020-12."""
    _validator(firmware, path, method, status).validate(value)
