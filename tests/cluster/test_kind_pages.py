"""What the pages about the kinds show of ``kubectl`` is what ``kubectl`` shows, scene by scene.

``KIND_PAGES=write`` writes the outputs of this run into the page instead of comparing them.
"""

from __future__ import annotations

import os
import re
import shlex
import textwrap
from collections.abc import Callable

import pytest

from hack.install import ROOT
from hack.kubectl import Kubectl
from tests.kit import manifests
from tests.kit.by_hand import ByHand, hold_namespace
from tests.kit.landing_zone import COLUMNS
from tests.kit.tenant import CONNECTION, DATAFLOW, Tenant

DOCS = ROOT / "docs"
NAMESPACE = "crm-demo"
WIDTH = 130

_SCENE = re.compile(r"<!-- scene: (?P<name>[a-z-]+) -->\n```console\n(?P<shown>.*?)```\n", re.DOTALL)
_VARIES = (
    (re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"), "ID"),
    (re.compile(r"\b[0-9]+[smh]([0-9]+s)?\s*$", re.MULTILINE), "AGE"),
    (re.compile(r"\b[0-9a-f]{12,48}\b"), "HASH"),
    (re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}Z"), "TIME"),
)


def ready(tenant: Tenant) -> None:
    tenant.apply_secrets()
    tenant.apply_connection()
    tenant.wait_ready(CONNECTION)


def no_secret(tenant: Tenant) -> None:
    tenant.apply_secrets()
    tenant.cluster.delete("Secret", manifests.ZOHO_SECRET, tenant.namespace)
    tenant.apply_connection()
    tenant.wait_reason(CONNECTION, "Authorized", "SecretNotFound")


def withdrawn(tenant: Tenant) -> None:
    tenant.control.post("/aep/source/withdraw", what="flowSpec")
    tenant.apply_secrets()
    tenant.apply_connection(transport="PlatformSource")
    tenant.wait_reason(CONNECTION, "SourceOffered", "SourceWithdrawn")


def parameter_missing(tenant: Tenant) -> None:
    tenant.control.switch("aep", requiredAuthParams="undocumented")
    tenant.apply_secrets()
    tenant.apply_connection()
    tenant.wait_reason(CONNECTION, "Synced", "AuthParamMissing")


def blocked(tenant: Tenant) -> None:
    ready(tenant)
    tenant.control.switch("aep", testFailure="error")
    tenant.control.switch("zoho", ipBlock="source")
    tenant.request(CONNECTION, "now")
    tenant.wait_reason(CONNECTION, "Tested", "AddressBlocked")


def flow_ready(tenant: Tenant) -> None:
    tenant.make_ready()


def replacement_required(tenant: Tenant) -> None:
    tenant.make_ready()
    tenant.edit(DATAFLOW, source={"table": "Leads"})
    tenant.wait_reason(DATAFLOW, "Ready", "ReplacementRequired")


def flow_withdrawn(zone: Tenant) -> None:
    """A flow of Platform's own source, which has run, and then left the catalog."""
    zone.apply_connection()
    zone.apply_dataflow(source={"columns": COLUMNS})
    ready = zone.wait_ready(DATAFLOW)
    zone.control.advance(120)
    zone.control.post("/aep/runs", flowId=ready["status"]["flow"]["id"], state="success")
    zone.control.post("/aep/source/withdraw", what="flowSpec")
    zone.control.advance(600)  # longer than what is offered is remembered
    zone.request(CONNECTION, "now")
    zone.wait_reason(CONNECTION, "SourceOffered", "SourceWithdrawn")


def move_planned(zone: Tenant) -> None:
    flow_withdrawn(zone)
    zone.edit(DATAFLOW, transport="LandingZone")
    zone.wait_reason(DATAFLOW, "Ready", "ReplacementRequired")


def moved(zone: Tenant) -> None:
    flow_withdrawn(zone)
    (old,) = zone.held("flows")
    zone.edit(DATAFLOW, transport="LandingZone", replacementPolicy="Automatic")
    zone.until(lambda: not zone.held("connections"), "the base connection to go", seconds=60)
    zone.until(lambda: [one["name"] for one in zone.held("flows")] == [old["name"]], "the names")
    zone.request(DATAFLOW, "now")  # the names are patched, and the flow settles once more
    zone.wait_answer(DATAFLOW, "now")
    zone.wait_ready(DATAFLOW)
    zone.wait_ready(CONNECTION)


def mapping_changed(tenant: Tenant) -> None:
    tenant.make_ready()
    mapping = tenant.get(DATAFLOW)["spec"]["mapping"]
    tenant.edit(DATAFLOW, mapping=[*mapping, {"target": "_crmflowdemo.zohoId", "source": "Email"}])
    tenant.wait_ready(DATAFLOW)


def mapping_refused(tenant: Tenant) -> None:
    tenant.make_ready()
    mapping = tenant.get(DATAFLOW)["spec"]["mapping"]
    tenant.edit(DATAFLOW, mapping=[*mapping, {"target": "person.nme", "source": "Email"}])
    tenant.wait_reason(DATAFLOW, "MappingValid", "MappingInvalid")


def promoted(tenant: Tenant) -> None:
    tenant.apply_secrets()
    for sandbox in ("dev", "prod"):
        tenant.cluster.apply(
            manifests.connection(tenant.namespace, f"zoho-{sandbox}", platform={"sandbox": sandbox})
        )
        tenant.cluster.apply(
            manifests.dataflow(
                tenant.namespace,
                f"contacts-{sandbox}",
                connectionRef={"name": f"zoho-{sandbox}"},
                target={
                    "schema": {"id": None, "title": "CRM Contacts"},
                    "dataset": {"id": None, "name": "CRM Contacts"},
                },
            )
        )
        tenant.cluster.wait_ready(DATAFLOW, f"contacts-{sandbox}", tenant.namespace, seconds=40)


def observed(tenant: Tenant) -> None:
    made, flow = made_by_hand(tenant)
    tenant.apply_secrets()
    tenant.apply_connection(connectionId=made, managementPolicy="Observe")
    tenant.apply_dataflow(flowId=flow, managementPolicy="Observe", schedule={"interval": 6})
    tenant.wait_reason(DATAFLOW, "Synced", "Drifted")


def taken(tenant: Tenant) -> None:
    ready(tenant)
    made = tenant.get(CONNECTION)["status"]["baseConnection"]["id"]
    tenant.cluster.apply(manifests.connection(tenant.namespace, "second", connectionId=made))
    tenant.cluster.wait_condition(
        CONNECTION, "second", tenant.namespace, "Stalled", reason="AdoptionConflict"
    )


def in_use(tenant: Tenant) -> None:
    tenant.make_ready()
    tenant.delete(CONNECTION)
    tenant.wait_reason(CONNECTION, "Ready", "InUse")


def no_access(tenant: Tenant) -> None:
    tenant.make_ready()
    tenant.operator.stop()
    tenant.cluster.delete("Secret", manifests.PLATFORM_SECRET, tenant.namespace)
    tenant.control.advance(24 * 3600.0)  # the token that the operator keeps has ended, too
    tenant.operator.start()
    tenant.delete(DATAFLOW)
    tenant.wait_reason(DATAFLOW, "Ready", "CredentialsMissing")


def held(tenant: Tenant) -> None:
    hold_namespace(tenant)
    tenant.cluster.wait_namespace_condition(
        tenant.namespace, "NamespaceContentRemaining", "remaining: zohosourceconnections.crmflow.io has 1 "
    )


def made_by_hand(tenant: Tenant) -> tuple[str, str]:
    """Ids of a base connection and of a flow that somebody made without the operator."""
    by_hand = ByHand(tenant.emulators)
    made = by_hand.connection()
    return made, by_hand.dataflow(made, manifests.dataflow(tenant.namespace)["spec"])


SCENES: dict[tuple[str, str], Callable[[Tenant], None]] = {
    ("kinds/zohosourceconnection.md", "ready"): ready,
    ("kinds/zohosourceconnection.md", "no-secret"): no_secret,
    ("kinds/zohosourceconnection.md", "withdrawn"): withdrawn,
    ("kinds/zohosourceconnection.md", "parameter-missing"): parameter_missing,
    ("kinds/zohosourceconnection.md", "blocked"): blocked,
    ("kinds/crmdataflow.md", "ready"): flow_ready,
    ("kinds/crmdataflow.md", "replacement"): replacement_required,
    ("guides/first-dataflow.md", "ready"): flow_ready,
    ("guides/change-a-mapping.md", "changed"): mapping_changed,
    ("guides/change-a-mapping.md", "refused"): mapping_refused,
    ("guides/replace.md", "plan"): replacement_required,
    ("guides/move-to-the-landing-zone.md", "withdrawn"): flow_withdrawn,
    ("guides/move-to-the-landing-zone.md", "planned"): move_planned,
    ("guides/move-to-the-landing-zone.md", "moved"): moved,
    ("guides/pause.md", "stop"): flow_ready,
    ("guides/promote-to-production.md", "both"): promoted,
    ("guides/adopt.md", "observed"): observed,
    ("guides/adopt.md", "taken"): taken,
    ("guides/delete-safely.md", "in-use"): in_use,
    ("guides/delete-safely.md", "no-access"): no_access,
    ("guides/delete-safely.md", "held"): held,
}
"""What is played before the commands of a page, by page and name."""
OF_BOTH_WAYS = {"guides/move-to-the-landing-zone.md"}
"""The pages whose connection is granted what the landing zone needs."""


def test_every_scene_of_the_pages_is_played() -> None:
    pages = dict.fromkeys(page for page, _ in SCENES)
    found = [(page, scene["name"]) for page in pages for scene in _SCENE.finditer((DOCS / page).read_text())]
    assert found == list(SCENES)


@pytest.mark.parametrize(("page", "name"), SCENES)
def test_the_page_shows_what_kubectl_shows(
    request: pytest.FixtureRequest, kubectl: Kubectl, page: str, name: str
) -> None:
    tenant: Tenant = request.getfixturevalue("zone" if page in OF_BOTH_WAYS else "tenant")
    SCENES[page, name](tenant)
    path = DOCS / page
    shown = next(found["shown"] for found in _SCENE.finditer(path.read_text()) if found["name"] == name)
    commands = re.findall(r"^\$ kubectl (.*)$", shown, re.MULTILINE)
    assert commands
    outputs = (
        kubectl("-n", tenant.namespace, *shlex.split(command.replace(NAMESPACE, tenant.namespace)))
        for command in commands
    )
    played = "".join(
        f"$ kubectl {command}\n{_wrapped(output.replace(tenant.namespace, NAMESPACE))}"
        for command, output in zip(commands, outputs, strict=True)
    )
    if os.environ.get("KIND_PAGES") == "write":
        path.write_text(path.read_text().replace(shown, played))
    else:
        assert _comparable(played) == _comparable(shown)


def _wrapped(output: str) -> str:
    """Long lines of prose, such as messages, broken for the page."""
    lines = (textwrap.fill(line, WIDTH) if len(line) > WIDTH else line for line in output.splitlines())
    return "".join(f"{line.rstrip()}\n" for line in lines)


def _comparable(text: str) -> list[str]:
    """The words of a scene without what differs from run to run."""
    for varies, placeholder in _VARIES:
        text = varies.sub(placeholder, text)
    return text.split()
