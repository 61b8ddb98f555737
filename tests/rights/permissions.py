"""The chart's rules, taken apart into single permissions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tests.kit.cluster import Object
from tests.rights.audit import Asked


@dataclass(frozen=True, order=True)
class Permission:
    """One verb on one resource, by one role."""

    kind: str
    """ClusterRole or Role."""
    role: str
    namespace: str
    """Empty for a ClusterRole, which is bound for all namespaces."""
    group: str
    resource: str
    verb: str
    name: str
    """The only object that it is about; empty: any."""

    def __str__(self) -> str:
        named = f" {self.name}" if self.name else ""
        where = f"in {self.namespace}" if self.namespace else "in all namespaces"
        return f"{self.verb} {'/'.join(filter(None, (self.group, self.resource)))}{named} {where}"

    def covers(self, asked: Asked) -> bool:
        """Whether it allows the request."""
        return (
            (asked.verb, asked.group, asked.resource) == (self.verb, self.group, self.resource)
            and self.namespace in ("", asked.namespace)
            and self.name in ("", asked.name)
        )


def permissions(objects: Iterable[Object]) -> list[Permission]:
    """What the roles that are bound to a ServiceAccount permit, among ``objects``."""
    objects = list(objects)
    bound = {
        (obj["roleRef"]["kind"], obj["metadata"].get("namespace", ""), obj["roleRef"]["name"])
        for obj in objects
        if obj["kind"] in ("ClusterRoleBinding", "RoleBinding")
    }
    return [
        permission
        for obj in objects
        if (obj["kind"], obj["metadata"].get("namespace", ""), obj["metadata"]["name"]) in bound
        for permission in permissions_of(obj)
    ]


def permissions_of(role: Object) -> Iterator[Permission]:
    """The permissions of one role."""
    metadata = role["metadata"]
    for rule in role["rules"]:
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                for verb in rule["verbs"]:
                    for name in rule.get("resourceNames", [""]):
                        yield Permission(
                            role["kind"],
                            metadata["name"],
                            metadata.get("namespace", ""),
                            group,
                            resource,
                            verb,
                            name,
                        )


def rules_without(role: Object, taken: Permission) -> list[Object]:
    """The rules of the role without one permission."""
    return [
        {
            "apiGroups": [left.group],
            "resources": [left.resource],
            "verbs": [left.verb],
            **({"resourceNames": [left.name]} if left.name else {}),
        }
        for left in permissions_of(role)
        if left != taken
    ]
