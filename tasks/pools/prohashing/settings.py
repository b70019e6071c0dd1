"""Section ``prohashing`` of data_collection_config.yaml."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SecretStr, ValidationInfo, field_validator, model_validator

from storage.configuration import ApiKey, Name, PollingInterval, Section, SocketAddress, WebAddress
from tasks.pools.prohashing.subject import KEY, subject_of

Preset = Literal["documented", "live"]
"""``documented``: as the interface is described; ``live``: as the pool last served it."""

_LIVE: Mapping[str, Any] = {
    "url": "wss://live.prohashing.com:443/ws",
    "realm": "mining",
    "auth": "wampcra",
    "auth_id": "web",
    "auth_secret": "web",  # the same for everybody, and published; the account's key is the one that lets in
    "subscriptions": [
        "profitability_updates",
        "general_updates",
        f"miner_update_diffs_{KEY}",
        f"balance_updates_{KEY}",
    ],
    "snapshots": [
        {"procedure": "f_all_profitability_updates"},
        {"procedure": "f_all_general_updates"},
        {"procedure": "f_all_miner_updates", "arguments": [KEY]},
        {"procedure": "f_all_balance_updates", "arguments": [KEY]},
    ],
}


class ProhashingSnapshot(Section):
    """A procedure that tells the whole state of what a topic tells the changes of."""

    procedure: Name
    """Procedure to call."""
    arguments: tuple[Name, ...] = ()
    """Its arguments; ``{api_key}`` stands for the account's key."""

    @field_validator("procedure")
    @classmethod
    def _known(cls, name: str) -> str:
        subject_of(name)
        return name


class ProhashingWampSettings(Section):
    """The pool's WAMP router: pushed changes, the first choice."""

    enabled: bool = True
    """Use it."""
    preset: Preset = "documented"
    """What the keys below are where they are not set: ``documented``, their defaults, or ``live``, as the pool last
    served it: realm ``mining``, wampcra, snapshots."""
    url: SocketAddress = "wss://prohashing.com:3333/ws"
    """Address of the router; wss://live.prohashing.com:443/ws where ``preset: live``."""
    ca_file: Path | None = None
    """Certificates to trust in the place of the system's."""
    realm: Name = "realm1"
    """Realm to join; ``mining`` where ``preset: live``."""
    auth: Literal["anonymous", "ticket", "wampcra"] = "anonymous"
    """How to join: without credentials, with a ticket, or by challenge and response, salted or not."""
    auth_id: Name | None = None
    """Who joins, for ticket and wampcra; ``web`` where ``preset: live``."""
    auth_secret: SecretStr | None = Field(default=None, validate_default=True)
    """Ticket, or secret of wampcra."""
    subscriptions: tuple[Name, ...] = ("com.prohashing.profitability", "com.prohashing.worker")
    """Topics to subscribe to; ``{api_key}`` stands for the account's key. What a topic is about is told by a word in
    it: profitability, worker or miner, balance, general."""
    snapshots: tuple[ProhashingSnapshot, ...] = ()
    """Procedures to call after subscribing, and whenever their topic was silent for long."""

    @model_validator(mode="before")
    @classmethod
    def _preset(cls, said: Any) -> Any:
        return {**_LIVE, **said} if isinstance(said, dict) and said.get("preset") == "live" else said

    @field_validator("auth_secret")
    @classmethod
    def _credentials_where_needed(cls, secret: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        auth = info.data.get("auth", "anonymous")
        if auth != "anonymous" and (secret is None or info.data.get("auth_id") is None):
            raise ValueError(f"auth: {auth} needs auth_id and auth_secret")
        return secret

    @field_validator("subscriptions")
    @classmethod
    def _known(cls, topics: tuple[str, ...]) -> tuple[str, ...]:
        for topic in topics:
            subject_of(topic)
        return topics


class ProhashingHttpIntervals(Section):
    """Seconds between requests. What WAMP brings is not asked while it lives."""

    status: PollingInterval = 300
    """Seconds between requests of the pool's status."""
    profitability: PollingInterval = 900
    """Seconds between requests of profitability."""
    workers: PollingInterval = 600
    """Seconds between requests of workers and their hashrates."""
    payouts: PollingInterval = 3600
    """Seconds between requests of balances and what was paid."""


class ProhashingHttpSettings(Section):
    """The pool's HTTP interface: used while WAMP is away, and for what WAMP does not tell."""

    enabled: bool = True
    """Use it."""
    preset: Preset = "documented"
    """``documented``: the key goes as a bearer token, and in the query where the wallet is asked; ``live``: in the
    query only. The form of answers is recognised in both."""
    base_url: WebAddress = "https://prohashing.com/api/v1"
    """Address that all paths are put behind."""
    ca_file: Path | None = None
    """Certificates to trust in the place of the system's."""
    polling_intervals: ProhashingHttpIntervals = ProhashingHttpIntervals()


class ProhashingSettings(Section):
    """One account at Prohashing."""

    api_key: ApiKey
    """The account's API key."""
    state: Literal["live", "gone"] = "live"
    """``gone``: the pool has closed; it is not asked or listened to any more, and says so."""
    account: Name | None = None
    """User name at the pool, put before the names of workers so that they meet those of the miners' configuration."""
    wamp: ProhashingWampSettings = ProhashingWampSettings()
    http: ProhashingHttpSettings = ProhashingHttpSettings()

    @field_validator("wamp")
    @classmethod
    def _key_not_in_clear(cls, wamp: ProhashingWampSettings, info: ValidationInfo) -> ProhashingWampSettings:
        """Topics are no secrets and are shown; a key that was written into one is replaced by what stands for it."""
        key = info.data.get("api_key")
        if key is None or not key.get_secret_value():
            return wamp

        def hidden(texts: tuple[str, ...]) -> tuple[str, ...]:
            return tuple(text.replace(key.get_secret_value(), KEY) for text in texts)

        snapshots = tuple(one.model_copy(update={"arguments": hidden(one.arguments)}) for one in wamp.snapshots)
        return wamp.model_copy(update={"subscriptions": hidden(wamp.subscriptions), "snapshots": snapshots})
