"""VNish REST API (``/api/v1``), firmware 1.2.x and 1.3.x; see README.md beside this file."""

from tasks.miners.vnish_rest.session import VnishRest

__all__ = ["VnishRest"]
