"""The demo's manifests, moved to a test's namespace and filled with the emulators' credentials."""

from __future__ import annotations

import base64
from copy import deepcopy
from typing import Any

import yaml

from crmflow.api.kinds import API_VERSION
from hack.install import ROOT
from tests.kit.cluster import Object

CONNECTION = "zoho-eu"
DATAFLOW = "contacts"
ZOHO_SECRET = "zoho-oauth"
PLATFORM_SECRET = "adobe-platform"

_DEMO = ROOT / "deploy" / "demo"


def secrets(namespace: str, info: Any) -> list[Object]:
    """Both Secrets; ``info`` is the emulators' JSON line."""
    zoho = {key: info["zoho"][key] for key in ("clientId", "clientSecret", "refreshToken")}
    platform = {key: info["platform"][key] for key in ("clientId", "clientSecret")}
    return [secret(namespace, ZOHO_SECRET, zoho), secret(namespace, PLATFORM_SECRET, platform)]


def secret(namespace: str, name: str, values: dict[str, str]) -> Object:
    """A Secret with these values."""
    data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace},
        "data": data,
    }


def connection(namespace: str, name: str = CONNECTION, **spec: Any) -> Object:
    """The demo's ZohoSourceConnection; ``spec`` is merged into its spec, None removes a key."""
    return _manifest("3-zohosourceconnection.yaml", namespace, name, spec)


def dataflow(namespace: str, name: str = DATAFLOW, **spec: Any) -> Object:
    """The demo's CRMDataflow; ``spec`` is merged into its spec, None removes a key."""
    return _manifest("4-crmdataflow.yaml", namespace, name, spec)


def run(namespace: str, name: str, dataflow: str = DATAFLOW, **spec: Any) -> Object:
    """A run of a dataflow."""
    return {
        "apiVersion": API_VERSION,
        "kind": "CRMDataflowRun",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"dataflowRef": {"name": dataflow}, **spec},
    }


def load(text: str) -> Any:
    """A YAML document as kubectl reads it."""
    return yaml.load(text, Loader=_TimesAsText)


def load_all(text: str) -> list[Object]:
    """Each of several."""
    return list(yaml.load_all(text, Loader=_TimesAsText))


def _manifest(file: str, namespace: str, name: str, spec: dict[str, Any]) -> Object:
    obj: Object = load((_DEMO / file).read_text())
    obj["metadata"] |= {"name": name, "namespace": namespace}
    obj["spec"] = merged(obj["spec"], spec)
    return obj


def merged(base: Any, change: Any) -> Any:
    """JSON merge patch (RFC 7396)."""
    if not isinstance(change, dict):
        return change
    result = deepcopy(base) if isinstance(base, dict) else {}
    for key, value in change.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


class _TimesAsText(yaml.SafeLoader):
    """PyYAML turns an unquoted time into an object, which JSON does not have; Kubernetes keeps the text."""


_TimesAsText.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
