"""The base of every section of a configuration, and the texts in it that have a form."""

from __future__ import annotations

import difflib
import re
import zoneinfo
from collections.abc import Iterable
from datetime import UTC, datetime
from types import NoneType
from typing import Annotated, Any, get_args
from urllib.parse import urlsplit

from cronsim import CronSim, CronSimError
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError


class Section(BaseModel):
    """One mapping of a configuration file: frozen, every key known, and its own input never in an error's text."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
    )

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth_for_a_number(cls, value: Any, info: ValidationInfo) -> Any:
        # pydantic takes true for 1, and YAML takes yes, no, on and off for true and false
        if isinstance(value, bool) and info.field_name is not None:
            annotation = cls.model_fields[info.field_name].annotation
            kinds = {annotation, *get_args(annotation)} - {NoneType}
            if kinds <= {int, float}:
                raise PydanticCustomError("bool_for_number", "a number is expected")
        return value


def nearest(name: str, known: Iterable[str], *, likeness: float = 0.6) -> str | None:
    """The one of ``known`` that ``name`` most likely means, if any is at least so like it (0 to 1)."""
    close = difflib.get_close_matches(name.lower(), list(known), n=1, cutoff=likeness)
    return close[0] if close else None


def _is_cron(text: str) -> str:
    if len(text.split()) != 5:
        raise ValueError("expected a cron expression of five fields: minute hour day month weekday")
    try:
        next(CronSim(text, datetime(2024, 1, 1, tzinfo=UTC)))
    except CronSimError as error:
        raise ValueError(f"not a cron expression (minute hour day month weekday): {str(error).lower()}") from None
    except StopIteration:
        raise ValueError("this cron expression names a day that never comes") from None
    _check_days(*(text.upper().split()[place] for place in (2, 4)))
    return text


def _check_days(day: str, weekday: str) -> None:
    """Refuse what Prefect's parser, which starts the runs, does not know or takes for other days. Raises ValueError."""
    if "W" in day or "L" in weekday:
        raise ValueError("LW and a weekday with L are not known to Prefect; L for the last day of the month is")
    if "*" not in (day, weekday) and re.search(r"[*#L]", day + weekday):
        raise ValueError("of a day with * or L and a weekday with * or # make one *: together each reader takes others")


def _is_time_zone(text: str) -> str:
    try:
        zoneinfo.ZoneInfo(text)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        pass
    else:
        return text
    city_of = {zone: zone.rsplit("/", 1)[-1].lower() for zone in sorted(zoneinfo.available_timezones())}
    meant = nearest(text.rsplit("/", 1)[-1], city_of.values(), likeness=0.75)
    zone = next((zone for zone, city in city_of.items() if city == meant), None)
    hint = f"; did you mean {zone}?" if zone else ""
    raise ValueError(f"not a time zone of the tz database{hint}")


def _is_address(text: str, schemes: tuple[str, ...]) -> str:
    try:
        parts = urlsplit(text)
        port_is_valid = parts.port is None or 0 < parts.port < 65536
    except ValueError:
        raise ValueError("not an address: host or port cannot be read") from None
    if parts.scheme not in schemes or not parts.hostname or not port_is_valid:
        raise ValueError(f"expected an address that starts with {' or '.join(f'{s}://' for s in schemes)} and a host")
    if parts.username is not None or parts.password is not None:
        raise ValueError("an address must not hold a name or password; they have keys of their own")
    return text.rstrip("/")


def _is_bucket(text: str) -> str:
    if not re.fullmatch(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[\w.=-]+)*/?", text, re.ASCII):
        raise ValueError("expected s3://bucket/prefix, of letters, digits, '.', '_', '=' and '-'")
    return text.rstrip("/")


def _is_folder_or_bucket(text: str) -> str:
    return _is_bucket(text) if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", text) else text


def _is_email(text: str) -> str:
    if not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s.]+", text):
        raise ValueError("expected an e-mail address")
    return text


def _is_key(key: SecretStr) -> SecretStr:
    text = key.get_secret_value()
    wrong = next((place for place, char in enumerate(text, 1) if not "!" <= char <= "~"), None)
    if wrong is not None:
        raise ValueError(
            f"has a blank, a line break or another character that no key has, at place {wrong} of {len(text)}"
        )
    return key


Name = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^\S(.*\S)?$")]
"""A text that is not empty and neither starts nor ends with a blank."""

PollingInterval = Annotated[int, Field(ge=10, le=7 * 86_400)]
"""Seconds between two requests to one service: from 10 s to a week."""

CronExpression = Annotated[str, AfterValidator(_is_cron)]
"""Five fields of cron. Read by cronsim, which follows Debian's cron; what Prefect takes otherwise is refused."""

TimeZoneName = Annotated[str, AfterValidator(_is_time_zone)]
"""A name of the tz database, e.g. ``Europe/Vienna``."""

WebAddress = Annotated[str, AfterValidator(lambda text: _is_address(text, ("http", "https")))]
"""``http://`` or ``https://`` address without credentials and without a slash at its end."""

SocketAddress = Annotated[str, AfterValidator(lambda text: _is_address(text, ("ws", "wss")))]
"""``ws://`` or ``wss://`` address without credentials."""

BucketAddress = Annotated[str, AfterValidator(_is_bucket)]
"""``s3://bucket/prefix`` of an object store, without a slash at its end."""

FolderOrBucket = Annotated[str, AfterValidator(_is_folder_or_bucket)]
"""A folder of this host, or ``s3://bucket/prefix``."""

ApiKey = Annotated[SecretStr, AfterValidator(_is_key)]
"""A key of letters, digits and signs, as a header or an address can carry it."""

EmailAddress = Annotated[str, AfterValidator(_is_email)]
"""Something like ``name@host.domain``."""
