"""Whom Grafana tells: the committed file, and each fault that the lint is for."""

from collections.abc import Callable
from typing import Any

import pytest
import yaml

from deployments.grafana import build
from deployments.grafana.notification import lint_notification

Document = dict[str, Any]


def committed(path: str = "notification/lodeline.yaml") -> Document:
    found: Document = yaml.safe_load((build.FOLDER / path).read_text(encoding="utf-8"))
    return found


def receivers_of(document: Document, labels: dict[str, str]) -> list[str]:
    """Types that are told of an alert with ``labels``, as Grafana routes it: the first match, else the root."""
    (policy,) = document["policies"]
    name = next(
        (
            route["receiver"]
            for route in policy["routes"]
            if all(labels[label] == value for label, _, value in route["object_matchers"])
        ),
        policy["receiver"],
    )
    (point,) = (one for one in document["contactPoints"] if one["name"] == name)
    return [receiver["type"] for receiver in point["receivers"]]


def test_every_rule_of_grafana_finds_somebody() -> None:
    document = committed()
    assert lint_notification(document) == []
    told = {
        rule["labels"]["severity"]: receivers_of(document, rule["labels"])
        for group in committed("provisioning/alerting/lodeline.yaml")["groups"]
        for rule in group["rules"]
    }
    usual = {"critical": ["email", "webhook"], "warning": ["email"], "info": ["email"]}
    assert told == {severity: usual[severity] for severity in told}
    assert {"critical", "warning"} <= told.keys()


def test_it_is_off_until_it_is_copied() -> None:
    provisioned = [yaml.safe_load(path.read_text()) for path in (build.FOLDER / "provisioning").rglob("*.y*ml")]
    assert provisioned
    assert not [one for one in provisioned if {"contactPoints", "policies"} & one.keys()]


def test_the_readme_names_every_variable() -> None:
    readme = (build.FOLDER / "README.md").read_text(encoding="utf-8")
    points = committed()["contactPoints"]
    variables = {value for point in points for one in point["receivers"] for value in one["settings"].values()}
    assert {name for name in variables if f"`{name.removeprefix('$')}`" in readme} == variables
    assert len(variables) == 2


def _policy(document: Document) -> Document:
    found: Document = document["policies"][0]
    return found


def _receiver(document: Document) -> Document:
    found: Document = document["contactPoints"][1]["receivers"][1]
    return found


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (lambda d: _policy(d).update(receiver="nobody"), "receiver nobody is no contact point"),
        (lambda d: _policy(d)["routes"][0].update(receiver="gone"), "receiver gone is no contact point"),
        (lambda d: _policy(d).update(group_wait="30"), "group_wait 30 is no duration, e.g. 30s"),
        (lambda d: _policy(d).update(group_by=["rack"]), "group_by rack: no rule has that label"),
        (
            lambda d: _policy(d)["routes"][0].update(object_matchers=[["severity", "=", "fatal"]]),
            "no rule has the label severity = fatal",
        ),
        (lambda d: _receiver(d).update(uid="lodeline-email"), "two receivers have the uid lodeline-email"),
        (lambda d: _receiver(d).update(type="telex"), "lodeline-urgent-webhook: type telex is none of email, webhook"),
        (
            lambda d: _receiver(d)["settings"].update(url="https://hooks.example/secret"),
            "lodeline-urgent-webhook: url is neither $LODELINE_GRAFANA_MAIL_TO nor $LODELINE_GRAFANA_WEBHOOK_URL",
        ),
    ],
)
def test_a_fault_is_found(spoil: Callable[[Document], None], fault: str) -> None:
    document = committed()
    spoil(document)
    assert lint_notification(document) == [fault]
