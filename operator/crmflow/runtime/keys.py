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
    def of(cls, obj: dict[str, Any]) -> Key:
        """The key of an object as the API server gives it."""
        metadata = obj["metadata"]
        return cls(obj["kind"], metadata["namespace"], metadata["name"])
