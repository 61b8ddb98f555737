"""Search everything that people and tools can read for values that must stay secret."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from urllib.parse import quote_plus

from tests.kit.cluster import OUR_KINDS, Cluster


def assert_no_secrets(secrets: Iterable[str], sources: Mapping[str, str]) -> None:
    """Fail with the names of the texts that hold a secret, plain or in a usual encoding. Prints no secret."""
    forms = {form for secret in secrets for form in _forms(secret)}
    assert forms, "a scan for nothing proves nothing"
    leaks = [name for name, text in sources.items() if any(form in text for form in forms)]
    assert not leaks, f"a secret shows in: {', '.join(leaks)}"


def visible(cluster: Cluster, namespace: str) -> dict[str, str]:
    """Our objects and all Events of a namespace, as texts by name."""
    kinds = (*OUR_KINDS, "Event")
    return {kind: json.dumps(cluster.list(kind, namespace), ensure_ascii=False) for kind in kinds}


def _forms(secret: str) -> Iterable[str]:
    encoded = base64.b64encode(secret.encode()).decode()
    return secret, quote_plus(secret), encoded.rstrip("="), json.dumps(secret)[1:-1]
