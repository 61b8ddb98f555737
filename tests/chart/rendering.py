"""What Helm and Kustomize would send to the API server."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from hack.controlplane import find_assets
from hack.helm import Helm, find_helm
from hack.install import NAMESPACE, ROOT
from hack.kubectl import Kubectl

Object = dict[str, Any]

CHART = ROOT / "charts" / "crmflow"
TRANSFER = "-transfer"
"""At the end of the names of what is about transfers alone."""
VALUES = {path.stem: path for path in sorted((Path(__file__).parent / "values").glob("*.yaml"))}
"""The sets of values that everything about the chart is tried with."""


@cache
def local_helm() -> Helm:
    """Helm without a cluster."""
    return Helm(find_helm(), ROOT / "build" / "helm")


def manifest(*options: str, values: str | None = None) -> str:
    """The rendered chart as text. ``options`` are Helm's; ``values`` names one of :data:`VALUES`."""
    chosen = ["--values", str(VALUES[values])] if values else []
    return local_helm()("template", "crmflow", str(CHART), f"--namespace={NAMESPACE}", *chosen, *options)


def objects(*options: str, values: str | None = None, **sets: object) -> list[Object]:
    """The rendered objects. ``sets`` are values by their first key."""
    given = [f"--set-json={key}={json.dumps(value)}" for key, value in sets.items()]
    return parsed(manifest(*options, *given, values=values))


class _EachKeyOnce(yaml.CSafeLoader):
    """The API server refuses a key twice where PyYAML takes the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value]
        repeated = {key for key in keys if keys.count(key) > 1}
        assert not repeated, f"twice: {repeated}, {node.start_mark}"
        return super().construct_mapping(node, deep)


def parsed(text: str) -> list[Object]:
    """The objects of a manifest, in which no key may stand twice."""
    return [obj for obj in yaml.load_all(text, Loader=_EachKeyOnce) if obj]


def kustomized(folder: Path) -> list[Object]:
    """What the Kustomize that is part of kubectl makes of a folder."""
    kubectl = Kubectl(find_assets().binary("kubectl"), None)
    return list(yaml.safe_load_all(kubectl("kustomize", str(folder))))


def one(kind: str, rendered: list[Object], suffix: str = "") -> Object:
    """The only object of a kind, or of those whose name ends so; transfers have some of their own."""
    (found,) = [
        obj
        for obj in of_kind(kind, rendered)
        if obj["metadata"]["name"].endswith(suffix)
        and (suffix or not obj["metadata"]["name"].endswith(TRANSFER))
    ]
    return found


def of_kind(kind: str, rendered: list[Object]) -> list[Object]:
    """All objects of a kind."""
    return [obj for obj in rendered if obj["kind"] == kind]


def environment(deployment: Object) -> dict[str, Any]:
    """The container's variables: a value, or where it comes from."""
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    return {entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in container["env"]}
