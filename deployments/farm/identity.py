"""Who a simulated miner is: what the network and the configuration know of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from deployments.farm.models import Variant


@dataclass(frozen=True, slots=True)
class Identity:
    """What the network and the configuration know of a miner. ``api_key`` is taken in the header ``x-api-key``."""

    miner_id: str
    index: int
    address: str
    port: int
    variant: Variant
    site: str
    location: str
    mac: str
    serial: str
    username: str
    password: str = field(repr=False)
    api_key: str = field(repr=False)
    pool: str | None = None
    """Simulated pool that it mines at; None: one that nobody can ask."""

    @property
    def pool_url(self) -> str:
        """Where it mines, as its firmware says it."""
        return f"{self.pool.replace('_', '-')}.invalid:3333" if self.pool else "pool.invalid:3333"

    @property
    def base_url(self) -> str:
        """``http://address:port``."""
        return f"http://{self.address}:{self.port}"
