"""Where InfluxDB is and how to get in: what ``LODELINE_INFLUX__...`` sets."""

from __future__ import annotations

from typing import Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from storage.declaration import BUCKETS

IN_FIVE = {
    "mining_pool_detail": "mining_hourly",
    "mining_anomaly": "mining_hourly",
    "mining_pool": "mining_operational",
    "mining_price": "mining_operational",
    "mining_audit": "mining_operational",
    "mining_technical": "mining_daily",
}
"""Buckets that move in with another of near retention, so that five remain (docs/decisions/0011)."""


class InfluxSettings(BaseModel):
    """One InfluxDB server.

    InfluxDB 2.x and 3.x want ``token`` (and 2.x ``org``), 1.x ``username`` and ``password``, or nothing where it runs
    without authentication. ``timeout_s`` is the longest wait for any one answer.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, use_attribute_docstrings=True)

    url: str
    """Address of the server, e.g. http://influxdb:8086."""
    org: str | None = None
    """Organisation, for 2.x."""
    token: SecretStr | None = None
    """Token, for 2.x and 3.x."""
    username: str | None = None
    """User name, for 1.x with authentication."""
    password: SecretStr | None = None
    """Password, for 1.x with authentication."""
    timeout_s: float = Field(default=10, gt=0, le=600)
    """Longest wait for any one answer, in seconds."""
    databases: Literal["each", "five"] = "each"
    """A bucket (database) for each class of data, or all of them in five, which is what InfluxDB 3 Core takes."""
    bucket_names: dict[str, str] = {}
    """Names of buckets that are not called as Lodeline calls them, e.g. {"mining_raw": "farm/raw"}."""

    @field_validator("url")
    @classmethod
    def _plain_address(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("expected http://host:port or https://host:port")
        if "@" in parts.netloc:
            raise ValueError("credentials do not belong into the address; set token, or username and password")
        if parts.query or parts.fragment:
            raise ValueError("expected an address without '?' and '#'")
        return url.rstrip("/")

    @field_validator("bucket_names")
    @classmethod
    def _known_buckets(cls, names: dict[str, str]) -> dict[str, str]:
        known = [bucket.name for bucket in BUCKETS.values() if bucket.in_influx]
        unknown = sorted(set(names) - set(known))
        if unknown:
            raise ValueError(f"no bucket {', '.join(unknown)}; expected some of {', '.join(known)}")
        if not all(name.strip() and name.isprintable() for name in names.values()):
            raise ValueError("a name of a bucket is empty or holds control characters")
        return names

    @model_validator(mode="after")
    def _one_way_in(self) -> InfluxSettings:
        if self.token is not None and self.password is not None:
            raise ValueError("token and password are both set; set the one that this server takes")
        if (self.password is None) != (self.username is None) and self.token is None:
            raise ValueError("username and password go together")
        return self

    @property
    def secret(self) -> SecretStr | None:
        """Token or password, whichever is set."""
        return self.token or self.password

    def bucket(self, declared: str) -> str:
        """Name on the server of the bucket (2.x) or database (1.x, 3.x) that holds ``declared``."""
        merged = IN_FIVE.get(declared, declared) if self.databases == "five" else declared
        return self.bucket_names.get(declared, merged)

    def database(self, declared: str) -> str:
        """Name of that bucket in InfluxQL. 2.x would cut a name at its first slash, so such a bucket is mapped."""
        bucket = self.bucket(declared)
        return declared if "/" in bucket else bucket
