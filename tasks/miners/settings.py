"""Section ``miners`` of data_collection_config.yaml."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr

from storage.configuration import Name, Section


def _is_ip(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise ValueError("expected an IP address, e.g. 192.168.1.101") from None


class MinerSettings(Section):
    """One miner."""

    id: Name
    """Identity of the miner; every row of it carries this."""
    ip: Annotated[str, AfterValidator(_is_ip)]
    """IP address of its web interface."""
    port: int = Field(default=80, ge=1, le=65_535)
    """Port of its web interface."""
    driver: Literal["vnish-rest", "vnish-cgi"] = "vnish-rest"
    """Dialect it speaks."""
    username: Name | None = None
    """User name, for dialects that want one."""
    password: SecretStr | None = None
    """Password, for dialects that want one."""
    api_key: SecretStr | None = None
    """API key, where the firmware has one set."""
    model: Name
    """Model, as a label of your choice."""
    site: str = ""
    """Site it stands at."""
    location: str = ""
    """Place at the site, e.g. rack and position."""
    polling_interval_seconds: int = Field(default=300, ge=1, le=3600)
    """Seconds between two readings of telemetry."""
