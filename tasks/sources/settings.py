"""Section ``sharing`` of data_collection_config.yaml: several hosts that ask with the same accounts."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from storage.configuration import Section


class SharingSettings(Section):
    """Several hosts that ask pools and markets with the same accounts, or from behind the same address."""

    hosts: Annotated[int, Field(ge=1, le=1000)] = 1
    """How many such hosts there are. From 2 on they share the rate of each source by limits of the Prefect server,
    which lodeline deploy makes, and each has its part of an account's monthly credits; while the server is away each
    keeps to its part of the rate."""
