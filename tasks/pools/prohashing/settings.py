"""Section ``prohashing`` of data_collection_config.yaml."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, SecretStr, ValidationInfo, field_validator

from storage.configuration import Name, PollingInterval, Section, SocketAddress, WebAddress


class ProhashingWampSettings(Section):
    """The pool's WAMP router: pushed changes, the first choice."""

    enabled: bool = True
    """Use it."""
    url: SocketAddress = "wss://prohashing.com:3333/ws"
    """Address of the router. The pool's last public one was wss://live.prohashing.com:443/ws."""
    realm: Name = "realm1"
    """Realm to join; ``mining`` at the last public router."""
    auth: Literal["anonymous", "ticket", "wampcra"] = "anonymous"
    """How to join: without credentials, with a ticket, or by challenge and response."""
    auth_id: Name | None = None
    """Who joins, for ticket and wampcra; ``web`` at the last public router."""
    auth_secret: SecretStr | None = Field(default=None, validate_default=True)
    """Ticket, or secret of wampcra."""
    subscriptions: tuple[Name, ...] = ("com.prohashing.profitability", "com.prohashing.worker")
    """Topics to subscribe to."""

    @field_validator("auth_secret")
    @classmethod
    def _credentials_where_needed(cls, secret: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        auth = info.data.get("auth", "anonymous")
        if auth != "anonymous" and (secret is None or info.data.get("auth_id") is None):
            raise ValueError(f"auth: {auth} needs auth_id and auth_secret")
        return secret


class ProhashingHttpIntervals(Section):
    """Seconds between requests."""

    status: PollingInterval = 300
    """Seconds between requests of the pool's status."""
    profitability: PollingInterval = 900
    """Seconds between requests of profitability."""


class ProhashingHttpSettings(Section):
    """The pool's HTTP interface: used while WAMP is away, and for history."""

    enabled: bool = True
    """Use it."""
    base_url: WebAddress = "https://prohashing.com/api/v1"
    """Address that all paths are put behind."""
    polling_intervals: ProhashingHttpIntervals = ProhashingHttpIntervals()


class ProhashingSettings(Section):
    """One account at Prohashing."""

    api_key: SecretStr
    """The account's API key."""
    wamp: ProhashingWampSettings = ProhashingWampSettings()
    http: ProhashingHttpSettings = ProhashingHttpSettings()
