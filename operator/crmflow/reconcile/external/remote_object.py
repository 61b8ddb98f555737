"""What is known of a kind of remote object, and the values that two of them are compared by.

Creation, adoption, ownership, orphaning, duplicates, absence and deletion work on :class:`RemoteObject`; each
module of this folder describes one. An object is compared as values by JSON pointer. Both sides are
normalized alike, so an object that is as it should be never gets a patch: numbers that come as text,
frequencies in another case and content types in another spelling are equal (platform.md 16.1).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Generic, Protocol, TypeVar

from pydantic import BaseModel

from crmflow.aep.collection import Collection
from crmflow.aep.models import PatchOperation
from crmflow.reconcile.external.identity import Identity, Slot

Values = Mapping[str, Any]
"""Comparable values by JSON pointer. What the spec leaves out is not there, and so not compared."""

NAME, DESCRIPTION = "/name", "/description"


class Remote(Protocol):
    """What every object of Flow Service has."""

    @property
    def id(self) -> str: ...
    @property
    def etag(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def description(self) -> str: ...


T = TypeVar("T", bound=Remote)


def differing(desired: Values, observed: Values) -> list[str]:
    """The paths whose values are not as they should be."""
    return [path for path, value in desired.items() if observed.get(path) != value]


def body(values: Values) -> dict[str, Any]:
    """``values`` as the JSON object that a create sends."""
    result: dict[str, Any] = {}
    for path, value in values.items():
        *parents, name = path.strip("/").split("/")
        part = result
        for parent in parents:
            part = part.setdefault(parent, {})
        part[name] = sent(value)
    return result


def sent(value: Any) -> Any:
    """The form of a value that is sent; what is compared in another one has it as ``sent``."""
    return getattr(value, "sent", value)


def plain_patch(paths: Sequence[str], desired: Values, _remote: Any) -> list[PatchOperation]:
    """An operation for each path. A description may be absent; everything else that is compared is there."""
    return [
        PatchOperation("add" if path == DESCRIPTION else "replace", path, sent(desired[path]))
        for path in paths
    ]


@dataclass(frozen=True, eq=False)
class RemoteObject(Generic[T]):
    """A kind of object in Flow Service of which a resource has one. Equal only to itself."""

    slot: Slot
    collection: Collection[T, Any]
    noun: str
    """What messages call it."""
    recorded_at: tuple[str, ...]
    """The field of the status that holds its id, by the names of the model."""
    record: Callable[[str | None], Mapping[str, Any]]
    """What a status records of an object with that id; of None, that there is none."""
    observed: Callable[[Any], Values]
    """An object as Platform has it."""
    patch: Callable[[Sequence[str], Values, Any], list[PatchOperation]] = plain_patch
    """What makes a remote object equal to the values at these paths."""
    fields: Mapping[str, str] = field(default_factory=dict)
    """The fields of the spec that decide what stands at a path, as messages name it."""
    built_on: tuple[Slot, ...] = ()
    """What has to exist before it, and goes after it."""

    def at(self, revision: int) -> RemoteObject[T]:
        """The same kind of object in a later slot, built on what stands in slots of the same revision."""
        if revision == self.slot.revision:
            return self
        built_on = tuple(Slot(slot.name, revision) for slot in self.built_on)
        return replace(self, slot=Slot(self.slot.name, revision), built_on=built_on)

    def id_in(self, status: BaseModel) -> str | None:
        """The id that a status records."""
        value: Any = status
        for name in self.recorded_at:
            value = getattr(value, name, None)
        return value if isinstance(value, str) else None

    def named(self, identity: Identity, display_name: str | None, description: str | None) -> Values:
        """Name and description of an object that the operator makes: they bear key and owner."""
        return {
            NAME: identity.remote_name(display_name, self.slot),
            DESCRIPTION: identity.description(description),
        }

    def differs_in(self, path: str) -> str:
        """A path as messages name it where no field of the spec decides it."""
        return self.slot.name + path.replace("/", ".")


def observed_name(remote: Remote) -> Values:
    """Name and description, which every object of Flow Service has."""
    return {NAME: remote.name or "", DESCRIPTION: remote.description or ""}
