"""What a ServiceAccount asked the API server for, by the API server's own record."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_MISSING = re.compile(r'User "[^"]+" cannot (\w+) resource')
"""RBAC's words. A namespace that is going away refuses with 403 too; that is no lack of rights."""


@dataclass(frozen=True)
class Asked:
    """A request that is subject to a right."""

    verb: str
    """Of a refused request: the one that was missing, since an apply that creates needs create too."""
    group: str
    resource: str
    """With the subresource after a slash."""
    namespace: str
    """Empty: none, or all of them."""
    name: str
    """Empty for a listing and a watch, and for a create."""
    forbidden: bool


class AuditLog:
    """The requests of one ServiceAccount from now on."""

    def __init__(self, path: Path, namespace: str, account: str) -> None:
        self._path = path
        self._user = f"system:serviceaccount:{namespace}:{account}"
        self._offset = path.stat().st_size if path.exists() else 0
        self._asked: list[Asked] = []

    def requests(self) -> list[Asked]:
        """Every request so far. Those that any account may make, such as discovery, are left out."""
        with self._path.open("rb") as file:
            file.seek(self._offset)
            complete, _, _ = file.read().rpartition(b"\n")
        if complete:
            self._offset += len(complete) + 1
            self._asked += self._parsed(complete.splitlines())
        return self._asked

    def forbidden(self) -> list[Asked]:
        """Those that RBAC refused."""
        return [asked for asked in self.requests() if asked.forbidden]

    def _parsed(self, lines: list[bytes]) -> Iterator[Asked]:
        for line in lines:
            event: dict[str, Any] = json.loads(line)
            reference = event.get("objectRef")
            if event["user"]["username"] != self._user or reference is None or "resource" not in reference:
                continue
            resource = "/".join(filter(None, (reference["resource"], reference.get("subresource"))))
            missing = _MISSING.search(event.get("responseStatus", {}).get("message", ""))
            refused = event["annotations"].get("authorization.k8s.io/decision") == "forbid"
            yield Asked(
                verb=missing[1] if missing else event["verb"],
                group=reference.get("apiGroup", ""),
                resource=resource,
                namespace=reference.get("namespace", ""),
                name=reference.get("name", ""),
                forbidden=refused or missing is not None,
            )
