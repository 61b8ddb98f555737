"""``kubectl crmflow doctor`` on a real API server, against emulated Zoho and Platform."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from tests.kit import manifests
from tests.kit.cluster import Object
from tests.kit.plugin import READ_CONNECTIONS, Plugin, Run
from tests.kit.tenant import CONNECTION, Tenant

NAME = manifests.CONNECTION
LIVE = (
    "Zoho accounts host",
    "Zoho API host",
    "Zoho token",
    "Zoho scopes",
    "Zoho organization",
    "Zoho user",
    "Adobe IMS host",
    "Platform host",
    "Adobe token",
    "sandbox",
    "permissions",
    "source offered",
    "base connection",
    "connection test",
)


def results(run: Run) -> dict[str, str]:
    """How each check of ``-o json`` ended."""
    return {check["check"]: check["result"] for check in checks(run)}


def checks(run: Run) -> list[dict[str, Any]]:
    """Every check of ``-o json``."""
    return [check for section in run.json()["sections"] for check in section["checks"]]


def the(subject: str, run: Run) -> dict[str, Any]:
    """One check of ``-o json``."""
    (found,) = (check for check in checks(run) if check["check"] == subject)
    return found


def refreshes(calls: list[Object]) -> int:
    """How many access tokens were asked for."""
    return sum(call["service"] == "zoho-accounts" and call["method"] == "POST" for call in calls)


def changes(calls: list[Object]) -> list[str]:
    """What was sent to Platform that could change something."""
    return [call["path"] for call in calls if call["service"] == "platform" and call["method"] != "GET"]


def test_all_is_well(ready: Tenant, plugin: Plugin) -> None:
    mark = ready.mark()
    offline = plugin("doctor", NAME)
    assert offline.status == 0, offline.stderr
    assert offline.stdout.splitlines()[-1].endswith(" ok, 0 warning, 0 failed")
    assert ["ok", "Zoho", "Secret"] in [line[:3] for line in offline.lines]
    assert not [call for call in ready.calls_since(mark) if call["service"].startswith("zoho")]

    mark = ready.mark()
    live = plugin("doctor", "--live", "-o", "json")
    assert live.status == 0, live.stderr
    assert {subject: results(live)[subject] for subject in LIVE} == dict.fromkeys(LIVE, "ok")
    assert "one access token" in live.stderr
    calls = ready.calls_since(mark)
    assert (refreshes(calls), changes(calls)) == (1, [])
    assert "data.pipeline@example.com" in the("Zoho user", live)["message"]


def test_all_is_well_with_a_landing_zone(zone: Tenant, plugin: Plugin) -> None:
    zone.apply_connection(transport="LandingZone")
    zone.wait_ready(CONNECTION, seconds=60)
    mark = zone.mark()
    live = plugin("doctor", "--live", "-o", "json")
    assert live.status == 0, live.stderr
    found = results(live)
    checked = ("landing zone", "landing zone SAS", "landing zone files", "Zoho scopes")
    assert {subject: found[subject] for subject in checked} == dict.fromkeys(checked, "ok")
    assert "source offered" not in found
    assert "dlz-user-container" in the("landing zone SAS", live)["message"]
    assert changes(zone.calls_since(mark)) == []


def test_two_connections_with_one_grant_cost_one_token(ready: Tenant, plugin: Plugin) -> None:
    ready.cluster.apply(manifests.connection(ready.namespace, "zoho-second"))
    ready.cluster.wait_ready(CONNECTION, "zoho-second", ready.namespace, seconds=60)
    mark = ready.mark()
    live = plugin("doctor", "--live", "-o", "json")
    titles = [section["title"].split("/")[-1] for section in live.json()["sections"]]
    assert titles[1:] == [NAME, "zoho-second"]
    assert refreshes(ready.calls_since(mark)) == 1


def test_the_report_names_nobody(ready: Tenant, plugin: Plugin) -> None:
    file = plugin.directory / "report.md"
    assert plugin("doctor", NAME, "--live", f"--report={file}").status == 0
    text = file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "| connection test | ok |" in text
    assert "dataCenter: EU" in text
    assert "<organization>" in text
    assert "<Zoho organization>" in text
    for named in ("AdobeOrg", "Nordlicht", "data.pipeline", "example.com", "Data Pipeline"):
        assert named not in text
    unwritable = plugin("doctor", NAME, "--report=/nonexistent/report.md")
    assert (unwritable.status, "can't be written" in unwritable.stderr) == (1, True)


@pytest.mark.parametrize(
    ("emulator", "switch", "position", "subject", "result"),
    [
        ("zoho", "tokenFault", "invalid_grant", "Zoho token", "failed"),
        ("zoho", "ipBlock", "direct", "Zoho organization", "warning"),
        ("zoho", "ipBlock", "source", "connection test", "failed"),
        ("zoho", "tokenAnswerScope", False, "Zoho scopes", "warning"),
        ("aep", "sourcesPermission", "none", "permissions", "failed"),
        ("aep", "zohoSource", "notInFlowSpec", "source offered", "failed"),
        ("aep", "zohoSource", "withdrawn", "source offered", "failed"),
    ],
)
def test_what_the_services_refuse(
    ready: Tenant, plugin: Plugin, emulator: str, switch: str, position: Any, subject: str, result: str
) -> None:
    ready.control.switch(emulator, **{switch: position})
    live = plugin("doctor", NAME, "--live", "-o", "json")
    found = the(subject, live)
    assert found["result"] == result
    assert found["fix"]
    assert live.status == (1 if live.json()["summary"]["failed"] else 0)


@pytest.mark.parametrize("failure", ["result", "error", "unavailable", "timeout"])
def test_each_answer_to_a_failing_test_is_a_line_with_its_fix(
    ready: Tenant, plugin: Plugin, failure: str
) -> None:
    ready.control.switch("aep", testFailure=failure)
    ready.control.switch("zoho", ipBlock="source")
    live = plugin("doctor", NAME, "--live", "-o", "json")
    found = the("connection test", live)
    assert found["result"] == "failed"
    assert found["fix"]
    assert "Traceback" not in live.stderr


def test_nothing_is_there_yet(tenant: Tenant, plugin: Plugin) -> None:
    empty = plugin("doctor", "-o", "json")
    assert (empty.status, the("connections", empty)["result"]) == (0, "warning")
    nobody = plugin("doctor", "zoho-us", "-o", "json")
    assert (nobody.status, the("resource", nobody)["result"]) == (1, "failed")

    tenant.apply_connection()
    tenant.wait_reason(CONNECTION, "Authorized", "SecretNotFound")
    bare = plugin("doctor", NAME, "--live")
    assert bare.status == 1
    text = " ".join(bare.stdout.split())
    assert f'failed Zoho Secret Secret "{manifests.ZOHO_SECRET}"' in text
    assert "failed Authorized SecretNotFound:" in text
    assert "Traceback" not in bare.stderr


def test_with_fewer_rights(ready: Tenant, plugin: Plugin, kubeconfig: Path) -> None:
    plugin.give_rights(READ_CONNECTIONS)
    blind = plugin("doctor", NAME, "-o", "json")
    assert blind.status == 0
    assert (the("Zoho Secret", blind)["result"], the("Ready", blind)["result"]) == ("warning", "ok")
    assert "your rights do not show its Deployment" in the("operator", blind)["message"]

    plugin.give_rights()
    locked_out = plugin("doctor", NAME, "-o", "json")
    assert (locked_out.status, the("resource", locked_out)["result"]) == (1, "failed")

    admin = plugin.run(["doctor", NAME, "-n", ready.namespace, f"--kubeconfig={kubeconfig}"], {})
    assert admin.status == 0, admin.stdout
    assert "your rights" not in admin.stdout


def test_hosts_out_of_reach(ready: Tenant, plugin: Plugin) -> None:
    mark = ready.mark()
    away = plugin(
        "doctor",
        NAME,
        "--live",
        "-o",
        "json",
        CRMFLOW_ZOHO_ACCOUNTS_URL="http://127.0.0.1:9",
        CRMFLOW_PLATFORM_URL="https://127.0.0.1:9",
    )
    assert away.status == 1
    for subject in ("Zoho accounts host", "Platform host"):
        assert the(subject, away)["result"] == "failed"
        assert "proxy" in the(subject, away)["fix"]
    assert refreshes(ready.calls_since(mark)) == 0


def test_a_cluster_without_the_kinds(plugin: Plugin) -> None:
    """A kubeconfig that leads to something that is no API server at all."""
    url = plugin.tenant.emulators.info["controlUrl"]
    content = json.loads(plugin.kubeconfig.read_text())
    content["clusters"][0]["cluster"] = {"server": url}
    file = plugin.directory / "other"
    file.write_text(json.dumps(content))
    lost = plugin.run(["doctor", f"--kubeconfig={file}", "-o", "json"], {})
    assert lost.status == 1
    assert {check["result"] for check in checks(lost)} <= {"ok", "failed"}
    assert the("resource definitions", lost)["result"] == "failed"
    file.unlink()
