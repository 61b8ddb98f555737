"""Somebody with an own kubeconfig and just the rights that a test gives them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hack.kubeconfig import kubeconfig, write_private
from hack.kubectl import Kubectl

NAME = "person"

Rule = dict[str, Any]

READ_CONNECTIONS: Rule = {
    "apiGroups": ["crmflow.io"],
    "resources": ["zohosourceconnections"],
    "verbs": ["get"],
}


def secrets(*verbs: str) -> Rule:
    """What they may do with Secrets."""
    return {"apiGroups": [""], "resources": ["secrets"], "verbs": list(verbs)}


def person(kubectl: Kubectl, namespace: str, file: Path, rules: Sequence[Rule]) -> Path:
    """Write the kubeconfig of a person with these rights in this namespace, which is its context's."""
    metadata = {"name": NAME, "namespace": namespace}
    group = "rbac.authorization.k8s.io"
    objects = [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata},
        {"apiVersion": f"{group}/v1", "kind": "Role", "metadata": metadata, "rules": list(rules)},
        {
            "apiVersion": f"{group}/v1",
            "kind": "RoleBinding",
            "metadata": metadata,
            "roleRef": {"apiGroup": group, "kind": "Role", "name": NAME},
            "subjects": [{"kind": "ServiceAccount", "name": NAME, "namespace": namespace}],
        },
    ]
    kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))
    token = kubectl("create", "token", NAME, f"--namespace={namespace}")
    admin = kubectl.json("config", "view", "--minify", "--flatten", "--raw")
    content = json.loads(kubeconfig(admin["clusters"][0]["cluster"], user=NAME, token=token))
    content["contexts"][0]["context"]["namespace"] = namespace
    write_private(file, json.dumps(content))
    return file
