"""Every answer to a write, and what it means. Bodies are those of the servers (1.6.7 measured, 2.x and 3.x read)."""

from __future__ import annotations

import time
from email.utils import formatdate

import httpx
import pytest

from storage.errors import NeedsHuman, TryAgain
from storage.influx.answers import Refused, Stored, TooLarge, judged
from storage.influx.connection import MOST_OF_AN_ERROR, Answer, Dialect, read_answer, retry_after

V1, V2, V3 = Dialect.V1, Dialect.V2, Dialect.V3
URL = "http://influx:8086"


def test_only_204_is_success() -> None:
    assert judged(URL, V2, "b", Answer(204, "")) == Stored()


@pytest.mark.parametrize(
    ("dialect", "status", "body", "reason", "dropped", "by_line"),
    [
        (V1, 400, '{"error":"unable to parse \'x\': missing fields"}', "unable to parse 'x': missing fields", None, {}),
        (
            V1,
            400,
            '{"error":"partial write: points beyond retention policy dropped=1"}',
            "partial write: points beyond retention policy dropped=1",
            1,
            {},
        ),
        (
            V2,
            400,
            '{"code":"invalid","message":"unable to parse \'x\': missing fields"}',
            "unable to parse 'x': missing fields",
            None,
            {},
        ),
        (
            V2,
            422,
            '{"code":"unprocessable entity","message":"partial write: dropped 3 points outside retention policy"}',
            "partial write: dropped 3 points outside retention policy",
            3,
            {},
        ),
        (
            V3,
            400,
            '{"error":"partial write of line protocol occurred","data":'
            '[{"original_line":"m","line_number":2,"error_message":"no fields"}]}',
            "partial write of line protocol occurred",
            None,
            {1: "no fields"},
        ),
        (V3, 422, '{"error":"too many columns","data":null}', "too many columns", None, {}),
    ],
)
def test_refused_lines(dialect, status, body, reason, dropped, by_line) -> None:
    assert judged(URL, dialect, "b", Answer(status, body)) == Refused(reason, dropped, by_line)


def test_an_echo_of_all_bad_lines_cut_at_64_kib_is_still_a_refusal() -> None:
    outcome = judged(URL, V1, "b", Answer(400, '{"error":"unable to parse \'' + "x" * MOST_OF_AN_ERROR))
    assert isinstance(outcome, Refused)


def test_too_large() -> None:
    assert judged(URL, V2, "b", Answer(413, "<html>nginx</html>")) == TooLarge("<html>nginx</html>")
    assert judged(URL, V2, "b", Answer(413, "")) == TooLarge("413 request entity too large")


@pytest.mark.parametrize(
    ("dialect", "status", "body"),
    [
        (V1, 401, '{"error":"authorization failed"}'),
        (V1, 403, '{"error":"\\"reader\\" user is not authorized to write to database \\"d\\""}'),
        (V1, 404, '{"error":"database not found: \\"d\\""}'),
        (V1, 500, '{"error":"retention policy not found: x"}'),
        (V2, 401, '{"code":"unauthorized","message":"unauthorized access"}'),
        (V2, 403, '{"code":"forbidden","message":"insufficient permissions for write"}'),
        (V2, 404, '{"code":"not found","message":"bucket \\"b\\" not found"}'),
        (V1, 301, ""),
        (V1, 400, "<html>Bad Request</html>"),
        (V1, 400, ""),
        (V2, 400, "{}"),
        (V1, 405, ""),
        (V1, 418, "teapot"),
    ],
)
def test_held_until_a_human_acts(dialect, status, body) -> None:
    with pytest.raises(NeedsHuman, match=str(status)):
        judged(URL, dialect, "b", Answer(status, body))


@pytest.mark.parametrize(
    ("dialect", "status", "body"),
    [
        (V1, 500, '{"error":"timeout"}'),
        (V1, 500, ""),
        (V2, 500, '{"code":"internal error","message":"unexpected error"}'),
        (V2, 500, '{"code":"internal error","message":"retention policy not found"}'),
        (V2, 503, '{"status":"starting"}'),
        (V2, 429, ""),
        (V1, 408, ""),
        (V1, 502, "<html>Bad Gateway</html>"),
        (V1, 200, "<html>a captive portal</html>"),
        (V2, 202, ""),
    ],
)
def test_sent_again(dialect, status, body) -> None:
    with pytest.raises(TryAgain, match=str(status)):
        judged(URL, dialect, "b", Answer(status, body))


def test_the_wait_asked_for_is_handed_on() -> None:
    with pytest.raises(TryAgain) as raised:
        judged(URL, V2, "b", Answer(503, "", retry_after_s=7.0))
    assert raised.value.retry_after_s == 7.0


@pytest.mark.parametrize(
    ("header", "seconds"),
    [(None, None), ("7", 7.0), ("-3", None), ("86400", 600.0), ("soon", None), ("nan", None), ("inf", None)],
)
def test_retry_after_in_seconds(header, seconds) -> None:
    assert retry_after(header) == seconds


def test_retry_after_as_a_date() -> None:
    in_two_minutes = retry_after(formatdate(time.time() + 120, usegmt=True))
    assert in_two_minutes is not None
    assert 60 < in_two_minutes <= 120
    assert retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0.0


def test_at_most_64_kib_of_an_error_are_read() -> None:
    given = iter([b"x" * 50_000] * 1_000)
    answer = read_answer(httpx.Response(400, content=given), timeout_s=10)
    assert answer.text == "x" * MOST_OF_AN_ERROR
    assert next(given, None) is not None, "the rest stays unread"
