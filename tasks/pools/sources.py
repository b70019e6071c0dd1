"""Which pools the configuration asks for, their budgets, and the streams that pools send on their own."""

from __future__ import annotations

from pathlib import Path

from tasks.collection_settings import CollectionSettings
from tasks.sources.budget import Budget
from tasks.sources.source import Source, Stream


def open_pool_sources(
    settings: CollectionSettings, *, state: Path
) -> tuple[list[Source], dict[str, Budget], list[Stream]]:
    """Sources, budgets by name of source, and streams; ``state`` is where pace and credits lie."""
    del settings, state
    return [], {}, []
