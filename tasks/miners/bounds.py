"""What an answer may be at most."""

from __future__ import annotations

import httpx


class ResponseTooLarge(httpx.RemoteProtocolError):
    """The answer went beyond the largest size and was cut off."""
