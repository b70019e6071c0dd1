"""What lets in at a Prefect server, for those who ask it by plain HTTP."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TypedDict


class Access(TypedDict):
    """Arguments of an httpx client."""

    auth: tuple[str, str] | None
    headers: dict[str, str]


def access(environ: Mapping[str, str] = os.environ) -> Access:
    """By PREFECT_API_AUTH_STRING (``user:password``), else by PREFECT_API_KEY; one's own may want neither."""
    user, _, password = environ.get("PREFECT_API_AUTH_STRING", "").partition(":")
    key = environ.get("PREFECT_API_KEY")
    return Access(
        auth=(user, password) if user else None,
        headers={"Authorization": f"Bearer {key}"} if key and not user else {},
    )
