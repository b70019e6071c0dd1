"""All Secret blocks of the Prefect server at once, by its REST API: what they hold must not be shown.

Flows ask for single ones by name (flows/secret_blocks.py).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import httpx

from deployments.prefect.access import access
from storage.errors import TryAgain

_AT_ONCE = 200
"""The most blocks that the server gives in one answer."""
_PATIENCE_S = 5.0


def secret_blocks(url: str, environ: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """Values of the Secret blocks by name (``miner-password``); a value is text, or what JSON holds. ``url`` is that of
    the API; PREFECT_API_AUTH_STRING or PREFECT_API_KEY of ``environ`` let in.

    Raises:
        TryAgain: the server does not answer, or not this question.
    """
    found: dict[str, Any] = {}
    try:
        with httpx.Client(
            base_url=url,
            timeout=_PATIENCE_S,
            trust_env=False,
            **access(environ),
        ) as client:
            while True:
                asked = {
                    "block_types": {"slug": {"any_": ["secret"]}},
                    "include_secrets": True,
                    "limit": _AT_ONCE,
                    "offset": len(found),
                }
                page = client.post("/block_documents/filter", json=asked).raise_for_status().json()
                found |= {one["name"]: one["data"].get("value") for one in page if one["name"]}
                if len(page) < _AT_ONCE:
                    return found
    except (httpx.HTTPError, ValueError, KeyError) as error:
        raise TryAgain(
            f"the Prefect server at {url} does not tell its Secret blocks ({type(error).__name__})"
        ) from error
