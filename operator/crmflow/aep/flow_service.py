"""Flow Service: how it frames requests and answers, and its collections (platform.md 3, 4, 7, 11)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar
from urllib.parse import parse_qsl, urlsplit

from crmflow.aep import fields, flow_objects
from crmflow.aep.collection import (
    Collection,
    Named,
    OfFlow,
    OfSpec,
    Query,
    Raw,
    Selection,
    StartedAfter,
    Verb,
    WithIds,
)
from crmflow.aep.gateway import Params
from crmflow.aep.models import (
    BaseConnection,
    ConnectionSpec,
    Created,
    Flow,
    FlowSpec,
    Listed,
    Run,
    SourceConnection,
    TargetConnection,
)
from crmflow.aep.runs import run_of
from crmflow.http.client import Answer

PAGE_SIZE = 100
"""Objects per page; larger limits may be cut."""
IDS_PER_REQUEST = 100
"""One page. A filter of ids is part of the URL, which is 4 kB long then; servers commonly take 8 kB."""

T_co = TypeVar("T_co", covariant=True)
L_co = TypeVar("L_co", covariant=True)


@dataclass(frozen=True, eq=False, repr=False)
class FlowServiceCollection(Collection[T_co, L_co]):
    """A collection of Flow Service."""

    service: ClassVar[str] = "FlowService"
    base_path: ClassVar[str] = "/data/foundation/flowservice"

    filters: Mapping[type, str] = field(default_factory=dict)
    """What stands before the value in the filter of each selection."""
    order: str = ""
    """The field that pages are ordered by; without one, all comes in one page of the service's own size."""

    def queries(self, selection: Selection) -> Iterable[Query]:
        prefix = self.filters.get(type(selection))
        if prefix is None:
            raise self.selection_error(selection)
        paging = [("orderby", self.order), ("limit", str(PAGE_SIZE))] if self.order else []
        flow = [("property", f"flowId=={selection.flow_id}")] if isinstance(selection, OfFlow) else []
        return [Query([*flow, ("property", prefix + value), *paging]) for value in _values(selection)]

    def page(self, answer: Answer) -> tuple[Raw, ...]:
        found = fields.items(answer.json())
        if found is None:
            raise answer.unreadable("no listing")
        return found

    def next_page(self, answer: Answer, first: Params) -> Params | None:
        """The query of ``_links.next.href``, a reference relative to the base path (platform.md 3), and what
        ``first`` asked for where the reference leaves it out, as Adobe's own client does. A link that can't
        be followed is not the last page: raises :class:`RemoteError`.

        Only its query is taken: an answer does not decide where the token is sent.
        """
        following = fields.obj(answer.json(), "_links").get("next")
        href = following.get("href") if isinstance(following, Mapping) else following
        if not href:
            return None
        query = parse_qsl(urlsplit(href).query) if isinstance(href, str) else []
        if not query:
            raise answer.unreadable("a next page that can't be asked for")
        named = {name for name, _ in query}
        return [*query, *(entry for entry in first if entry[0] not in named)]

    def found(self, answer: Answer, object_id: str) -> Raw | None:
        found = fields.items(answer.json())
        if found is None:
            raise answer.unreadable("no object")
        return found[0] if found else None

    def etag(self, raw: Raw) -> str | None:
        return fields.text(raw, "etag", "version") or None

    def created(self, answer: Answer, known_id: str = "") -> Created:
        """Id and etag, which come bare or, for some patches, in the list envelope (platform.md 4.2)."""
        found = fields.items(answer.json_or_none()) or ({},)
        object_id = fields.text(found[0], "id") or known_id
        if not object_id:
            raise answer.unreadable("no id")
        return Created(object_id, self.etag(found[0]))


def _values(selection: Selection) -> Iterator[str]:
    match selection:
        case OfSpec(spec_id):
            yield spec_id
        case Named(name):
            yield f'"{name}"'
        case StartedAfter(time) | OfFlow(started_after=time):
            yield str(int(time * 1000))
        case WithIds(ids):
            for start in range(0, len(ids), IDS_PER_REQUEST):
                yield ",".join(ids[start : start + IDS_PER_REQUEST])


_ID = "id=="
_STARTED = "metrics.durationSummary.startedAtUTC>"
_OF_CONNECTION_SPEC = {OfSpec: "connectionSpec.id==", WithIds: _ID}

CONNECTIONS: Collection[BaseConnection, Listed] = FlowServiceCollection(
    "connections",
    flow_objects.base_connection,
    flow_objects.listed,
    frozenset(Verb),
    _OF_CONNECTION_SPEC,
    "createdAt",
)
"""Base connections: accounts (platform.md 4.1). Whether a create tries the credentials is unknown; a patch
replaces ``/auth/params`` as a whole, and drops what it omits.
"""

SOURCE_CONNECTIONS: Collection[SourceConnection, Listed] = FlowServiceCollection(
    "sourceConnections",
    flow_objects.source_connection,
    flow_objects.listed,
    frozenset(Verb),
    _OF_CONNECTION_SPEC,
    "createdAt",
)
"""Tables of a base connection (platform.md 4.2). A create gets explore's columns unchanged (16.1); a patch of
more than name and description does not reach the flow (6.3).
"""

TARGET_CONNECTIONS: Collection[TargetConnection, Listed] = FlowServiceCollection(
    "targetConnections",
    flow_objects.target_connection,
    flow_objects.listed,
    frozenset(Verb),
    _OF_CONNECTION_SPEC,
    "createdAt",
)
"""Datasets of the data lake with the schema version they are written in (platform.md 4.3)."""

FLOWS: Collection[Flow, Listed] = FlowServiceCollection(
    "flows",
    flow_objects.flow,
    flow_objects.listed,
    frozenset(Verb),
    {OfSpec: "flowSpec.id==", WithIds: _ID},
    "createdAt",
)
"""Dataflows (platform.md 4.4). One is active as soon as it is created, and in transition after a patch."""

INVENTORIED: tuple[Collection[Any, Listed], ...] = (
    CONNECTIONS,
    SOURCE_CONNECTIONS,
    TARGET_CONNECTIONS,
    FLOWS,
)
"""The collections that hold objects of ours, and that the inventory lists."""

RUNS: Collection[Run, Run] = FlowServiceCollection(
    "runs",
    run_of,
    run_of,
    frozenset({Verb.LIST}),
    {StartedAfter: _STARTED, OfFlow: _STARTED, WithIds: _ID},
    "-createdAt",
)
"""Runs of whatever flow or of one, the latest first (platform.md 7). One that waits to begin may show no
start yet, and is then found by its id alone.
"""

CONNECTION_SPECS: Collection[ConnectionSpec, ConnectionSpec] = FlowServiceCollection(
    "connectionSpecs",
    flow_objects.connection_spec,
    flow_objects.connection_spec,
    frozenset({Verb.GET}),
)
"""Types of sources and targets (platform.md 11); there is none any more for a source that was withdrawn."""

FLOW_SPECS: Collection[FlowSpec, FlowSpec] = FlowServiceCollection(
    "flowSpecs",
    flow_objects.flow_spec,
    flow_objects.flow_spec,
    frozenset({Verb.LIST}),
    {Named: "name=="},
)
"""What may flow from where to where, by name: ids differ between Adobe's samples (platform.md 16.1)."""
