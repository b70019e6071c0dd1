"""Ids of coins as a configuration writes them."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator

from tasks.market.coins import COINS, by_symbol

_FORM = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")


def _is_id(text: str) -> str:
    meant = None if text in COINS else by_symbol(text)
    if meant is not None:
        raise ValueError(f"{text!r} is the symbol of {meant.name}; its id is {meant.id}")
    if not _FORM.fullmatch(text):
        raise ValueError(f"{text!r} is no id of a coin, as bitcoin is one: small letters, digits and . _ -")
    return text


CoinId = Annotated[str, AfterValidator(_is_id)]
"""An id of CoinGecko's, which are Lodeline's: ``bitcoin``, not BTC."""
