"""Whose a remote object is: a bracket in its name decides the hit, a line of its description verifies it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from crmflow.reconcile.external.identity import Identity

_KEY = re.compile(r"\[crmflow:[a-z0-9-]+:[0-9a-f]{16}\]\s*\Z")
_MANAGED_BY = re.compile(r"^managed by crmflow (\S+) ([^\s/]+)/(\S+) (\S+)\s*$", re.MULTILINE)


@dataclass(frozen=True)
class Owner:
    """What a description says of who manages the object."""

    instance: str
    namespace: str
    name: str
    uid: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name} of crmflow {self.instance}"


class Verdict(StrEnum):
    """How a hit by key stands to a resource."""

    OWN = "Own"
    """This very resource made it."""
    PREDECESSOR = "Predecessor"
    """A resource of the same name made it, before it was deleted or the cluster rebuilt: it is taken over."""
    FOREIGN = "Foreign"
    """Nothing says that it is ours, or something says that it is another's."""


def key_in(name: str) -> str | None:
    """The lookup key at the end of a remote name."""
    found = _KEY.search(name)
    return found[0].rstrip() if found else None


def without_key(name: str) -> str:
    """The part of a remote name that people chose."""
    return _KEY.sub("", name).rstrip()


def without_owner(description: str) -> str:
    """The part of a description that people wrote."""
    return _MANAGED_BY.sub("", description).rstrip()


def owner_in(description: str) -> Owner | None:
    """The owner that the last such line of a description names; users' text comes before it."""
    lines = _MANAGED_BY.findall(description)
    return Owner(*lines[-1]) if lines else None


def judge(identity: Identity, description: str) -> Verdict:
    """Whether an object that carries the key of ``identity`` really is its own."""
    owner = owner_in(description)
    if owner is None or (owner.instance, owner.namespace, owner.name) != (
        identity.instance,
        identity.namespace,
        identity.name,
    ):
        return Verdict.FOREIGN
    return Verdict.OWN if owner.uid == identity.uid else Verdict.PREDECESSOR
