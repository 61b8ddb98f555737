"""What the doctor makes of what it finds in the cluster, and what its report leaves out."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from kubernetes.aio.client.exceptions import ApiException

from crmflow.cli.cluster import Cluster
from crmflow.cli.doctor import installation, report
from crmflow.cli.doctor.checks import Check, Level, Section, failed, failed_by, ok, warning
from crmflow.cli.doctor.privacy import Privacy
from crmflow.cli.doctor.resource import check_status
from crmflow.cli.problem import Problem
from crmflow.clock import Clock
from crmflow.http.errors import ErrorClass, RemoteError
from crmflow.observability.redaction import register
from tests.unit.cli.connections import ORGANIZATION, connection

NOW = "2026-03-01T12:00:00Z"


class At(Clock):
    """A clock that stands still, so many seconds after ``NOW``."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._seconds = seconds

    def now(self) -> float:
        return 1772366400.0 + self._seconds


def condition(type_: str, status: str, reason: str, message: str = "Do this.") -> dict[str, Any]:
    return {"type": type_, "status": status, "reason": reason, "message": message, "lastTransitionTime": NOW}


READY: dict[str, Any] = {
    "observedGeneration": 1,
    "conditions": [condition("Ready", "True", "Succeeded"), condition("Reconciling", "False", "Succeeded")],
}


def lines(checks: list[Check]) -> list[tuple[str, Level]]:
    return [(check.subject, check.level) for check in checks]


# --- the resource -----------------------------------------------------------------------------------------


def test_a_ready_connection() -> None:
    assert lines(check_status(connection(READY), At(0))) == [("reconciled", Level.OK), ("Ready", Level.OK)]


@pytest.mark.parametrize(
    ("status", "reason", "level"),
    [
        ("False", "SecretNotFound", Level.FAILED),
        ("False", "ProgressingWithRetry", Level.WARNING),
        ("False", "Progressing", Level.WARNING),
        ("Unknown", "Pending", Level.WARNING),
    ],
)
def test_conditions(status: str, reason: str, level: Level) -> None:
    told = {"observedGeneration": 1, "conditions": [condition("Authorized", status, reason)]}
    found = check_status(connection(told), At(0))[-1]
    assert (found.level, found.reason, found.message) == (level, reason, f"{reason}: Do this.")
    assert found.fix


def test_what_is_wrong_while_it_works_is_a_warning() -> None:
    """Such as a source that is withdrawn: what exists goes on."""
    told = {
        **READY,
        "conditions": [*READY["conditions"], condition("SourceOffered", "False", "SourceWithdrawn")],
    }
    assert lines(check_status(connection(told), At(0)))[-1] == ("SourceOffered", Level.WARNING)


@pytest.mark.parametrize(
    ("status", "metadata", "level", "text"),
    [
        ({}, {"creationTimestamp": NOW}, Level.WARNING, "yet"),
        ({}, {}, Level.FAILED, "no operator"),
        (READY, {"generation": 2}, Level.WARNING, "generation 2"),
        (READY, {"deletionTimestamp": NOW}, Level.WARNING, "being deleted"),
    ],
)
def test_whether_an_operator_works_on_it(
    status: dict[str, Any], metadata: dict[str, Any], level: Level, text: str
) -> None:
    found = check_status(connection(status, **metadata), At(30))[0]
    assert (found.subject, found.level) == ("reconciled", level)
    assert text in found.message.lower()
    assert found.fix


def test_one_that_nobody_looks_at_for_a_minute() -> None:
    found = check_status(connection({}, creationTimestamp=NOW), At(61))
    assert lines(found) == [("reconciled", Level.FAILED)]
    assert "CRMFLOW_WATCH_NAMESPACES" in found[0].fix


# --- the installation -------------------------------------------------------------------------------------


class Fake(Cluster):
    """A cluster of which nothing is asked but what a test replaces."""

    def __init__(self) -> None:
        self.api, self.namespace = None, "team"


BASE_LABELS = {"app.kubernetes.io/name": "crmflow", "crmflow.io/component": "operator"}


def deployment(
    replicas: int | None, available: int | None, name: str = "crmflow", labels: dict[str, str] = BASE_LABELS
) -> Any:
    return SimpleNamespace(
        metadata=SimpleNamespace(namespace="crmflow-system", name=name, labels=labels),
        spec=SimpleNamespace(replicas=replicas),
        status=SimpleNamespace(available_replicas=available),
    )


@pytest.fixture
def deployments(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The Deployments that the cluster has, or the exception that it answers with."""
    found: list[Any] = []

    class Apps:
        def __init__(self, _: object) -> None: ...

        async def list_deployment_for_all_namespaces(self, *, label_selector: str, **_: object) -> Any:
            if found and isinstance(found[0], Exception):
                raise found[0]
            key, _, value = label_selector.partition("=")
            return SimpleNamespace(items=[one for one in found if one.metadata.labels.get(key) == value])

    monkeypatch.setattr(installation.client, "AppsV1Api", Apps)
    return found


@pytest.mark.parametrize(
    ("replicas", "available", "level"),
    [
        (1, 1, Level.OK),
        (None, 1, Level.OK),
        (2, 1, Level.WARNING),
        (2, None, Level.FAILED),
        (0, None, Level.FAILED),
    ],
)
async def test_the_operators_deployment(
    deployments: list[Any], replicas: int | None, available: int | None, level: Level
) -> None:
    deployments.append(deployment(replicas, available))
    (found,) = await installation.check_operator(Fake(), [])
    assert found.level is level
    assert "crmflow-system/crmflow" in found.message
    assert bool(found.fix) is (level is not Level.OK)


@pytest.mark.parametrize(
    "labels",
    [
        {
            "app.kubernetes.io/name": "zoho",
            "crmflow.io/component": "operator",
        },  # nameOverride, an alias, Kustomize
        {"app.kubernetes.io/name": "crmflow"},  # installed before there was the other label
    ],
)
async def test_the_operators_deployment_whatever_its_name(
    deployments: list[Any], labels: dict[str, str]
) -> None:
    deployments.append(deployment(1, 1))
    deployments.append(deployment(1, 1, "second", labels))
    deployments.append(deployment(1, None, "other", {"app.kubernetes.io/name": "other"}))
    found = await installation.check_operator(Fake(), [])
    assert [check.level for check in found] == [Level.OK, Level.OK]
    assert "crmflow-system/second" in found[1].message


@pytest.mark.parametrize(
    ("rights", "status", "level"),
    [
        (True, READY, Level.WARNING),
        (True, {}, Level.FAILED),
        (False, READY, Level.OK),
        (False, {}, Level.WARNING),
    ],
)
async def test_no_deployment_to_be_seen(
    deployments: list[Any], rights: bool, status: dict[str, Any], level: Level
) -> None:
    if not rights:
        deployments.append(ApiException(status=403, reason="Forbidden"))
    (found,) = await installation.check_operator(Fake(), [connection(status)])
    assert found.level is level


# --- errors -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reason", "level"), [("TokenThrottled", Level.WARNING), ("RefreshTokenRejected", Level.FAILED)]
)
def test_a_busy_service_is_no_failure(reason: str, level: Level) -> None:
    error = RemoteError("ZohoAccounts", "refresh", ErrorClass.TERMINAL, reason, "it is so", advice="do that")
    found = failed_by("Zoho token", error)
    assert (found.level, found.message, found.fix, found.reason) == (level, "It is so.", "Do that.", reason)


def test_each_failure_has_a_fix() -> None:
    assert failed_by("API server", Problem("no")).fix


# --- what is shown ----------------------------------------------------------------------------------------

SECTIONS = [
    Section("Installation", (ok("API server", "it answers"),)),
    Section("ZohoSourceConnection team/zoho-eu", (warning("a", "b | c", "d"), failed("e", "f " * 60, "g"))),
]


def test_off_a_terminal_each_check_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    report.show(SECTIONS)
    out = capsys.readouterr().out.splitlines()
    assert out[:2] == ["Installation", "  ok       API server  It answers."]
    assert out[4] == "  warning  a           B | c."
    assert out[5] == "                       Fix: D."
    assert out[6].endswith("f .")
    assert out[-1] == "1 ok, 1 warning, 1 failed"


def test_the_report_holds_no_secret_and_names_nobody(tmp_path: Path) -> None:
    register("a-secret-of-no-shape")
    told = connection(
        {
            **READY,
            "zohoOrganization": {"id": "47110815", "name": "Nordlicht Handels GmbH", "type": "production"},
        }
    )
    privacy = Privacy()
    privacy.hide_connection(told)
    privacy.hide_user("Data Pipeline", "data.pipeline@example.com")
    message = (
        "Nordlicht Handels GmbH (47110815) of Data Pipeline, data.pipeline@example.com and other@example.org"
    )
    sections = [
        Section(
            "x", (ok("y", message), failed("z", f"a-secret-of-no-shape | {ORGANIZATION}", "Bearer abc.def"))
        ),
    ]
    file = tmp_path / "report.md"
    report.save(str(file), sections, [told], privacy, time=NOW, server="v1.36.3", live=True)
    text = file.read_text()
    for hidden in ("Nordlicht", "47110815", "Data Pipeline", "@", "a-secret-of-no-shape", "abc.def"):
        assert hidden not in text
    assert "| <Zoho organization> (<Zoho organization id>) of <Zoho user>" in text
    assert "\\| <organization>." in text
    shown = yaml.safe_load(text.split("```yaml\n")[1].split("```")[0])
    assert shown["spec"]["zoho"]["dataCenter"] == "EU"
    assert shown["status"]["conditions"][0]["reason"] == "Succeeded"
