"""What Flow Service's resources have in common: identity, etag, state (platform.md 4)."""

from __future__ import annotations

import copy
import secrets
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

SETTLED = ("enabled", "disabled", "initializing", "draft")
"""States in which an object may be changed (platform.md 2.3, 1416 and 1456); all others are transitional."""


def new_etag(now: float) -> str:
    """A version as Flow Service writes it: the quotes are part of the value (platform.md 4.6)."""
    return f'"{secrets.token_hex(4)}-0000-0200-0000-{int(now):08x}{secrets.token_hex(2)}"'


@dataclass
class Transition:
    """A change of state that the provider finishes at ``due``."""

    due: float
    state: str


@dataclass
class Author:
    """Who sent the request: a technical account through its client."""

    user: str
    client: str


@dataclass
class Resource:
    """One object of Flow Service. ``body`` is what the client declared; the rest is the service's own."""

    id: str
    created_at: float
    updated_at: float
    created_by: Author
    updated_by: Author
    etag: str
    state: str
    body: dict[str, Any]
    transition: Transition | None = None
    deleted_at: float | None = None
    last_operation: dict[str, Any] | None = None
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def settled(self) -> bool:
        """Whether the provider has nothing left to do."""
        return self.state in SETTLED

    def touch(self, now: float, author: Author | None = None) -> None:
        """Count a change: a new etag."""
        self.updated_at = now
        self.updated_by = author or self.updated_by
        self.etag = new_etag(now)

    def begin(self, operation: str, via: str, to: str, now: float, seconds: float) -> None:
        """Enter the state ``via`` and leave it for ``to`` after ``seconds``; at once if that is 0."""
        self.last_operation = {
            "started": milliseconds(now),
            "updated": 0,
            "percentCompleted": 0.0,
            "status": {"value": "inProgress", "errors": []},
            "operation": operation,
        }
        self.state, self.transition = via, Transition(now + seconds, to)
        if seconds == 0:
            self.settle(now)

    def settle(self, now: float) -> None:
        """Finish what was due by ``now``; the provider's finalization is a change like any other."""
        if self.transition is None or self.transition.due > now:
            return
        finished, self.state = self.transition.due, self.transition.state
        self.transition = None
        self.touch(finished)
        if self.last_operation is not None:
            self.last_operation |= {
                "updated": milliseconds(finished),
                "percentCompleted": 100.0,
                "status": {"value": "completed", "errors": []},
            }

    def common(self) -> dict[str, Any]:
        """The fields that every item carries, times in milliseconds."""
        fields: dict[str, Any] = {
            "id": self.id,
            "createdAt": milliseconds(self.created_at),
            "updatedAt": milliseconds(self.updated_at),
            "createdBy": self.created_by.user,
            "updatedBy": self.updated_by.user,
            "createdClient": self.created_by.client,
            "updatedClient": self.updated_by.client,
            "state": "deleted" if self.deleted_at is not None else self.state,
            "version": self.etag,
            "etag": self.etag,
        }
        if self.last_operation is not None:
            fields["lastOperation"] = copy.deepcopy(self.last_operation)
        return fields


class Store:
    """The objects of one kind in one sandbox, oldest first; deleted ones are remembered for listings."""

    def __init__(self) -> None:
        self._objects: dict[str, Resource] = {}

    def create(self, body: dict[str, Any], state: str, author: Author, now: float) -> Resource:
        """A new object with its own id and etag."""
        resource = Resource(
            id=str(uuid.uuid4()),
            created_at=now,
            updated_at=now,
            created_by=author,
            updated_by=author,
            etag=new_etag(now),
            state=state,
            body=body,
        )
        self._objects[resource.id] = resource
        return resource

    def get(self, id: str, now: float) -> Resource | None:
        """The living object of that id."""
        resource = self._objects.get(id)
        if resource is None:
            return None
        self._settle(resource, now)
        return resource if resource.deleted_at is None else None

    def living(self, now: float) -> Iterator[Resource]:
        """All objects that are not deleted."""
        return (r for r in self.all(now) if r.deleted_at is None)

    def all(self, now: float) -> Iterator[Resource]:
        """All objects, the deleted ones included."""
        for resource in self._objects.values():
            self._settle(resource, now)
            yield resource

    def delete(self, resource: Resource, now: float) -> None:
        """End an object at once."""
        resource.deleted_at = now

    def clear(self) -> None:
        """Forget everything, as a sandbox reset does."""
        self._objects.clear()

    def put_back(self, resources: Iterable[Resource]) -> None:
        """Hold these and nothing else, as they were when :meth:`all` gave them."""
        self._objects = {resource.id: resource for resource in resources}

    def _settle(self, resource: Resource, now: float) -> None:
        resource.settle(now)
        if resource.state == "deleted" and resource.deleted_at is None:
            self.delete(resource, resource.updated_at)


def milliseconds(seconds: float) -> int:
    """Epoch milliseconds, as Flow Service counts."""
    return int(seconds * 1000)
