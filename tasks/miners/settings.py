"""Section ``miners`` of data_collection_config.yaml, and section ``fleet``: how hard they are polled."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr, model_validator

from storage.configuration import Name, Section
from storage.records.miner import Miner
from tasks.miners.base_url import SOCKET_PORT, base_url
from tasks.miners.cadence import Bounds
from tasks.miners.driver import Target

_FASTER = 5
_TELEMETRY_AT_LEAST_S = 300
_CONFIGURATION_AT_LEAST_S = 1_800
_LOGINS = {"vnish-cgi": "HTTP Basic", "antminer-stock": "HTTP Digest", "antminer-legacy": "HTTP Digest"}
"""How drivers log in that cannot do without."""


def _is_address_of_one(text: str) -> str:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise ValueError("expected an IP address, e.g. 192.168.1.101") from None
    if address.is_multicast or address.is_unspecified or text == "255.255.255.255":
        raise ValueError("this is not the address of one miner")
    return str(address)


def _is_api_key(key: SecretStr) -> SecretStr:
    if len(key.get_secret_value()) != 32:
        raise ValueError("an API key of VNish has exactly 32 characters")
    return key


class MinerSettings(Section):
    """One miner."""

    id: Name
    """Identity of the miner; every row of it carries this."""
    ip: Annotated[str, AfterValidator(_is_address_of_one)]
    """IP address of its web interface."""
    port: int | None = Field(default=None, ge=1, le=65_535)
    """Port it is asked on; where it is not given 80 for http, 443 for https and 4028 for cgminer-socket."""
    scheme: Literal["http", "https"] = "http"
    """How it is reached. With https its certificate must be valid for its address."""
    driver: Literal[
        "vnish-rest", "vnish-cgi", "antminer-stock", "antminer-legacy", "cgminer-socket", "asic-rs", "auto"
    ] = "vnish-rest"
    """Dialect it speaks; ``auto`` finds it out at the first poll and again when the firmware has changed."""
    username: Name | None = None
    """User name; needed for vnish-cgi, antminer-stock and antminer-legacy, without meaning for the others."""
    password: SecretStr | None = None
    """Password; needed where the user name is. For vnish-rest it is sent only when the miner asks for it."""
    api_key: Annotated[SecretStr, AfterValidator(_is_api_key)] | None = None
    """API key of vnish-rest, sent in place of the password and only when the miner asks for it."""
    model: Name
    """Model, as a label of your choice."""
    site: str = ""
    """Site it stands at."""
    location: str = ""
    """Place at the site, e.g. rack and position."""
    pool: Name | None = None
    """Id of the pool that it should mine at; elsewhere it is reported as wrong. Without it the day before decides."""
    worker: Name | None = None
    """Worker that it should be at that pool, with the account before the dot or without; needs ``pool``."""
    purchase_price_usd: float | None = Field(default=None, ge=0, le=1e9)
    """What it cost; that of its model in section economics where it is not given."""
    devfee_percent: float | None = Field(default=None, ge=0, lt=100)
    """Hash power that mines for its firmware's maker, where it does not tell that itself."""
    polling_interval_seconds: int = Field(default=300, ge=1, le=3_600)
    """Seconds between two readings of telemetry, usually 60 to 300."""
    configuration_interval_seconds: int = Field(default=900, ge=900, le=1_800)
    """Seconds between two readings of what the miner is set to."""
    adaptive: bool = True
    """Poll faster while something goes on and slower while nothing does; false keeps both intervals as they are."""
    fastest_polling_interval_seconds: int | None = Field(default=None, ge=1, le=3_600)
    """Telemetry is never read more often; a fifth of polling_interval_seconds where it is not given."""
    slowest_polling_interval_seconds: int | None = Field(default=None, ge=1, le=3_600)
    """Telemetry is never read more seldom; twice polling_interval_seconds, but 300 at most, where it is not given."""

    @model_validator(mode="after")
    def _can_get_in(self) -> MinerSettings:
        way = _LOGINS.get(self.driver)
        if way is not None and (self.username is None or self.password is None):
            raise ValueError(f"driver {self.driver} needs username and password ({way})")
        return self

    @model_validator(mode="after")
    def _worker_of_a_pool(self) -> MinerSettings:
        if self.worker is not None and self.pool is None:
            raise ValueError("worker needs pool: the id of the pool that it should be this worker at")
        return self

    @model_validator(mode="after")
    def _scheme_fits(self) -> MinerSettings:
        if self.driver == "cgminer-socket" and self.scheme == "https":
            raise ValueError("driver cgminer-socket knows no https: the socket API is in the clear")
        if self.driver == "asic-rs" and (self.port is not None or self.scheme == "https"):
            raise ValueError("driver asic-rs asks at the maker's own ports; leave out port and scheme")
        return self

    @model_validator(mode="after")
    def _usual_within_bounds(self) -> MinerSettings:
        fastest, slowest = self.fastest_polling_interval_seconds, self.slowest_polling_interval_seconds
        usual = self.polling_interval_seconds
        if (fastest is not None and fastest > usual) or (slowest is not None and slowest < usual):
            raise ValueError(
                "expected fastest_polling_interval_seconds <= polling_interval_seconds <= "
                "slowest_polling_interval_seconds"
            )
        return self

    def telemetry_bounds(self) -> Bounds:
        """How often telemetry is read."""
        usual = self.polling_interval_seconds
        if not self.adaptive:
            return Bounds(usual, usual, usual)
        fastest = self.fastest_polling_interval_seconds or max(1, usual // _FASTER)
        slowest = self.slowest_polling_interval_seconds or max(usual, min(2 * usual, _TELEMETRY_AT_LEAST_S))
        return Bounds(fastest, usual, slowest)

    def configuration_bounds(self) -> Bounds:
        """How often the configuration is read, at a reading of telemetry."""
        usual = self.configuration_interval_seconds
        if not self.adaptive:
            return Bounds(usual, usual, usual)
        return Bounds(usual // _FASTER, usual, max(usual, min(2 * usual, _CONFIGURATION_AT_LEAST_S)))

    @property
    def asked_at(self) -> tuple[str, int | None]:
        """Address and port that it is asked at; None: at the maker's own ports."""
        usual = {"cgminer-socket": SOCKET_PORT, "asic-rs": None}.get(self.driver, 443 if self.scheme == "https" else 80)
        return self.ip, self.port or usual

    def target(self) -> Target:
        """What a driver needs to know."""
        return Target(
            miner=Miner(self.id, self.model, self.site),
            address=self.ip,
            base_url=base_url(self.driver, self.ip, scheme=self.scheme, port=self.port),
            username=self.username,
            password=self.password,
            api_key=self.api_key,
        )


class FleetSettings(Section):
    """How hard the miners are polled. The defaults are measured for up to 5,000 miners."""

    concurrency: int = Field(default=512, ge=1, le=4_096)
    """Miners polled at once; 1,000 above 5,000 miners. More makes healthy miners look slow, fewer makes ticks long."""
    second_lane: int = Field(default=64, ge=1, le=1_024)
    """Miners polled at once of those that failed twice in a row; they never hold up the others."""
    connect_timeout_s: float = Field(default=1.0, gt=0, le=30)
    """Seconds until a connection must stand; 2 over a VPN."""
    request_deadline_s: float = Field(default=3.0, gt=0, le=60)
    """Seconds until the whole answer to one request must be there."""
    miner_deadline_s: float = Field(default=5.0, gt=0, le=120)
    """Seconds for all that one tick wants of one miner, retries included."""
    retries: int = Field(default=2, ge=0, le=10)
    """Further tries within the miner's deadline, with exponential back-off; none for miners that failed twice."""
    breaker_failures: int = Field(default=5, ge=2, le=1_000)
    """Failures in a row after which a miner is left alone and only probed, at first after two of its intervals."""
    breaker_longest_seconds: int = Field(default=900, ge=1, le=86_400)
    """Longest time between two probes of a miner that is left alone."""
    overload_lag_ms: float = Field(default=1_000.0, gt=0, le=60_000)
    """Lateness of the event loop from which only one of ten configurations is read, so that telemetry goes first."""

    @model_validator(mode="after")
    def _nested(self) -> FleetSettings:
        if not self.connect_timeout_s <= self.request_deadline_s <= self.miner_deadline_s:
            raise ValueError("expected connect_timeout_s <= request_deadline_s <= miner_deadline_s")
        return self
