"""``kubectl crmflow new dataflow`` on a real API server: what it prints is a manifest that can be planned."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.emulators.aep import seed_data as ids
from tests.kit import manifests
from tests.kit.person import Rule
from tests.kit.plugin import ENOUGH, Plugin
from tests.kit.tenant import CONNECTION, DATAFLOW, Tenant

WRITE: Rule = {
    "apiGroups": ["crmflow.io"],
    "resources": ["zohosourceconnections", "crmdataflows"],
    "verbs": ["create", "update"],
}
NEW = ("new", "dataflow", f"--connection={manifests.CONNECTION}")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "desk" / "contacts.yaml"


def test_a_manifest_that_can_be_planned_and_applied(ready: Tenant, plugin: Plugin, file: Path) -> None:
    plugin.give_rights(*ENOUGH, WRITE)
    mark = ready.mark()
    printed = plugin(*NEW, "--table=Contacts", "--schema=CRM Contacts", f"--dataset={ids.CONTACTS_DATASET}")
    assert printed.status == 0, printed.stderr
    found = manifests.load(printed.stdout)
    spec = found["spec"]
    mapping = {entry["target"]: entry["source"] for entry in spec["mapping"]}
    assert mapping.items() >= {
        ("personalEmail.address", "Email"),
        ("person.name.firstName", "First_Name"),
        ("mailingAddress.postalCode", "Mailing_Zip"),
        ("_crmflowdemo.leadSource", "Lead_Source"),
    }
    assert spec["target"]["schema"]["id"] == ids.CONTACTS_SCHEMA
    reviews = [line for line in printed.stdout.splitlines() if line.strip().startswith("# Review: ")]
    assert len(reviews) == len(mapping)
    assert "# Columns for which no field was found:" in printed.stdout

    written = plugin(*NEW, "--table=Contacts", f"--dataset={ids.CONTACTS_DATASET}", f"--output={file}")
    assert (written.status, written.stdout, file.read_text()) == (0, "", printed.stdout)
    plan = plugin("plan", "-f", str(file), "-o", "json")
    assert plan.status == 2, plan.stdout + plan.stderr
    assert "was not asked" not in plan.stderr
    assert plan.json()["complete"] is True, plan.stdout
    sent = [call["path"] for call in ready.calls_since(mark) if call["method"] != "GET"]
    assert [path for path in sent if "validate" not in path and "token" not in path] == []
    assert ready.cluster.list(DATAFLOW, ready.namespace) == []

    again = plugin(*NEW, "--table=Contacts", f"--output={file}")
    assert (again.status, "is there already" in again.stderr) == (1, True)
    ready.cluster.apply(found)
    ready.cluster.wait_ready(DATAFLOW, "contacts", ready.namespace)
    other = plugin(*NEW, "--table=Contacts")
    assert manifests.load(other.stdout)["metadata"]["name"] == "contacts-2"
    assert manifests.load(other.stdout)["spec"]["target"]["dataset"]["create"] == {}


def test_of_files_the_columns_are_those_of_zoho(zone: Tenant, plugin: Plugin, file: Path) -> None:
    plugin.give_rights(*ENOUGH, WRITE)
    zone.apply_connection(transport="LandingZone")
    zone.wait_ready(CONNECTION)
    made = plugin(*NEW, "--table=Contacts", f"--output={file}")
    assert made.status == 0, made.stderr
    mapping = {
        entry["target"]: entry["source"] for entry in manifests.load(file.read_text())["spec"]["mapping"]
    }
    assert mapping["extSourceSystemAudit.externalID"] == "id"
    plan = plugin("plan", "-f", str(file), "-o", "json", "--instance=test")
    assert plan.status == 2, plan.stdout + plan.stderr
    assert plan.json()["complete"] is True, plan.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--table=Contact"], "Did you mean Contacts"),
        (["--table=Contacts", "--schema=Nothing"], 'No schema of the sandbox has the title "Nothing"'),
        (["--table=Leads"], "No schema has Leads in the title"),
        (["--table=Contacts", "--schema=https://ns.adobe.com/x/schemas/1"], "1"),
    ],
)
def test_what_is_not_there(ready: Tenant, plugin: Plugin, arguments: list[str], said: str) -> None:
    run = plugin(*NEW, *arguments)
    assert (run.status, run.stdout) == (1, "")
    assert said in run.stderr
