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
from tests.cluster.support import manifests
from tests.cluster.support.by_hand import ByHand, hold_namespace
from tests.cluster.support.world import CONNECTION, DATAFLOW, World

DOCS = ROOT / "docs"
NAMESPACE = "crm-demo"
WIDTH = 130

_SCENE = re.compile(r"<!-- scene: (?P<name>[a-z-]+) -->\n```console\n(?P<shown>.*?)```\n", re.DOTALL)
_VARIES = (
    (re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"), "ID"),
    (re.compile(r"\b[0-9]+[smh]([0-9]+s)?\s*$", re.MULTILINE), "AGE"),
    (re.compile(r"\b[0-9a-f]{16,48}\b"), "HASH"),
    (re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}Z"), "TIME"),
)


def ready(world: World) -> None:
    world.apply_secrets()
    world.apply_connection()
    world.wait_ready(CONNECTION)


def no_secret(world: World) -> None:
    world.apply_secrets()
    world.cluster.delete("Secret", manifests.ZOHO_SECRET, world.namespace)
    world.apply_connection()
    world.wait_reason(CONNECTION, "Authorized", "SecretNotFound")


def withdrawn(world: World) -> None:
    world.control.post("/aep/source/withdraw", what="flowSpec")
    world.apply_secrets()
    world.apply_connection()
    world.wait_reason(CONNECTION, "SourceOffered", "SourceWithdrawn")


def parameter_missing(world: World) -> None:
    world.control.switch("aep", requiredAuthParams="undocumented")
    world.apply_secrets()
    world.apply_connection()
    world.wait_reason(CONNECTION, "Synced", "AuthParamMissing")


def blocked(world: World) -> None:
    ready(world)
    world.control.switch("aep", testFailure="error")
    world.control.switch("zoho", ipBlock="source")
    world.request(CONNECTION, "now")
    world.wait_reason(CONNECTION, "Tested", "AddressBlocked")


def flow_ready(world: World) -> None:
    world.make_ready()


def replacement_required(world: World) -> None:
    world.make_ready()
    world.edit(DATAFLOW, source={"table": "Leads"})
    world.wait_reason(DATAFLOW, "Ready", "ReplacementRequired")


def mapping_changed(world: World) -> None:
    world.make_ready()
    mapping = world.get(DATAFLOW)["spec"]["mapping"]
    world.edit(DATAFLOW, mapping=[*mapping, {"target": "_crmflowdemo.zohoId", "source": "Email"}])
    world.wait_ready(DATAFLOW)


def mapping_refused(world: World) -> None:
    world.make_ready()
    mapping = world.get(DATAFLOW)["spec"]["mapping"]
    world.edit(DATAFLOW, mapping=[*mapping, {"target": "person.nme", "source": "Email"}])
    world.wait_reason(DATAFLOW, "MappingValid", "MappingInvalid")


def promoted(world: World) -> None:
    world.apply_secrets()
    for sandbox in ("dev", "prod"):
        world.cluster.apply(
            manifests.connection(world.namespace, f"zoho-{sandbox}", platform={"sandbox": sandbox})
        )
        world.cluster.apply(
            manifests.dataflow(
                world.namespace,
                f"contacts-{sandbox}",
                connectionRef={"name": f"zoho-{sandbox}"},
                target={
                    "schema": {"id": None, "title": "CRM Contacts"},
                    "dataset": {"id": None, "name": "CRM Contacts"},
                },
            )
        )
        world.cluster.wait_ready(DATAFLOW, f"contacts-{sandbox}", world.namespace, seconds=40)


def observed(world: World) -> None:
    made, flow = made_by_hand(world)
    world.apply_secrets()
    world.apply_connection(connectionId=made, managementPolicy="Observe")
    world.apply_dataflow(flowId=flow, managementPolicy="Observe", schedule={"interval": 6})
    world.wait_reason(DATAFLOW, "Synced", "Drifted")


def taken(world: World) -> None:
    ready(world)
    made = world.get(CONNECTION)["status"]["baseConnection"]["id"]
    world.cluster.apply(manifests.connection(world.namespace, "second", connectionId=made))
    world.cluster.wait_condition(CONNECTION, "second", world.namespace, "Stalled", reason="AdoptionConflict")


def in_use(world: World) -> None:
    world.make_ready()
    world.delete(CONNECTION)
    world.wait_reason(CONNECTION, "Ready", "InUse")


def no_access(world: World) -> None:
    world.make_ready()
    world.operator.stop()
    world.cluster.delete("Secret", manifests.PLATFORM_SECRET, world.namespace)
    world.control.advance(24 * 3600.0)  # the token that the operator keeps has ended, too
    world.operator.start()
    world.delete(DATAFLOW)
    world.wait_reason(DATAFLOW, "Ready", "CredentialsMissing")


def held(world: World) -> None:
    hold_namespace(world)
    world.cluster.wait_namespace_condition(
        world.namespace, "NamespaceContentRemaining", "remaining: zohosourceconnections.crmflow.io has 1 "
    )


def made_by_hand(world: World) -> tuple[str, str]:
    """Ids of a base connection and of a flow that somebody made without the operator."""
    by_hand = ByHand(world.emulators)
    made = by_hand.connection()
    return made, by_hand.dataflow(made, manifests.dataflow(world.namespace)["spec"])


SCENES: dict[tuple[str, str], Callable[[World], None]] = {
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
    ("guides/pause.md", "stop"): flow_ready,
    ("guides/promote-to-production.md", "both"): promoted,
    ("guides/adopt.md", "observed"): observed,
    ("guides/adopt.md", "taken"): taken,
    ("guides/delete-safely.md", "in-use"): in_use,
    ("guides/delete-safely.md", "no-access"): no_access,
    ("guides/delete-safely.md", "held"): held,
}
"""What is played before the commands of a page, by page and name."""


def test_every_scene_of_the_pages_is_played() -> None:
    pages = dict.fromkeys(page for page, _ in SCENES)
    found = [(page, scene["name"]) for page in pages for scene in _SCENE.finditer((DOCS / page).read_text())]
    assert found == list(SCENES)


@pytest.mark.parametrize(("page", "name"), SCENES)
def test_the_page_shows_what_kubectl_shows(world: World, kubectl: Kubectl, page: str, name: str) -> None:
    SCENES[page, name](world)
    path = DOCS / page
    shown = next(found["shown"] for found in _SCENE.finditer(path.read_text()) if found["name"] == name)
    commands = re.findall(r"^\$ kubectl (.*)$", shown, re.MULTILINE)
    assert commands
    outputs = (
        kubectl("-n", world.namespace, *shlex.split(command.replace(NAMESPACE, world.namespace)))
        for command in commands
    )
    played = "".join(
        f"$ kubectl {command}\n{_wrapped(output.replace(world.namespace, NAMESPACE))}"
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
