"""influxdb-client, used for what it does well: synchronous writes of ready bytes to InfluxDB 2.x, and buckets.

Its batching writer, Point times and DataFrame writer are not used: they lose or shift data (reference/influxdb.md 2).
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.client.write_api import SYNCHRONOUS
from influxdb_client.domain.bucket_retention_rules import BucketRetentionRules
from influxdb_client.rest import ApiException
from urllib3.exceptions import HTTPError

from storage.errors import NeedsHuman, TryAgain
from storage.influx.connection import MOST_OF_AN_ERROR, Answer, retry_after
from storage.influx.settings import InfluxSettings


def open_client(settings: InfluxSettings) -> Any:
    """An ``InfluxDBClient`` of InfluxDB 2.x (its annotations are incomplete, hence Any).

    Raises:
        NeedsHuman: ``token`` or ``org`` is not set.
    """
    if settings.token is None or settings.org is None:
        raise NeedsHuman(
            f"InfluxDB 2 at {settings.url} needs a token and an organisation",
            remedy="Set LODELINE_INFLUX__TOKEN and LODELINE_INFLUX__ORG",
        )
    return InfluxDBClient(
        url=settings.url,
        token=settings.token.get_secret_value(),
        org=settings.org,
        timeout=int(settings.timeout_s * 1000),
    )


def expire_rule(retention_s: int, shard_s: int) -> Any:
    """A ``BucketRetentionRules``; without one, a new bucket would keep everything for ever."""
    rules: Any = BucketRetentionRules
    return rules(type="expire", every_seconds=retention_s, shard_group_duration_seconds=shard_s)


class ClientPost:
    """A :class:`storage.influx.writing.Post` by influxdb-client's synchronous WriteApi.

    The body is compressed already (the client would take level 9), so this client says so in a header of its own.
    The status is read off the client's last response, for WriteApi tells nothing of it: hence one write at a time.
    Unlike ``/write`` it reads an error's body whole before we cut it.
    """

    def __init__(self, settings: InfluxSettings) -> None:
        self._client = open_client(settings)
        self._client.api_client.set_default_header("Content-Encoding", "gzip")
        self._writer = self._client.write_api(write_options=SYNCHRONOUS)
        self._settings = settings
        self._one_at_a_time = threading.Lock()

    def __call__(self, bucket: str, body: bytes) -> Answer:
        """Send ``body`` into the declared ``bucket``; raises TryAgain when there was no answer."""
        with self._one_at_a_time:
            try:
                self._writer.write(bucket=self._settings.bucket(bucket), record=body, write_precision="s")
                return Answer(self._client.api_client.last_response.status, "")
            except ApiException as error:
                return answer_of(error, self._settings.url)
            except (HTTPError, UnicodeDecodeError) as error:
                raise TryAgain(f"no answer from InfluxDB at {self._settings.url}: {type(error).__name__}") from error

    def close(self) -> None:
        """Close the client."""
        self._client.close()


def answer_of(error: ApiException, url: str) -> Answer:
    """The answer behind an error of the client. Raises TryAgain where there was none (status 0: TLS failed)."""
    if not error.status:
        raise TryAgain(f"no answer from InfluxDB at {url}: {str(error.reason).splitlines()[0]}") from error
    headers: Mapping[str, str] = error.headers or {}
    text = (error.body or "").encode()[:MOST_OF_AN_ERROR].decode(errors="replace")
    return Answer(int(error.status), text, retry_after(headers.get("Retry-After")))
