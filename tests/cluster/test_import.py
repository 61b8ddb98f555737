"""``kubectl crmflow import`` on a real API server: a sandbox that people have filled by hand becomes
manifests, and applying them changes nothing in Platform.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.emulators.aep import seed_data as ids
from tests.kit import canary, manifests
from tests.kit.by_hand import ByHand
from tests.kit.cluster import Object, condition
from tests.kit.person import Rule
from tests.kit.plugin import ENOUGH, Plugin, Run
from tests.kit.tenant import COLLECTIONS, CONNECTION, DATAFLOW, Tenant

WRITE: Rule = {
    "apiGroups": ["crmflow.io"],
    "resources": ["zohosourceconnections", "crmdataflows"],
    "verbs": ["create", "update"],
}
IMPORT = (
    "import",
    f"--credentials={manifests.PLATFORM_SECRET}",
    f"--organization={ids.ORGANIZATION}",
    "--sandbox=prod",
)
COLUMNS = ["Email", "First_Name", "Last_Name", "Modified_Time"]
EVERY_DAY = {"frequency": "day", "interval": "1", "backfill": "false"}
SECOND = "application/vnd.adobe.xed-full+json;version=2"
OLD_BODY = {
    "version": 0,
    "xdmSchema": ids.CONTACTS_SCHEMA,
    "xdmVersion": "1.0",
    "id": None,
    "mappings": [
        {"sourceAttribute": "Email", "destinationXdmPath": "personalEmail.address", "identity": False},
        {"sourceAttribute": "Last_Name", "destinationXdmPath": "person.name.lastName", "identity": False},
    ],
}
"""As Adobe's pages of 2025 write a mapping set (platform.md 8)."""


@dataclass(frozen=True)
class ByPeople:
    """Ids of what people have made."""

    connection: str
    adoptable: dict[str, str]
    """Flows by what is odd about them."""
    draft: str
    other_source: str


def fill(tenant: Tenant) -> ByPeople:
    """A sandbox as years of work leave it: odd, and legal."""
    people, schema = ByHand(tenant.emulators), ids.CONTACTS_SCHEMA
    spec = manifests.dataflow(tenant.namespace)["spec"]
    connection = people.connection('Zoho CRM, "EU" #1: {all}')
    entries = spec["mapping"]
    shared = people.source(connection, "Contacts", COLUMNS)

    def flow(source: str | None = None, mapping: str | None = None, **more: object) -> str:
        made: str = people.flow(
            source or people.source(connection, "Contacts", COLUMNS),
            people.target(schema, ids.CONTACTS_DATASET),
            mapping or people.mapping(schema, entries),
            more.pop("delta", "Modified_Time"),
            more.pop("schedule", EVERY_DAY),
            **more,
        )
        return made

    adoptable = {
        "plain": people.dataflow(connection, spec),
        "name": flow(name='Contacts, "VIP": {daily} # 1\u2028[no]'),
        "same name": flow(name='Contacts, "VIP": {daily} # 2\u2028[no]'),
        "no letters": flow(name="東京 → 連絡先"),
        "once": flow(delta=None, schedule={"frequency": "once"}),
        "once, run": flow(delta=None, schedule={"frequency": "once"}),
        "disabled": flow(),
        "old body": flow(mapping=people.mapping_set(OLD_BODY)),
        "shared source": flow(shared, name="First of two"),
        "shared source again": flow(name="Second of two"),
        "options": flow(options={"errorDiagnosticsEnabled": True, "partialIngestionPercent": "12.5"}),
        "fixed values": flow(
            mapping=people.mapping(
                schema,
                [
                    {"target": "_crmflowdemo.origin", "value": "no"},
                    {"target": "_crmflowdemo.jobTitle", "value": "12:30"},
                    {"target": "person.name.fullName", "expression": 'concat("a: b # ", Last_Name)'},
                ],
            )
        ),
        "second version": people.flow(
            people.source(connection, "Contacts", COLUMNS),
            people.target(schema, ids.NEXT_VERSION_DATASET, SECOND),
            people.mapping(schema, entries, SECOND),
            "Modified_Time",
            EVERY_DAY,
        ),
    }
    tenant.control.advance(1)  # a flow that is being made can't be disabled
    people.disable(adoptable["disabled"])
    # Older than Adobe's rule that a source connection belongs to one flow (platform.md 6.1).
    path = f"/aep/sandboxes/prod/flows/{adoptable['shared source again']}"
    tenant.control.patch(path, body={"sourceConnectionIds": [shared]})
    draft = flow(name="To be finished", draft=True)
    dynamics = people.other_source()
    other = people.flow(
        people.table_of(dynamics, ids.DYNAMICS_SPEC),
        people.target(schema, ids.CONTACTS_DATASET),
        people.mapping(schema, [{"target": "_crmflowdemo.origin", "value": "dynamics"}]),
        "modifiedon",
        EVERY_DAY,
        name="Accounts of Dynamics",
    )
    tenant.control.advance(2 * 3600)
    tenant.control.finish_run(adoptable["once, run"])
    return ByPeople(connection, adoptable, draft, other)


def changes(tenant: Tenant, mark: int) -> list[str]:
    """Method and path of what changed something at Zoho or at the Platform."""
    reads = ("/ims/token/v3", "/mappingSets/validate", "/oauth/v2/token")
    return [
        f"{call['method']} {call['path']}"
        for call in tenant.calls_since(mark)
        if call["method"] != "GET" and not call["path"].endswith(reads)
    ]


def held(tenant: Tenant) -> dict[str, list[Object]]:
    return {collection: tenant.held(collection) for collection in COLLECTIONS}


def texts(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in sorted(folder.iterdir())}


def adopted(run: Run) -> dict[str, str]:
    """Names of files by the id of what they adopt, as the table shows them."""
    return {line[1]: Path(line[0]).name for line in run.lines[1:]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "manifests"


def test_a_sandbox_filled_by_hand_is_adopted_without_a_write(
    tenant: Tenant, plugin: Plugin, folder: Path
) -> None:
    plugin.give_rights(*ENOUGH, WRITE)
    tenant.apply_secrets()
    made = fill(tenant)
    before, mark = held(tenant), tenant.mark()

    run = plugin(*IMPORT, f"--output={folder}")
    assert sorted(adopted(run)) == sorted([made.connection, *made.adoptable.values()]), run.stderr
    assert run.status == 1, "a draft can't be adopted"
    assert all(line[-3:] == ["nothing", "to", "do"] for line in run.lines[1:]), run.stdout
    [refused] = [line for line in run.stderr.splitlines() if line.startswith("Not adopted: ")]
    assert made.draft in refused
    assert "is a draft" in refused
    assert "Publish it in Platform" in refused
    assert "other sources or folders, 1 in all" in run.stderr
    assert made.other_source not in run.stdout + "".join(texts(folder).values())
    assert tenant.cluster.list(CONNECTION, tenant.namespace) == []
    written = texts(folder)
    canary.assert_no_secrets(tenant.emulators.secrets(), written)

    again = plugin(*IMPORT, f"--output={folder}")
    assert (texts(folder), again.stdout) == (written, run.stdout)
    printed = manifests.load_all(plugin(*IMPORT).stdout)
    assert sorted(one["spec"].get("flowId", "") for one in printed) == sorted(["", *made.adoptable.values()])
    plan = plugin("plan", "-f", str(folder), "--instance=test")
    assert (plan.status, plan.stdout.splitlines()[-1]) == (0, "Nothing to do."), plan.stdout + plan.stderr
    assert changes(tenant, mark) == []

    for manifest in map(manifests.load, written.values()):
        assert manifest["metadata"]["namespace"] == tenant.namespace
        tenant.cluster.apply(manifest)
    for manifest in map(manifests.load, written.values()):
        kind, name = manifest["kind"], manifest["metadata"]["name"]
        ready = tenant.cluster.wait_ready(kind, name, tenant.namespace, seconds=60)
        assert condition(ready, "Synced")["status"] == "True", (name, condition(ready, "Synced"))
    tenant.wait_polls(2)
    tenant.operator.restart()
    tenant.wait_polls(2)
    assert changes(tenant, mark) == []
    assert held(tenant) == before
    # Now that the resources are there, the files are the same still.
    applied = plugin(*IMPORT, f"--output={folder}")
    assert (texts(folder), applied.stdout) == (written, run.stdout)

    by_what = {what: manifests.load(written[adopted(run)[id_]]) for what, id_ in made.adoptable.items()}
    assert by_what["disabled"]["spec"]["ingestion"]["enabled"] is False
    assert "deltaColumn" not in by_what["once"]["spec"]
    assert by_what["options"]["spec"]["ingestion"]["partialIngestionPercent"] == 12.5
    assert by_what["old body"]["spec"]["mapping"][0]["source"] == "Last_Name"
    assert "Second of two" in written[adopted(run)[made.adoptable["shared source"]]]
    names = [by_what[what]["metadata"]["name"] for what in ("name", "same name", "no letters")]
    assert names[:2] == ["contacts-vip-daily-1-no", "contacts-vip-daily-2-no"]
    assert names[2].startswith("crmdataflow")


def test_what_a_person_has_edited_is_not_lost(tenant: Tenant, plugin: Plugin, folder: Path) -> None:
    tenant.apply_secrets()
    ByHand(tenant.emulators).connection("By hand")
    first = plugin(*IMPORT, f"--output={folder}")
    assert first.status == 0, first.stderr
    assert "your rights do not allow" in first.stderr
    [file] = folder.iterdir()
    text = file.read_text()
    file.write_text(text.replace("Observe\n", "Manage\n"))
    refused = plugin(*IMPORT, f"--output={folder}")
    assert refused.status == 1
    assert "--overwrite" in refused.stderr
    assert file.read_text() != text
    assert plugin(*IMPORT, f"--output={folder}", "--overwrite").status == 0
    assert file.read_text() == text


def test_what_crmflow_has_made_is_left_to_it(tenant: Tenant, plugin: Plugin, folder: Path) -> None:
    tenant.make_ready()
    made = tenant.get(CONNECTION)["status"]["baseConnection"]["id"]
    flow = ByHand(tenant.emulators).dataflow(made, tenant.get(DATAFLOW)["spec"])
    run = plugin(*IMPORT, f"--output={folder}")
    assert run.status == 0, run.stderr
    assert list(adopted(run)) == [flow]
    [text] = texts(folder).values()
    assert manifests.load(text)["spec"]["connectionRef"] == {"name": manifests.CONNECTION}
    assert f"that of {manifests.DATAFLOW}, which crmflow has made" in run.stderr


def test_without_the_grant_the_plan_is_not_made(tenant: Tenant, plugin: Plugin, folder: Path) -> None:
    tenant.apply_secrets()
    ByHand(tenant.emulators).connection("By hand")
    run = plugin(*IMPORT, "--zoho-credentials=another", f"--output={folder}")
    assert run.status == 1
    assert "what applying it does was not found out" in run.stderr
    assert "another" in run.stderr
    assert [line[-2:] for line in run.lines[1:]] == [["not", "made"]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data-center=Mars"], "--data-center Mars is none of Zoho's"),
        (["--table=Contacts"], "not of the form FLOW=TABLE"),
        (["--credentials=nobody"], 'Secret "nobody" (--credentials) does not exist'),
    ],
)
def test_what_is_said_wrongly(tenant: Tenant, plugin: Plugin, arguments: list[str], message: str) -> None:
    tenant.apply_secrets()
    run = plugin(*IMPORT, *arguments)
    assert (run.status, run.stdout) == (1, "")
    assert message in run.stderr


def test_a_flow_of_files_is_observed(zone: Tenant, plugin: Plugin, folder: Path) -> None:
    """Of a cluster that is gone: the folder is ours, and nobody's key is on the names."""
    plugin.give_rights(*ENOUGH, WRITE)
    people = ByHand(zone.emulators)
    connection = people.connection("By hand")
    flow = people.flow(
        people.folder("dlz-user-container/crmflow/lost/team/contacts-in-files/0-1a2b3c4d"),
        people.target(ids.CONTACTS_SCHEMA, ids.CONTACTS_DATASET),
        people.mapping(ids.CONTACTS_SCHEMA, [{"target": "personalEmail.address", "source": "Email"}]),
        None,
        EVERY_DAY,
        flowSpec={"id": ids.CLOUD_STORAGE_FLOW_SPEC, "version": "1.0"},
    )
    people.flow(
        people.folder("dlz-user-container/somebody/else"),
        people.target(ids.CONTACTS_SCHEMA, ids.CONTACTS_DATASET),
        people.mapping(ids.CONTACTS_SCHEMA, [{"target": "personalEmail.address", "source": "Email"}]),
        None,
        EVERY_DAY,
        flowSpec={"id": ids.CLOUD_STORAGE_FLOW_SPEC, "version": "1.0"},
    )
    unsaid = plugin(*IMPORT, f"--output={folder}")
    assert unsaid.status == 1
    assert f"--table {flow}=TABLE" in unsaid.stderr
    assert "other sources or folders, 1 in all" in unsaid.stderr
    mark = zone.mark()
    run = plugin(*IMPORT, f"--output={folder}", f"--table={flow}=Contacts")
    assert run.status == 0, run.stderr
    assert adopted(run) == {
        connection: "zohosourceconnection-by-hand.yaml",
        flow: "crmdataflow-contacts-in-files.yaml",
    }
    for text in texts(folder).values():
        zone.cluster.apply(manifests.load(text))
    zone.cluster.wait_ready(DATAFLOW, "contacts-in-files", zone.namespace, seconds=60)
    zone.wait_polls(2)
    assert changes(zone, mark) == []
