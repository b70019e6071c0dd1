"""Sending for real: a webhook on loopback, Debian's Alertmanager, a dead-man switch; and no secret in words."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from storage.errors import NeedsHuman
from tasks.alerts.channels import send, stripped
from tasks.alerts.handover import hand_over, payload, sign_of_life
from tasks.alerts.life_cycle import Alert, Phase
from tasks.alerts.rule import Level
from tasks.alerts.rules import RULES
from tasks.alerts.telling import Message
from tests.alerts.alertmanager import alertmanager
from tests.alerts.test_telling import alert

SECRET = "hush-4711-not-for-logs"
MESSAGE = Message(
    channel="ops", title="[critical] fan_lost: m1", body="m1: fan 2 does not turn", level=Level.CRITICAL, over=False,
    alerts=("a",),
)  # fmt: skip


class Webhook:
    """Answers ``status`` and keeps what came: method, path and JSON."""

    def __init__(self) -> None:
        self.status = 200
        self.got: list[tuple[str, str, object]] = []
        self.url = ""


@pytest.fixture(scope="module")
def webhook_server() -> Iterator[Webhook]:
    hook = Webhook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"] or 0))
            hook.got.append(("POST", self.path, json.loads(body)))
            self._answer()

        def do_GET(self) -> None:
            hook.got.append(("GET", self.path, None))
            self._answer()

        def _answer(self) -> None:
            self.send_response(hook.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_args: object) -> None:
            pass

    with _serving(Handler) as address:
        hook.url = address
        yield hook


@contextmanager
def _serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def webhook(webhook_server: Webhook) -> Webhook:
    webhook_server.status = 200
    webhook_server.got.clear()
    return webhook_server


def test_a_message_reaches_a_webhook(webhook: Webhook) -> None:
    assert send(SecretStr(f"json://{webhook.url}/{SECRET}"), MESSAGE) is None
    ((method, path, body),) = webhook.got
    assert (method, path) == ("POST", f"/{SECRET}")
    assert isinstance(body, dict)
    assert (body["title"], body["message"], body["type"]) == (MESSAGE.title, MESSAGE.body, "failure")


@pytest.mark.parametrize("status", [401, 404, 500])
def test_what_a_service_refuses_is_told_without_secrets(
    webhook: Webhook, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    webhook.status = status
    trouble = send(SecretStr(f"json://user:{SECRET}@{webhook.url}/{SECRET}?token={SECRET}"), MESSAGE)
    assert trouble is not None
    assert str(status) in trouble
    assert SECRET not in trouble + caplog.text


def test_nobody_there_is_no_success() -> None:
    trouble = send(SecretStr(f"json://127.0.0.1:9/{SECRET}"), MESSAGE)
    assert trouble
    assert SECRET not in trouble


@pytest.mark.parametrize("url", [f"nosuch://{SECRET}", SECRET, f"slack://{SECRET}"])
def test_an_address_that_nobody_understands_is_named_by_its_scheme_alone(url: str) -> None:
    with pytest.raises(NeedsHuman) as error:
        send(SecretStr(url), MESSAGE)
    assert SECRET not in str(error.value)


@pytest.mark.parametrize(
    ("url", "said", "told"),
    [
        ("json://ana:passw@farm.example/path?k=word", "farm.example/path: passw word", "farm.example/***: *** ***"),
        ("slack://tokenA/tokenB/tokenC", "POST services/tokenA/tokenB/tokenC: 404", "POST services/***/***/***: 404"),
    ],
)  # fmt: skip
def test_every_part_of_an_address_is_hidden_but_the_host_of_a_webhook(url: str, said: str, told: str) -> None:
    assert stripped(said, SecretStr(url)) == told


def incident(over: bool, alert_id: str = "a1") -> Message:
    word = "resolved" if over else "critical"
    return Message(
        channel="duty", title=f"[{word}] fan_lost: m1", body="m1: fan 2 does not turn", level=Level.CRITICAL, over=over,
        alerts=(alert_id,),
    )  # fmt: skip


def test_an_incident_is_resolved_under_the_key_that_opened_it(
    webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each end of an alert once was an incident more."""
    monkeypatch.setattr("apprise.plugins.pagerduty.PAGERDUTY_API_LOOKUP", {"us": f"http://{webhook.url}/v2/enqueue"})
    duty = SecretStr(f"pagerduty://{SECRET}-routing@{SECRET}/farm/north")
    for message in (incident(over=False), incident(over=False, alert_id="b2"), incident(over=True)):
        assert send(duty, message) is None
    events = [body for _, _, body in webhook.got]
    assert [(one["event_action"], one["dedup_key"]) for one in events if isinstance(one, dict)] == [
        ("trigger", "lodeline a1"), ("trigger", "lodeline b2"), ("resolve", "lodeline a1"),
    ]  # fmt: skip
    assert isinstance(events[0], dict)
    assert events[0]["routing_key"] == f"{SECRET}-routing"
    assert events[0]["payload"] == {
        "summary": "[critical] fan_lost: m1", "severity": "critical", "source": "farm", "component": "north",
        "custom_details": {"alert": "m1: fan 2 does not turn"},
    }  # fmt: skip
    webhook.status = 400
    trouble = send(duty, incident(over=False))
    assert trouble is not None
    assert "400" in trouble
    assert SECRET not in trouble


def test_the_sign_of_life(webhook: Webhook) -> None:
    assert sign_of_life(SecretStr(f"http://{webhook.url}/{SECRET}")) is None
    webhook.status = 503
    assert sign_of_life(SecretStr(f"http://{webhook.url}/{SECRET}")) == "it answered 503"
    assert SECRET not in str(sign_of_life(SecretStr(f"http://127.0.0.1:9/{SECRET}")))
    assert SECRET not in str(sign_of_life(SecretStr(f"no address {SECRET}")))


T_NOW = 1_795_900_000.0


def given(*alerts: Alert, muted: dict[str, str] | None = None, now: float = T_NOW) -> list[dict[str, object]]:
    return payload(alerts, muted or {}, RULES, now=now, usual_s=60)


def test_what_is_handed_over() -> None:
    fires = alert(fired=T_NOW - 60)
    assert [one["labels"] for one in given(fires)] == [
        {
            "alertname": "fan_lost", "severity": "critical", "subject": "m1", "entity": "m1", "site": "north",
            "service": "lodeline",
        }
    ]  # fmt: skip
    assert given(fires, muted={fires.id: "maintenance"}) == []
    assert given(alert(phase=Phase.PENDING, fired=None)) == []
    over = alert(phase=Phase.RESOLVED, fired=T_NOW - 600, resolved=T_NOW - 60)
    assert given(over)[0]["endsAt"] == "2026-11-28T21:05:40.000Z"
    assert given(over, now=T_NOW + 3_600) == []


def test_a_real_alertmanager_takes_alerts_and_their_end(tmp_path: Path) -> None:
    import time

    now = time.time()
    with alertmanager(tmp_path) as address:
        assert hand_over(address, []) is None
        assert (
            hand_over(address, given(alert(fired=now - 60), alert("board_lost", "m2", fired=now - 60), now=now)) is None
        )
        active = httpx.get(f"{address}/api/v2/alerts").json()
        assert {(one["labels"]["alertname"], one["labels"]["entity"]) for one in active} == {
            ("fan_lost", "m1"),
            ("board_lost", "m2"),
        }
        assert active[0]["annotations"]["description"]
        over = alert(phase=Phase.RESOLVED, fired=now - 60, resolved=now - 1)
        assert hand_over(address, given(over, now=now)) is None
        active = httpx.get(f"{address}/api/v2/alerts").json()
        assert [one["labels"]["alertname"] for one in active] == ["board_lost"]
        broken = hand_over(address, [{"labels": {}}])
        assert broken is not None
        assert "400" in broken or "422" in broken
    assert hand_over(address, []) == f"{address} does not answer: ConnectError"
