"""What the page of a kind shows of ``kubectl`` is what ``kubectl`` shows, scene by scene.

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
from tests.cluster.support.world import CONNECTION, World

PAGE = ROOT / "docs" / "kinds" / "zohosourceconnection.md"
NAMESPACE = "crm-demo"
WIDTH = 130

_SCENE = re.compile(r"<!-- scene: (?P<name>[a-z-]+) -->\n```console\n(?P<shown>.*?)```\n", re.DOTALL)
_VARIES = (
    (re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"), "ID"),
    (re.compile(r"\b[0-9]+[smh]([0-9]+s)?\s*$", re.MULTILINE), "AGE"),
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


SCENES: dict[str, Callable[[World], None]] = {
    "ready": ready,
    "no-secret": no_secret,
    "withdrawn": withdrawn,
    "parameter-missing": parameter_missing,
    "blocked": blocked,
}


def test_every_scene_of_the_page_is_played() -> None:
    assert [found["name"] for found in _SCENE.finditer(PAGE.read_text())] == list(SCENES)


@pytest.mark.parametrize("name", SCENES)
def test_the_page_shows_what_kubectl_shows(world: World, kubectl: Kubectl, name: str) -> None:
    SCENES[name](world)
    shown = next(found["shown"] for found in _SCENE.finditer(PAGE.read_text()) if found["name"] == name)
    commands = re.findall(r"^\$ kubectl (.*)$", shown, re.MULTILINE)
    assert commands
    outputs = (kubectl("-n", world.namespace, *shlex.split(command)) for command in commands)
    played = "".join(
        f"$ kubectl {command}\n{_wrapped(output.replace(world.namespace, NAMESPACE))}"
        for command, output in zip(commands, outputs, strict=True)
    )
    if os.environ.get("KIND_PAGES") == "write":
        PAGE.write_text(PAGE.read_text().replace(shown, played))
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
