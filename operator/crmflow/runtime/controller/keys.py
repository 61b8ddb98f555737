"""What the queue, the cache and the workers call a resource."""

from __future__ import annotations

from typing import Any, NamedTuple


class Key(NamedTuple):
    """One resource of ours."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind}/{self.namespace}/{self.name}"

    @classmethod
    def named(cls, kind: str, resource: str) -> Key:
        """The key of a resource of ``kind`` that is called ``namespace/name``."""
        namespace, _, name = resource.partition("/")
        return cls(kind, namespace, name)

    @classmethod
    def of(cls, obj: dict[str, Any]) -> Key:
        """The key of an object as the API server gives it."""
        metadata = obj["metadata"]
        return cls(obj["kind"], metadata["namespace"], metadata["name"])


class ReconcileRequest(NamedTuple):
    """A resource is to be reconciled, since a poll found something new about its remote objects."""

    key: Key
    recheck: bool
    """True: compare everything; False: only the last run, or the answer to a listing, is new."""
