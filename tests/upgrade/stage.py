"""A recorded stage: kinds, Kubernetes objects and remote objects as an operator of that time left them."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from hack.install import ROOT
from tests.kit.cluster import OUR_KINDS, Cluster, Object
from tests.kit.manifests import load_all

STAGES = ROOT / "tests" / "upgrade" / "stages"
INSTANCE = "upgrade"
"""The ``CRMFLOW_INSTANCE`` of all recordings: part of the remote names."""
_SERVERS_OWN = ("resourceVersion", "selfLink")
"""Metadata that is not stored with an object."""


@dataclass(frozen=True)
class Stage:
    """One folder below :data:`STAGES`."""

    folder: Path

    @property
    def name(self) -> str:
        """What ended with this stage."""
        return self.folder.name

    @property
    def namespace(self) -> str:
        """The tenant's namespace, which is part of the remote names too."""
        return f"upgrade-{self.name}"

    @property
    def crds(self) -> Path:
        """The folder with its CustomResourceDefinitions."""
        return self.folder / "crds"

    @property
    def resources(self) -> dict[str, Object]:
        """The resources by kind, whole."""
        return {obj["kind"]: obj for obj in self._read("resources.yaml")}

    @property
    def secrets(self) -> list[Object]:
        """The tenant's Secrets."""
        return self._read("secrets.yaml")

    @property
    def home(self) -> list[Object]:
        """What the operator kept in its own namespace."""
        return self._read("home.yaml")

    @property
    def remote(self) -> Any:
        """The emulators' snapshot."""
        return json.loads((self.folder / "remote.json").read_text())

    def save(self, cluster: Cluster, home: str, remote: Any) -> None:
        """Write down what a cluster and the emulators hold."""
        self._write(
            "resources.yaml", [obj for kind in OUR_KINDS for obj in cluster.list(kind, self.namespace)]
        )
        self._write("secrets.yaml", _listed(cluster, ("Secret",), self.namespace))
        self._write("home.yaml", _listed(cluster, ("Secret", "Lease"), home))
        (self.folder / "remote.json").write_text(json.dumps(remote, indent=1, sort_keys=True) + "\n")

    def _read(self, file: str) -> list[Object]:
        return load_all((self.folder / file).read_text())

    def _write(self, file: str, objects: list[Object]) -> None:
        for obj in objects:
            for field in _SERVERS_OWN:
                obj["metadata"].pop(field, None)
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / file).write_text(yaml.safe_dump_all(objects, sort_keys=False, width=120))


def recorded() -> list[Stage]:
    """All stages."""
    return [Stage(folder) for folder in sorted(STAGES.iterdir())]


def store(etcd_url: str, obj: Object) -> None:
    """Put a resource into etcd as it is. Through the API server it would get another uid, another generation
    and other owners of its fields, and lose its status.
    """
    metadata = obj["metadata"]
    plural = f"{obj['kind'].lower()}s"
    key = f"/registry/crmflow.io/{plural}/{metadata['namespace']}/{metadata['name']}"
    body = {"key": _encoded(key), "value": _encoded(json.dumps(obj))}
    httpx.post(f"{etcd_url}/v3/kv/put", json=body, trust_env=False).raise_for_status()


def moved(obj: Object, namespace: str) -> Object:
    """The object for another namespace, to be created there."""
    kept = {
        name: obj["metadata"][name] for name in ("name", "labels", "annotations") if name in obj["metadata"]
    }
    return obj | {"metadata": kept | {"namespace": namespace}}


def served_from(obj: Object, home: str) -> Object:
    """The resource as left by an operator whose own namespace was ``home``: it names its Lease."""
    status = obj["status"]
    served_by = status.get("servedBy")
    if served_by is None:
        return obj
    return obj | {"status": status | {"servedBy": f"{home}/{served_by.partition('/')[2]}"}}


def _listed(cluster: Cluster, kinds: tuple[str, ...], namespace: str) -> list[Object]:
    """The objects with their kind, which a listing leaves out, and without owners of their fields."""
    return [
        {"apiVersion": version, "kind": kind} | moved(obj, namespace)
        for kind, version in (("Secret", "v1"), ("Lease", "coordination.k8s.io/v1"))
        if kind in kinds
        for obj in cluster.list(kind, namespace)
    ]


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
