"""What a resource lets the operator do outside the cluster, as its spec says it."""

from __future__ import annotations

from typing import Protocol

from crmflow.api.base import DeletionPolicy, ManagementPolicy


class Policies(Protocol):
    """The part of both kinds' specs that decides it."""

    @property
    def adopts(self) -> str | None:
        """The id of what is to stand for the resource although it was there before."""
        ...

    @property
    def management_policy(self) -> ManagementPolicy: ...
    @property
    def deletion_policy(self) -> DeletionPolicy | None: ...


def observes(spec: Policies) -> bool:
    """True if nothing may be changed, created or deleted."""
    return spec.management_policy is ManagementPolicy.OBSERVE


def adopts(spec: Policies, recorded_id: str | None) -> bool:
    """True if what stands for the resource was there before it. A resource that has made something of its own
    adopts nothing any more.
    """
    return spec.adopts is not None and recorded_id in (None, spec.adopts)


def effective_deletion_policy(spec: Policies, recorded_id: str | None) -> DeletionPolicy:
    """What deleting the resource does: unless the spec says it, what was created goes and what was adopted
    stays. What is only observed stays in any case.
    """
    if observes(spec):
        return DeletionPolicy.ORPHAN
    if spec.deletion_policy is not None:
        return spec.deletion_policy
    return DeletionPolicy.ORPHAN if adopts(spec, recorded_id) else DeletionPolicy.DELETE
