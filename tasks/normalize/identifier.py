"""Names and identifiers in one form over all sources."""

from __future__ import annotations

import re

_NOTHING = frozenset({"", "n/a", "na", "none", "null", "unknown", "-"})
_LONGEST = 1_000
_LONGEST_NAME = 40
_ALGORITHMS = {
    "sha256d": "sha256d",
    "sha256": "sha256d",
    "sha256ad": "sha256d",
    "scrypt": "scrypt",
}


def text(value: str | None) -> str | None:
    """``value`` fit to be stored: without control characters and lone surrogates, at most 1,000 long; None if empty."""
    if not value:
        return None
    if len(value) <= _LONGEST and value.isprintable():
        return value
    cleaned = "".join(char if char.isprintable() else " " for char in value[: 2 * _LONGEST])
    return " ".join(cleaned.split())[:_LONGEST] or None


def named(value: str | None) -> str | None:
    """``value`` as :func:`text`, but None where it only says that there is none, such as ``"N/A"``."""
    found = text(value)
    return None if found is None or found.strip().lower() in _NOTHING else found.strip()


def mac_address(value: str | None) -> str | None:
    """A hardware address in lower case without separators, or None when it is not one, or is all zeros."""
    digits = re.sub(r"[:.\-\s]", "", value or "").lower()
    return digits if re.fullmatch(r"[0-9a-f]{12}", digits) and digits != "0" * 12 else None


def algorithm(value: str | None) -> str | None:
    """``sha256d``, ``scrypt``, or ``unknown`` for any other name; None where none was given."""
    if not value:
        return None
    return _ALGORITHMS.get(re.sub(r"[^a-z0-9]", "", value.lower()), "unknown")


def algorithm_name(value: object) -> str | None:
    """The name of any algorithm in one spelling: as :func:`algorithm`, others in lower case without signs."""
    if not isinstance(value, str):
        return None
    known = algorithm(value)
    return known if known != "unknown" else re.sub(r"[^a-z0-9]", "", value.lower())[:_LONGEST_NAME] or None


def same_algorithm(told: object, ours: str | None) -> bool:
    """Whether ``told``, in whatever spelling (``SHA-256``, ``X11``), is ``ours`` of the table of coins."""
    if not isinstance(told, str) or ours is None:
        return False
    return ours in (algorithm(told), re.sub(r"[^a-z0-9]", "", told.lower()))


def pool_url(value: str | None) -> str | None:
    """The address of a pool without the user and password that some people put into it."""
    found = text(value)
    if found is None or "@" not in found:
        return found
    scheme = re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", found)
    return (scheme[0] if scheme else "") + found.rpartition("@")[2]
