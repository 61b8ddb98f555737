"""``kubectl crmflow plan`` on a real API server: what it prints is what happens, and it writes nothing."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from hack.install import ROOT
from tests.kit import manifests
from tests.kit.cluster import Object
from tests.kit.person import Rule
from tests.kit.plugin import ENOUGH, READ_CONNECTIONS, Plugin, Run
from tests.kit.tenant import CONNECTION, DATAFLOW, Tenant

WRITE: Rule = {
    "apiGroups": ["crmflow.io"],
    "resources": ["zohosourceconnections", "crmdataflows"],
    "verbs": ["create", "update"],
}
GUIDE = ROOT / "docs" / "guides" / "review.md"
PLAYED = re.compile(r"(<!-- played: review -->\n```markdown\n)(.*?)(```\n)", re.DOTALL)
VARIES = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|\b[0-9a-f]{12,16}\b")
SOURCE_AND_TARGET = [("Create", "source connection"), ("Create", "target connection")]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "desk" / "manifest.json"


def plan(plugin: Plugin, file: Path, objects: Sequence[Object], *arguments: str) -> Run:
    """The plan of these manifests, which has changed nothing anywhere."""
    tenant = plugin.tenant
    file.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)}))
    return unwritten(tenant, plugin, "plan", "-f", str(file), *arguments)


def unwritten(tenant: Tenant, plugin: Plugin, *arguments: str) -> Run:
    """A run of the plugin after which cluster and Platform are as they were."""
    before, mark = versions(tenant), tenant.mark()
    run = plugin(*arguments)
    assert versions(tenant) == before
    sent = [call for call in tenant.calls_since(mark) if call["service"] == "platform"]
    assert [call["path"] for call in sent if call["method"] != "GET" and "validate" not in call["path"]] == []
    return run


def versions(tenant: Tenant) -> dict[tuple[str, str], str]:
    return {
        (kind, obj["metadata"]["name"]): obj["metadata"]["resourceVersion"]
        for kind in (CONNECTION, DATAFLOW)
        for obj in tenant.cluster.list(kind, tenant.namespace)
    }


def writes(run: Run, name: str = manifests.DATAFLOW) -> list[tuple[str, str]]:
    """What is done for a resource, without what waits for approval."""
    [found] = [one for one in run.json()["resources"] if one["name"] == name]
    return sorted((write["verb"], write["object"]) for write in found["writes"])


def is_what_the_guide_shows(text: str) -> None:
    """``KIND_PAGES=write`` writes it there, as for the pages of kinds."""
    page = GUIDE.read_text()
    found = PLAYED.search(page)
    assert found is not None
    if os.environ.get("KIND_PAGES") == "write":
        GUIDE.write_text(page.replace(found[0], f"{found[1]}{text}{found[3]}"))
    else:
        assert VARIES.sub("ID", text) == VARIES.sub("ID", found[2])


def edited(tenant: Tenant, **spec: Any) -> Object:
    return manifests.dataflow(tenant.namespace, **spec)


def test_from_nothing_to_a_deletion(tenant: Tenant, plugin: Plugin, file: Path) -> None:
    """Creation of both, an edit, nothing, an edit that only another flow can have, and deletion."""
    plugin.give_rights(*ENOUGH, WRITE)
    tenant.apply_secrets()
    both = [edited(tenant), manifests.connection(tenant.namespace)]
    uid = tenant.cluster.get("Namespace", "kube-system", None)["metadata"]["uid"]

    unnamed = plan(plugin, file, both)
    assert unnamed.status == 1
    assert "--instance" in unnamed.stderr
    new = plan(plugin, file, both, "--instance", uid, "-o", "json")
    assert new.status == 2, new.stderr
    assert writes(new, manifests.CONNECTION) == [("Create", "base connection")]
    assert writes(new) == sorted([("Create", "flow"), ("Create", "mapping set"), *SOURCE_AND_TARGET])
    assert any(
        "still to be created" in text for one in new.json()["resources"] for text in one["assumptions"]
    )

    tenant.make_ready()
    flow = tenant.held("flows")[0]["id"]
    same = unwritten(tenant, plugin, "plan", manifests.DATAFLOW)
    assert (same.status, same.stdout.splitlines()[-1]) == (0, "Nothing to do."), same.stderr

    change = edited(tenant, displayName="Other", schedule={"frequency": "Hour", "interval": 3})
    interval = plan(plugin, file, [change])
    assert interval.status == 2, interval.stderr
    assert ["update", "flow", flow] in [line[:3] for line in interval.lines]
    assert "scheduleParams.interval" in interval.stdout

    other = plan(plugin, file, [edited(tenant, deltaColumn={"name": "Created_Time"})], "-o", "json")
    assert other.status == 2
    assert writes(other) == []
    planned = other.json()["resources"][0]["plan"]
    assert planned["state"] == "WaitingForApproval"
    assert {(write["verb"], write["object"]) for write in planned["writes"]} >= {
        ("Create", "flow"),
        ("Disable", "flow"),
        ("Delete", "flow"),
        ("Update", "flow"),
    }
    change = edited(tenant, source={"table": "Leads"}, schedule={"frequency": "Hour", "interval": 3})
    reviewed = plan(plugin, file, [change], "-o", "markdown")
    assert reviewed.status == 2
    is_what_the_guide_shows(reviewed.stdout.replace(tenant.namespace, "crm-demo"))
    tenant.edit(DATAFLOW, deltaColumn={"name": "Created_Time"})
    waiting = tenant.wait_reason(DATAFLOW, "Ready", "ReplacementRequired")
    assert waiting["status"]["plan"]["hash"] == planned["hash"]
    in_the_cluster = unwritten(tenant, plugin, "plan", f"cdf/{manifests.DATAFLOW}", "-o", "markdown")
    assert in_the_cluster.status == 2
    assert f"Plan `{planned['hash']}`, once it is approved:" in in_the_cluster.stdout
    assert "| delete | flow |" in in_the_cluster.stdout

    held = unwritten(tenant, plugin, "plan", f"connection/{manifests.CONNECTION}", "--delete")
    assert held.status == 1
    assert "InUse" in held.stdout
    gone = plan(plugin, file, both, "--delete", "-o", "json")
    assert gone.status == 2, gone.stdout
    assert [verb for verb, _ in writes(gone)] == ["Delete"] * 3
    assert writes(gone, manifests.CONNECTION) == [("Delete", "base connection")]


def test_what_only_a_person_with_fewer_rights_or_a_wrong_manifest_sees(
    ready: Tenant, plugin: Plugin, file: Path
) -> None:
    unchecked = plan(plugin, file, [edited(ready)], "-o", "json")
    assert unchecked.status == 2, unchecked.stderr
    assert "your rights do not allow to create it" in unchecked.stderr
    assert ("Create", "flow") in writes(unchecked)

    plugin.give_rights(*ENOUGH, WRITE)
    refused = plan(plugin, file, [edited(ready, deltaColumn=None)])
    assert refused.status == 1
    assert "deltaColumn" in refused.stderr

    misspelled = plan(plugin, file, [edited(ready, source={"table": "Contakte"})])
    assert misspelled.status == 1
    assert "TableNotFound" in misspelled.stdout

    plugin.give_rights(READ_CONNECTIONS)
    blind = plan(plugin, file, [edited(ready)])
    assert blind.status == 1
    assert "refused Secret" in blind.stderr
    named = plan(plugin, file, [edited(ready)], "--instance", "any")
    assert named.status == 1
    assert "ConnectionNotReady" in named.stdout
    assert "SecretForbidden" in named.stdout
