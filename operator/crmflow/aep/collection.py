"""What the five verbs of the client work on: a collection of one of Platform's services, as a value that
knows its path, its model, and how the service frames requests and answers.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar, Generic, TypeVar
from urllib.parse import quote

from crmflow.aep import fields
from crmflow.aep.gateway import Params
from crmflow.aep.models import Created
from crmflow.http.client import Answer

T_co = TypeVar("T_co", covariant=True)
L_co = TypeVar("L_co", covariant=True)

Raw = Mapping[str, Any]
"""An object as Platform sends it."""


class Verb(StrEnum):
    """What can be done with the objects of a collection; operations are named ``{collection}.{verb}``."""

    LIST = "list"
    GET = "get"
    CREATE = "create"
    PATCH = "patch"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class OfSpec:
    """Selects what was made from one connection specification or flow specification."""

    id: str


@dataclass(frozen=True, slots=True)
class WithIds:
    """Selects those of ``ids`` that exist and are visible."""

    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Named:
    """Selects what has exactly this name, or title. Catalog's filter takes no comma."""

    name: str


@dataclass(frozen=True, slots=True)
class StartedAfter:
    """Selects the runs that began after an instant, in seconds since the epoch."""

    time: float


@dataclass(frozen=True, slots=True)
class OfFlow:
    """Selects the runs of one flow that began after an instant, in seconds since the epoch."""

    flow_id: str
    started_after: float


Selection = OfSpec | WithIds | Named | StartedAfter | OfFlow | None
"""What a listing is to show; None stands for everything."""


@dataclass(frozen=True, slots=True)
class Query:
    """What a read adds to the path of its collection or object."""

    params: Params = ()
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Collection(ABC, Generic[T_co, L_co]):
    """A collection whose objects are read as ``T_co`` and listed as ``L_co``. Equal only to itself.

    A subclass stands for the dialect of one service. Its methods that take an :class:`Answer` raise
    :class:`RemoteError` (Transient, UnreadableAnswer) for a body of another shape.
    """

    name: str
    """As Platform spells it, such as ``sourceConnections``."""
    model: Callable[[Raw], T_co]
    entry: Callable[[Raw], L_co | None]
    """What a listing shows of an object; None for one that does not count, such as a deleted one."""
    verbs: frozenset[Verb]
    """The verbs that the operator may use on it."""

    service: ClassVar[str]
    """The service's name in messages and metrics."""
    base_path: ClassVar[str]
    """Where the service's collections are, below the gateway."""
    name_field: ClassVar[str] = "name"
    """The field that :class:`Named` selects by."""

    def __repr__(self) -> str:
        return self.name

    @property
    def path(self) -> str:
        """The collection's path below the gateway."""
        return f"{self.base_path}/{self.name}"

    def path_of(self, object_id: str) -> str:
        """An object's path; an id can't leave its place in it."""
        return f"{self.path}/{quote(object_id, safe='')}"

    def entries(self, found: Iterable[Raw], selection: Selection) -> Iterator[L_co]:
        """The objects of a listing that count. Names are compared here, whatever the filter found."""
        for raw in found:
            if isinstance(selection, Named) and fields.text(raw, self.name_field) != selection.name:
                continue
            if isinstance(selection, OfFlow) and fields.text(raw, "flowId") != selection.flow_id:
                continue
            shown = self.entry(raw)
            if shown is not None:
                yield shown

    def lookup(self, version: int | None) -> Query:
        """What a read of one object asks for; ``version`` as in the client's ``get``."""
        return Query()

    @abstractmethod
    def queries(self, selection: Selection) -> Iterable[Query]:
        """The requests that together list ``selection``. Raises LookupError for one that the service does not
        offer.
        """

    @abstractmethod
    def page(self, answer: Answer) -> Sequence[Raw]:
        """The objects of one page of a listing."""

    def next_page(self, answer: Answer, first: Params) -> Params | None:
        """The parameters of the page after ``answer``, None after the last one; ``first`` are those of the
        first page.
        """
        return None

    def found(self, answer: Answer, object_id: str) -> Raw | None:
        """The object in the answer to a read; None if the answer says that there is none."""
        raise LookupError(f"{self.name} are not read one by one")

    def etag(self, raw: Raw) -> str | None:
        """The object's version as changes are bound to it; None where the service has no etags."""
        return None

    def created(self, answer: Answer, known_id: str = "") -> Created:
        """What an answer to a create, or to a change of ``known_id``, says about the object."""
        raise LookupError(f"{self.name} are not written")

    def selection_error(self, selection: Selection) -> LookupError:
        """The error for a selection that the service does not offer."""
        return LookupError(f"{self.name} can't be listed by {selection}")


AnyCollection = Collection[Any, Any]
