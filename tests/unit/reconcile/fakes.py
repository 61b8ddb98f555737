"""In-memory stand-ins for the ports: they keep what they are given, and say which calls were made, in which
order.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Concatenate, ParamSpec, TypeVar

from pydantic import SecretStr

from crmflow.aep.listings import Collection, Listed
from crmflow.aep.models import (
    AuthSpec,
    BaseConnection,
    Column,
    ConnectionSpec,
    Created,
    DataSet,
    FieldMapping,
    Flow,
    FlowOptions,
    FlowSpec,
    MappingCheck,
    MappingSet,
    MappingSetRef,
    PatchOperation,
    Run,
    Sandbox,
    Schedule,
    Schema,
    SourceConnection,
    Table,
    TargetConnection,
)
from crmflow.api.zohosourceconnection import (
    DataCenter,
    Environment,
    ZohoSourceConnectionSpec,
    ZohoSourceConnectionStatus,
)
from crmflow.reconcile.credentials import PlatformCredentials, ZohoCredentials
from crmflow.reconcile.offer import FLOW_SPEC_NAME, ZOHO_CONNECTION_SPEC_ID
from crmflow.reconcile.ownership import key_in
from crmflow.reconcile.ports import Absence, Dataflow, Platform, Zoho
from crmflow.transport.errors import ErrorClass, RemoteError
from crmflow.zoho.crm import Organization

P = ParamSpec("P")
R = TypeVar("R")

NOW = 1_760_000_000.0
SCHEMA_ID = "https://ns.adobe.com/acme/schemas/contact"
DATASET_ID = "5f0c0ffee"
FLOW_SPEC_ID = "14518937-270c-4525-bdec-c2ba7cce3860"


def remote_error(
    error_class: ErrorClass = ErrorClass.TRANSIENT,
    reason: str = "Unavailable",
    message: str = "not available",
    *,
    advice: str = "",
    retry_after: float | None = None,
    maybe_applied: bool = False,
) -> RemoteError:
    """A failure as a client raises it."""
    return RemoteError(
        "Fake",
        "call",
        error_class,
        reason,
        message,
        advice=advice,
        retry_after=retry_after,
        maybe_applied=maybe_applied,
    )


class FakeClock:
    """Time that passes only when a test says so."""

    def __init__(self, now: float = NOW) -> None:
        self.time = now

    def now(self) -> float:
        return self.time


class Timeline(list[str]):
    """The names of all remote calls and checkpoints, in their order."""


@dataclass
class _Failure:
    error: RemoteError
    after: bool
    times: int


class Failing:
    """Calls that a test can have fail, before or after they did what they were asked."""

    def __init__(self, timeline: Timeline) -> None:
        self.timeline = timeline
        self.arguments: dict[str, list[tuple[Any, ...]]] = {}
        self.in_flight = 0
        self.most_in_flight = 0
        self._failures: dict[str, _Failure] = {}

    def fail(self, call: str, error: RemoteError, *, after: bool = False, times: int = 1_000_000) -> None:
        """``after``: the call is carried out, and only its answer is lost."""
        self._failures[call] = _Failure(error, after, times)

    def heal(self) -> None:
        """Nothing fails any more."""
        self._failures.clear()

    def _failure(self, call: str) -> _Failure | None:
        failure = self._failures.get(call)
        if failure is None or failure.times == 0:
            return None
        failure.times -= 1
        return failure


F = TypeVar("F", bound=Failing)


def remote(
    method: Callable[Concatenate[F, P], Coroutine[Any, Any, R]],
) -> Callable[Concatenate[F, P], Coroutine[Any, Any, R]]:
    """Note the call, and fail it if the test asked for that."""

    @functools.wraps(method)
    async def call(self: F, /, *args: P.args, **kwargs: P.kwargs) -> R:
        name = method.__name__
        self.timeline.append(name)
        self.arguments.setdefault(name, []).append(args)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await asyncio.sleep(0)  # let whatever runs side by side come in
            failure = self._failure(name)
            if failure is not None and not failure.after:
                raise failure.error
            result = await method(self, *args, **kwargs)
            if failure is not None:
                raise failure.error
            return result
        finally:
            self.in_flight -= 1

    return call


def _found(objects: Mapping[str, R], object_id: str) -> R:
    if object_id not in objects:
        raise remote_error(ErrorClass.NOT_FOUND, "NotFound", f"{object_id} does not exist")
    return objects[object_id]


class FakePlatform(Failing):
    """One sandbox: Flow Service, Data Prep, Schema Registry and Catalog, as far as the port goes."""

    def __init__(self, timeline: Timeline) -> None:
        super().__init__(timeline)
        self.sandbox_list = [Sandbox("prod", "active", "production", "VA7")]
        self.connection_specs = {
            ZOHO_CONNECTION_SPEC_ID: ConnectionSpec(
                ZOHO_CONNECTION_SPEC_ID, "zoho-crm", "1.0", (AuthSpec("Zoho OAuth", ()),)
            )
        }
        self.flow_specs = {
            FLOW_SPEC_NAME: FlowSpec(
                FLOW_SPEC_ID, FLOW_SPEC_NAME, "1.0", (ZOHO_CONNECTION_SPEC_ID,), ("lake",)
            )
        }
        self.connections: dict[str, BaseConnection] = {}
        self.source_connections: dict[str, SourceConnection] = {}
        self.target_connections: dict[str, TargetConnection] = {}
        self.flows: dict[str, Flow] = {}
        self.mapping_sets: dict[str, tuple[FieldMapping, ...]] = {}
        self.mapping_set_names: dict[str, str] = {}
        self.foreign_mapping_sets: dict[str, MappingSet] = {}
        """Mapping sets that somebody else made, by id and version."""
        self.identities: dict[str, tuple[str, str]] = {}
        """Path and namespace of the primary identity, by schema."""
        self.table_list = [Table("Contacts", "Contacts"), Table("Leads", "Leads")]
        self.column_list = [
            new_column("Email", "string"),
            new_column("First_Name", "string"),
            new_column("Modified_Time", "date-time"),
            new_column("Created_Time", "date-time"),
        ]
        self.schemas = {SCHEMA_ID: Schema(SCHEMA_ID, "_acme.schemas.contact", "Contact", "1.3")}
        self.datasets = {
            DATASET_ID: DataSet(
                DATASET_ID, "contacts", SCHEMA_ID, "application/vnd.adobe.xed+json; version=1", False
            )
        }
        self.test_succeeds = True
        self.mapping_verdicts: dict[str, str] = {}
        """Destination → why Data Prep refuses it."""
        self.flow_states: list[str] = []
        """What the next reads of a flow show, before it shows its own state."""
        self.hidden_names: set[str] = set()
        """Names that the index does not show yet: their objects are in no listing."""
        self._ids = 0

    @remote
    async def sandboxes(self) -> Sequence[Sandbox]:
        return self.sandbox_list

    @remote
    async def connection_spec(self, spec_id: str) -> ConnectionSpec | None:
        return self.connection_specs.get(spec_id)

    @remote
    async def flow_spec(self, name: str) -> FlowSpec | None:
        return self.flow_specs.get(name)

    @remote
    async def create_connection(
        self,
        name: str,
        description: str,
        auth_spec_name: str,
        params: Mapping[str, str | SecretStr],
        spec_id: str,
        spec_version: str,
    ) -> Created:
        created = self._created("bc")
        self.connections[created.id] = BaseConnection(
            created.id, "etag", name, description, "enabled", spec_id, auth_spec_name, params
        )
        return created

    @remote
    async def connection(self, connection_id: str) -> BaseConnection:
        return _found(self.connections, connection_id)

    @remote
    async def patch_connection(
        self, connection_id: str, etag: str, operations: Sequence[PatchOperation]
    ) -> Created:
        self.connections[connection_id] = _patched(_found(self.connections, connection_id), operations)
        return Created(connection_id, "etag")

    @remote
    async def delete_connection(self, connection_id: str) -> None:
        _found(self.connections, connection_id)
        del self.connections[connection_id]

    @remote
    async def test_connection(self, connection_id: str) -> bool:
        _found(self.connections, connection_id)
        return self.test_succeeds

    @remote
    async def tables(self, connection_id: str) -> Sequence[Table]:
        return self.table_list

    @remote
    async def columns(self, connection_id: str, table_path: str) -> Sequence[Column]:
        return self.column_list

    @remote
    async def create_source_connection(
        self,
        name: str,
        description: str,
        base_connection_id: str,
        table: str,
        columns: Sequence[Mapping[str, Any]],
        spec_id: str,
        spec_version: str,
    ) -> Created:
        created = self._created("sc")
        names = tuple(str(column["name"]) for column in columns)
        self.source_connections[created.id] = SourceConnection(
            created.id, "etag", name, description, "enabled", base_connection_id, spec_id, table, names
        )
        return created

    @remote
    async def source_connection(self, source_connection_id: str) -> SourceConnection:
        return _found(self.source_connections, source_connection_id)

    @remote
    async def patch_source_connection(
        self, source_connection_id: str, etag: str, operations: Sequence[PatchOperation]
    ) -> Created:
        remote_object = _found(self.source_connections, source_connection_id)
        self.source_connections[source_connection_id] = _patched(remote_object, operations)
        return Created(source_connection_id, "etag")

    @remote
    async def delete_source_connection(self, source_connection_id: str) -> None:
        _found(self.source_connections, source_connection_id)
        del self.source_connections[source_connection_id]

    @remote
    async def create_target_connection(
        self, name: str, description: str, schema_id: str, schema_version: str, dataset_id: str
    ) -> Created:
        created = self._created("tc")
        self.target_connections[created.id] = TargetConnection(
            created.id, "etag", name, description, "enabled", "lake", schema_id, schema_version, dataset_id
        )
        return created

    @remote
    async def target_connection(self, target_connection_id: str) -> TargetConnection:
        return _found(self.target_connections, target_connection_id)

    @remote
    async def patch_target_connection(
        self, target_connection_id: str, etag: str, operations: Sequence[PatchOperation]
    ) -> Created:
        remote_object = _found(self.target_connections, target_connection_id)
        self.target_connections[target_connection_id] = _patched(remote_object, operations)
        return Created(target_connection_id, "etag")

    @remote
    async def delete_target_connection(self, target_connection_id: str) -> None:
        _found(self.target_connections, target_connection_id)
        del self.target_connections[target_connection_id]

    @remote
    async def create_flow(
        self,
        name: str,
        description: str,
        flow_spec_id: str,
        flow_spec_version: str,
        source_connection_id: str,
        target_connection_id: str,
        transformations: Sequence[Mapping[str, Any]],
        options: Mapping[str, Any],
        schedule: Mapping[str, Any],
    ) -> Created:
        created = self._created("flow")
        params = {item["name"]: item["params"] for item in transformations}
        self.flows[created.id] = Flow(
            id=created.id,
            etag="etag",
            name=name,
            description=description,
            state="enabled",
            flow_spec_id=flow_spec_id,
            source_connection_ids=(source_connection_id,),
            target_connection_ids=(target_connection_id,),
            schedule=Schedule(
                schedule["startTime"],
                schedule["frequency"],
                schedule.get("interval"),
                schedule.get("backfill"),
            ),
            delta_column=params["Copy"]["deltaColumn"]["name"] if "Copy" in params else None,
            mapping_set_id=params["Mapping"]["mappingId"],
            mapping_version=params["Mapping"]["mappingVersion"],
            options=FlowOptions(
                options.get("errorDiagnosticsEnabled", False), options.get("partialIngestionPercent")
            ),
            last_run=None,
            has_options=bool(options),
            transformations=tuple(transformations),
        )
        return created

    @remote
    async def flow(self, flow_id: str) -> Flow:
        flow = _found(self.flows, flow_id)
        return replace(flow, state=self.flow_states.pop(0)) if self.flow_states else flow

    @remote
    async def patch_flow(self, flow_id: str, etag: str, operations: Sequence[PatchOperation]) -> Created:
        self.flows[flow_id] = _patched(_found(self.flows, flow_id), operations)
        return Created(flow_id, "etag")

    @remote
    async def set_flow_state(self, flow_id: str, enable: bool, etag: str | None) -> Created:
        state = "enabled" if enable else "disabled"
        self.flows[flow_id] = replace(_found(self.flows, flow_id), state=state)
        return Created(flow_id, "etag")

    @remote
    async def delete_flow(self, flow_id: str) -> None:
        _found(self.flows, flow_id)
        del self.flows[flow_id]

    @remote
    async def validate_mapping(
        self, schema_id: str, content_type: str, mappings: Sequence[FieldMapping]
    ) -> Sequence[MappingCheck]:
        refused = self.mapping_verdicts
        return [
            MappingCheck(mapping.destination not in refused, refused.get(mapping.destination, ""))
            for mapping in mappings
        ]

    @remote
    async def find_mapping_set(self, name: str) -> MappingSetRef | None:
        found = (set_id for set_id, known in self.mapping_set_names.items() if known == name)
        return next((MappingSetRef(set_id, 0) for set_id in found), None)

    @remote
    async def mapping_set(self, ref: MappingSetRef) -> MappingSet:
        own = {
            f"{set_id}/0": MappingSet(SCHEMA_ID, "application/json;version=1", mappings)
            for set_id, mappings in self.mapping_sets.items()
        }
        return _found({**own, **self.foreign_mapping_sets}, f"{ref.id}/{ref.version}")

    @remote
    async def create_mapping_set(
        self, name: str, schema_id: str, content_type: str, mappings: Sequence[FieldMapping]
    ) -> MappingSetRef:
        created = self._created("ms")
        self.mapping_sets[created.id] = tuple(mappings)
        self.mapping_set_names[created.id] = name
        return MappingSetRef(created.id, 0)

    @remote
    async def schema(self, schema_id: str) -> Schema:
        return _found(self.schemas, schema_id)

    @remote
    async def dataset(self, dataset_id: str) -> DataSet:
        return _found(self.datasets, dataset_id)

    @remote
    async def schemas_titled(self, title: str) -> Sequence[Schema]:
        return [
            replace(schema, description="", profile_enabled=False)
            for schema in self.schemas.values()
            if schema.title == title and title not in self.hidden_names
        ]

    @remote
    async def create_schema(
        self, title: str, description: str, class_id: str, field_groups: Sequence[str]
    ) -> Schema:
        schema_id = f"https://ns.adobe.com/acme/schemas/{self._created('schema').id}"
        self.schemas[schema_id] = Schema(schema_id, "alt", title, "1.0", description)
        return self.schemas[schema_id]

    @remote
    async def has_primary_identity(self, schema_id: str) -> bool:
        return schema_id in self.identities

    @remote
    async def set_primary_identity(self, schema: Schema, path: str, namespace: str) -> None:
        assert schema.id not in self.identities, "a schema has one primary identity"
        self.identities[schema.id] = (path, namespace)

    @remote
    async def enable_schema_for_profile(self, schema_id: str) -> None:
        self.schemas[schema_id] = replace(self.schemas[schema_id], profile_enabled=True, version="1.1")

    @remote
    async def datasets_named(self, name: str) -> Sequence[DataSet]:
        return [
            dataset
            for dataset in self.datasets.values()
            if dataset.name == name and name not in self.hidden_names
        ]

    @remote
    async def create_dataset(
        self,
        name: str,
        description: str,
        schema: Schema,
        *,
        profile: bool,
        upsert: bool,
        error_diagnostics: bool,
    ) -> str:
        dataset_id = self._created("dataset").id.replace("-", "")
        content_type = f"application/vnd.adobe.xed+json;version={schema.major_version}"
        self.datasets[dataset_id] = DataSet(dataset_id, name, schema.id, content_type, profile)
        return dataset_id

    def held(self, collection: Collection) -> dict[str, Any]:
        """The objects of ``collection`` by id."""
        collections: dict[Collection, dict[str, Any]] = {
            Collection.CONNECTIONS: self.connections,
            Collection.SOURCE_CONNECTIONS: self.source_connections,
            Collection.TARGET_CONNECTIONS: self.target_connections,
            Collection.FLOWS: self.flows,
        }
        return collections[collection]

    @property
    def counts(self) -> tuple[int, int, int, int]:
        """How many connections, source connections, target connections and flows there are."""
        return (
            len(self.connections),
            len(self.source_connections),
            len(self.target_connections),
            len(self.flows),
        )

    def _created(self, prefix: str) -> Created:
        self._ids += 1
        return Created(f"{prefix}-{self._ids}", "etag")


def new_column(name: str, column_type: str) -> Column:
    """A column as explore shows it; of type ``date-time`` it can be a delta column."""
    raw = {"name": name, "type": "string", "xdm": {"type": "string", "format": column_type}}
    return Column(name, "string", column_type == "date-time", raw)


_PATCHED: dict[str, Callable[[Any, Any], dict[str, Any]]] = {
    "/name": lambda _, value: {"name": value},
    "/description": lambda _, value: {"description": value},
    "/auth/params": lambda _, value: {"auth_params": value},
    "/baseConnectionId": lambda _, value: {"base_connection_id": value},
    "/params/tableName": lambda _, value: {"table_name": value},
    "/params/columns": lambda _, value: {"column_names": tuple(column["name"] for column in value)},
    "/data/schema": lambda _, value: {"schema_id": value["id"], "schema_version": value["version"]},
    "/params/dataSetId": lambda _, value: {"dataset_id": value},
    **{
        f"/scheduleParams/{name}": lambda flow, value, field=field: {
            "schedule": replace(flow.schedule, **{field: value})
        }
        for name, field in {
            "frequency": "frequency",
            "interval": "interval",
            "startTime": "start_time",
            "backfill": "backfill",
        }.items()
    },
    "/options/errorDiagnosticsEnabled": lambda flow, value: {
        "options": replace(flow.options, error_diagnostics_enabled=value)
    },
    "/options/partialIngestionPercent": lambda flow, value: {
        "options": replace(flow.options, partial_ingestion_percent=value)
    },
    "/options": lambda flow, value: {
        "has_options": True,
        "options": FlowOptions(value.get("errorDiagnosticsEnabled"), value.get("partialIngestionPercent")),
    },
    "/transformations/1": lambda _, value: _mapping(value),
}
"""What each patch of a path does to the model of an object."""


def _mapping(transformation: Mapping[str, Any]) -> dict[str, Any]:
    params = transformation["params"]
    return {"mapping_set_id": params["mappingId"], "mapping_version": params["mappingVersion"]}


def _patched(remote_object: R, operations: Sequence[PatchOperation]) -> R:
    for operation in operations:
        remote_object = replace(  # type: ignore[type-var]
            remote_object, **_PATCHED[operation.path](remote_object, operation.value)
        )
    return remote_object


class FakeInventory(Failing):
    """What listings show of the sandbox: all that it holds, except what the index does not show yet, and own
    writes at once.
    """

    def __init__(self, timeline: Timeline, platform: FakePlatform) -> None:
        super().__init__(timeline)
        self._platform = platform
        self._own: dict[Collection, dict[str, Listed]] = {collection: {} for collection in Collection}
        self.covers_predecessors = True
        self.absences: dict[str, Absence] = {}
        """Why a read of an object is answered with 404, where it is not simply gone."""
        self.holders: dict[str, str] = {}
        """Id → the other resource that records it."""
        self.deletions: list[str] = []
        self.runs: dict[str, Run] = {}
        """Flow → the last run that ``/runs`` lists, where that is more than the flow shows."""

    def item(self, collection: Collection, remote_id: str) -> Listed | None:
        return self._view(collection).get(remote_id)

    def with_key(self, collection: Collection, key: str) -> Sequence[Listed]:
        found = [item for item in self._view(collection).values() if key_in(item.name) == key]
        return sorted(found, key=lambda item: item.created_at)

    @remote
    async def look_up(self, collection: Collection, key: str, *, lost: bool) -> Sequence[Listed]:
        return self.with_key(collection, key)

    async def ensure(self) -> None:
        if (failure := self._failure("ensure")) is not None:
            raise failure.error

    @remote
    async def absence(self, collection: Collection, remote_id: str) -> Absence:
        return self.absences.get(remote_id, Absence.GONE)

    def created(self, collection: Collection, item: Listed) -> None:
        self._own[collection][item.id] = item

    def deleted(self, remote_id: str) -> None:
        self.deletions.append(remote_id)
        for own in self._own.values():
            own.pop(remote_id, None)

    def is_built_on(self, remote_id: str) -> bool:
        views = (self._view(collection) for collection in Collection)
        return any(remote_id in item.parents for view in views for item in view.values())

    def last_run(self, flow_id: str) -> Run | None:
        flow = self._platform.flows.get(flow_id)
        return self.runs.get(flow_id) or (flow.last_run if flow else None)

    def holder_of(self, remote_id: str) -> str | None:
        return self.holders.get(remote_id)

    @remote
    async def readers_of(self, connection_id: str) -> Sequence[str]:
        sources = [
            item.id
            for item in self._view(Collection.SOURCE_CONNECTIONS).values()
            if connection_id in item.parents
        ]
        flows = self._view(Collection.FLOWS).values()
        return [flow.id for flow in flows if set(sources) & set(flow.parents)]

    def _view(self, collection: Collection) -> dict[str, Listed]:
        held = self._platform.held(collection)
        listed = [_listed(found) for found in held.values() if found.name not in self._platform.hidden_names]
        own = {remote_id: item for remote_id, item in self._own[collection].items() if remote_id in held}
        return {**own, **{item.id: item for item in listed}}


def _listed(found: Any) -> Listed:
    parents = getattr(found, "source_connection_ids", ()) + getattr(found, "target_connection_ids", ())
    if isinstance(found, SourceConnection):
        parents = (found.base_connection_id,)
    return Listed(
        id=found.id,
        etag=found.etag,
        name=found.name,
        description=found.description,
        state=found.state,
        created_at=float(found.id.rpartition("-")[2]),
        parents=parents,
        last_run=getattr(found, "last_run", None),
    )


class FakeZoho(Failing):
    """Zoho with one grant."""

    def __init__(self, timeline: Timeline) -> None:
        super().__init__(timeline)
        self.org = Organization("org-1", "zgid", "Acme", "production", "enterprise")

        self.granted: tuple[str, ...] = ()
        self.token = "1000.aaaa.bbbb"
        self.pushed: str | None = None
        self.refresh = SecretStr("1000.cccc.dddd")

    @remote
    async def access_token(self) -> SecretStr:
        return SecretStr(self.token)

    async def refresh_token(self) -> SecretStr:
        return self.refresh

    async def scopes(self) -> tuple[str, ...]:
        return self.granted

    async def is_pushed(self) -> bool | None:
        return None if self.pushed is None else self.pushed == self.token

    async def note_pushed(self, token: SecretStr) -> None:
        self.pushed = token.get_secret_value()

    @remote
    async def organization(self, environment: Environment) -> Organization:
        return self.org


class FakeAccess(Failing):
    """Hands out one Zoho and one sandbox, and remembers to whom."""

    def __init__(
        self, timeline: Timeline, zoho: FakeZoho, platform: FakePlatform, inventory: FakeInventory
    ) -> None:
        super().__init__(timeline)
        self._zoho = zoho
        self._platform = platform
        self._inventory = inventory
        self.held: dict[str, FakePlatform] = {}
        self.grants: list[tuple[DataCenter, ZohoCredentials]] = []
        self.dropped: list[str] = []

    def zoho(self, holder: str, data_center: DataCenter, credentials: ZohoCredentials) -> Zoho:
        self.grants.append((data_center, credentials))
        self._zoho.refresh = credentials.grant
        return self._zoho

    async def drop_former_grants(self, holder: str) -> None:
        self.dropped.append(f"former grants of {holder}")

    async def drop_grants(self, holder: str, *, revoke: bool) -> None:
        if (failure := self._failure("drop_grants")) is not None:
            raise failure.error
        self.dropped.append(f"grants of {holder}{', revoked' if revoke else ''}")

    async def platform(
        self, holder: str, organization: str, sandbox: str, credentials: PlatformCredentials
    ) -> Platform:
        if (failure := self._failure("platform")) is not None:
            raise failure.error
        self.held[holder] = self._platform
        return self._platform

    def inventory(self, holder: str) -> FakeInventory:
        return self._inventory

    async def held_platform(self, holder: str, sandbox: tuple[str, str] | None) -> Platform | None:
        return self.held.get(holder)


class FakeSecrets(Failing):
    """The Secrets of the cluster."""

    def __init__(self, timeline: Timeline) -> None:
        super().__init__(timeline)
        self.data: dict[tuple[str, str], dict[str, str]] = {}

    async def read(self, namespace: str, name: str) -> Mapping[str, SecretStr] | None:
        if (failure := self._failure("read")) is not None:
            raise failure.error
        data = self.data.get((namespace, name))
        return None if data is None else {key: SecretStr(value) for key, value in data.items()}


@dataclass
class View:
    """A ZohoSourceConnection as its dataflows see it."""

    spec: ZohoSourceConnectionSpec
    status: ZohoSourceConnectionStatus
    ready: bool = True
    deleting: bool = False
    uid: str = "connection-uid"
    generation: int = 1


class FakePeers:
    """The cache of the cluster's other resources."""

    def __init__(self) -> None:
        self.connections: dict[tuple[str, str], View] = {}
        self.intents: dict[tuple[str, str], list[datetime]] = {}
        """Intents of other dataflows, by slot and name."""
        self.dataflows: list[Dataflow] = []
        self.owners: dict[str, str] = {}
        """Remote id → the resource that it belongs to."""

    def connection(self, namespace: str, name: str) -> View | None:
        return self.connections.get((namespace, name))

    def intents_of_others(self, own: str, slot: str, name: str) -> Sequence[datetime]:
        return self.intents.get((slot, name), [])

    def dataflows_of(self, namespace: str, connection: str) -> Sequence[Dataflow]:
        return self.dataflows

    def owner_of(self, remote_id: str) -> str | None:
        return self.owners.get(remote_id)
