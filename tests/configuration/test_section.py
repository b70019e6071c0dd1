"""Texts that have a form."""

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from storage.configuration import ApiKey, CronExpression, EmailAddress, SocketAddress, TimeZoneName, WebAddress


@pytest.mark.parametrize(
    ("form", "good"),
    [
        (CronExpression, "0 */6 * * *"),
        (CronExpression, "0 0 * * 0"),
        (CronExpression, "*/5 8-18 1,15 jan-mar mon-fri"),
        (CronExpression, "0 0 29 2 *"),
        (TimeZoneName, "UTC"),
        (TimeZoneName, "America/Argentina/Buenos_Aires"),
        (WebAddress, "http://127.0.0.1:8086"),
        (WebAddress, "https://[::1]:8086/api/v1"),
        (SocketAddress, "wss://prohashing.com:3333/ws"),
        (EmailAddress, "admin@example.com"),
    ],
)
def test_right_forms_pass_unchanged(form: Any, good: str) -> None:
    assert TypeAdapter(form).validate_python(good) == good


@pytest.mark.parametrize(
    ("form", "bad"),
    [
        (CronExpression, ""),
        (CronExpression, "0 0 * *"),
        (CronExpression, "0 0 0 * * *"),
        (CronExpression, "60 * * * *"),
        (CronExpression, "0 0 31 4 *"),
        (CronExpression, "hourly"),
        (TimeZoneName, "utc+1"),
        (TimeZoneName, "../../etc/passwd"),
        (TimeZoneName, ""),
        (WebAddress, "influx:8086"),
        (WebAddress, "ftp://influx"),
        (WebAddress, "http://"),
        (WebAddress, "http://influx:99999"),
        (WebAddress, "http://[::1"),
        (WebAddress, "http://user:word@influx"),
        (SocketAddress, "https://prohashing.com"),
        (EmailAddress, "admin"),
        (EmailAddress, "a b@example.com"),
    ],
)
def test_wrong_forms_are_refused(form: Any, bad: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(form).validate_python(bad)


@pytest.mark.parametrize(
    ("key", "place"),
    [
        ("abc123\n", 7),
        ("abc 123", 4),
        ("\N{LEFT DOUBLE QUOTATION MARK}abc", 1),
        ("cl\N{LATIN SMALL LETTER E WITH ACUTE}", 3),
    ],
)
def test_a_key_that_no_header_can_carry_is_refused_and_not_shown(key: str, place: int) -> None:
    """Sent, it would be a fault of the protocol, whose text has the key in a form that nobody masks."""
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(ApiKey).validate_python(key)
    (error,) = caught.value.errors(include_input=False)
    assert f"at place {place} of {len(key)}" in error["msg"]
    assert "abc" not in error["msg"]
