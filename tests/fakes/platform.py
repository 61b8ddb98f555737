"""One sandbox of Platform in memory, with the verbs of the client: what unit tests stand on.

It passes the same contract suite as the emulators (``tests/contract/test_platform.py``), and is simpler where
that does not matter to who uses it: a change takes effect at once unless a test holds a flow in transition,
and what Data Prep refuses is told by the test.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar

from pydantic import SecretStr

from crmflow.aep.catalog import DATA_SETS
from crmflow.aep.collection import (
    AnyCollection,
    Collection,
    Named,
    OfFlow,
    OfSpec,
    Selection,
    StartedAfter,
    WithIds,
)
from crmflow.aep.data_prep import MAPPING_SETS
from crmflow.aep.errors import BUG, IN_TRANSITION, IN_USE, NOT_FOUND, STALE_ETAG, Meaning
from crmflow.aep.flow_service import (
    CONNECTION_SPECS,
    CONNECTIONS,
    FLOW_SPECS,
    FLOWS,
    INVENTORIED,
    RUNS,
    SOURCE_CONNECTIONS,
    TARGET_CONNECTIONS,
)
from crmflow.aep.gateway import ReadOnlyError
from crmflow.aep.landing_zone import CONNECTION_SPEC_ID as LANDING_ZONE_SPEC_ID
from crmflow.aep.models import (
    AuthSpec,
    BaseConnection,
    Column,
    ConnectionSpec,
    Created,
    DataSet,
    Flow,
    FlowOptions,
    FlowSpec,
    IdentityDescriptor,
    LandingZone,
    LandingZoneCredentials,
    LandingZoneEntry,
    LandingZoneProvider,
    Listed,
    MappingCheck,
    MappingSet,
    MappingSetRef,
    PatchOperation,
    Preview,
    Run,
    RunState,
    Sandbox,
    Schema,
    SourceConnection,
    Table,
    TargetConnection,
)
from crmflow.aep.sandboxes import SANDBOXES
from crmflow.aep.schema_registry import DESCRIPTORS, SCHEMAS
from crmflow.http.errors import ErrorClass
from crmflow.reconcile.external.target_connection import DATA_LAKE_CONNECTION_SPEC_ID
from crmflow.reconcile.sources.landing_zone_offer import FLOW_SPEC_ID as CLOUD_STORAGE_FLOW_SPEC_ID
from crmflow.reconcile.sources.landing_zone_offer import FLOW_SPEC_NAME as CLOUD_STORAGE_FLOW_SPEC_NAME
from crmflow.reconcile.sources.offer import FLOW_SPEC_NAME, ZOHO_CONNECTION_SPEC_ID
from tests.fakes.failing import Failing, Timeline, remote_error

R = TypeVar("R")
T = TypeVar("T")
L = TypeVar("L")

SCHEMA_ID = "https://ns.adobe.com/acme/schemas/contact"
DATASET_ID = "5f0c0ffee"
FLOW_SPEC_ID = "14518937-270c-4525-bdec-c2ba7cce3860"
_SETTLED = ("enabled", "disabled", "draft")
_REFUSED = Meaning(ErrorClass.TERMINAL, "RequestRefused")
_SOURCE_REFUSED = Meaning(ErrorClass.TERMINAL, "SourceRefused")
_DATASET_NOT_FOUND = Meaning(ErrorClass.TERMINAL, "DatasetNotFound")
_RUN_NOT_RETRYABLE = Meaning(ErrorClass.CONFLICT, "RunNotRetryable")
_FLOW_NOT_ENABLED = Meaning(ErrorClass.CONFLICT, "FlowNotEnabled")
_VERSION_CONFLICT = Meaning(ErrorClass.CONFLICT, "MappingVersionConflict")


class FakePlatform(Failing):
    """One sandbox: Flow Service, Data Prep, Schema Registry and Catalog, as far as the port goes. Its calls
    bear the names of operations, such as ``flows.create``.
    """

    refuses_changes = False

    def __init__(self, timeline: Timeline) -> None:
        super().__init__(timeline)
        self.sandbox_list = [Sandbox("prod", "active", "production", "VA7")]
        self.connection_specs = {
            ZOHO_CONNECTION_SPEC_ID: ConnectionSpec(
                ZOHO_CONNECTION_SPEC_ID, "zoho-crm", "1.0", (AuthSpec("Zoho OAuth", ()),)
            ),
            LANDING_ZONE_SPEC_ID: ConnectionSpec(LANDING_ZONE_SPEC_ID, "landing-zone", "1.0", ()),
        }
        self.flow_specs = {
            FLOW_SPEC_NAME: FlowSpec(
                FLOW_SPEC_ID,
                FLOW_SPEC_NAME,
                "1.0",
                (ZOHO_CONNECTION_SPEC_ID,),
                (DATA_LAKE_CONNECTION_SPEC_ID,),
            ),
            CLOUD_STORAGE_FLOW_SPEC_NAME: FlowSpec(
                CLOUD_STORAGE_FLOW_SPEC_ID,
                CLOUD_STORAGE_FLOW_SPEC_NAME,
                "1.0",
                (LANDING_ZONE_SPEC_ID,),
                (DATA_LAKE_CONNECTION_SPEC_ID,),
            ),
        }
        self.zone: LandingZone | None = LandingZone(LandingZoneProvider.AZURE, "dlz-user-container", 7)
        self.files: dict[str, Preview] = {}
        """What is in the landing zone, by paths that begin with the container."""
        self.sas_generation = 1
        self.runs: dict[str, Run] = {}
        """By their ids, the latest last."""
        self.batches: dict[str, list[str]] = {}
        """What each was made from."""
        self.connections: dict[str, BaseConnection] = {}
        self.source_connections: dict[str, SourceConnection] = {}
        self.target_connections: dict[str, TargetConnection] = {}
        self.flows: dict[str, Flow] = {}
        self.mapping_sets: dict[str, MappingSet] = {}
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
        """What the next reads of a flow show, before it shows its own state; it is in transition as long as
        the next one is.
        """
        self.hidden_names: set[str] = set()
        """Names that the index does not show yet: their objects are in no listing."""
        self._ids = 0
        self._etags = 0
        self._made: set[str] = set()

    def read_only(self) -> FakePlatform:
        """The same sandbox without writes."""
        view = object.__new__(_ReadOnlyPlatform)
        view.__dict__ = self.__dict__
        return view

    # The five verbs

    async def list(self, collection: Collection[Any, L], selection: Selection = None) -> Sequence[L]:
        async def perform() -> Any:
            return self._listing(collection, selection)

        return await self._call(collection, "list", (selection,), perform, changes=False)

    async def get(self, collection: Collection[T, Any], object_id: str, version: int | None = None) -> T:
        async def perform() -> Any:
            return self._object(collection, object_id, version)

        return await self._call(collection, "get", (object_id,), perform, changes=False)

    async def create(self, collection: AnyCollection, body: Mapping[str, Any]) -> Created:
        async def perform() -> Created:
            return self._create(collection, body)

        return await self._call(collection, "create", (body,), perform)

    async def patch(
        self,
        collection: AnyCollection,
        object_id: str,
        etag: str | None,
        operations: Sequence[PatchOperation],
    ) -> Created:
        async def perform() -> Created:
            objects = self.objects(collection)
            found = _found(objects, object_id)
            self._refuse_in_transition(found)
            if collection is SCHEMAS:
                objects[object_id] = _patched(found, operations)
                return Created(object_id, version=objects[object_id].major_version)
            _match(found, etag)
            objects[object_id] = replace(_patched(found, operations), etag=self._new_etag())
            return Created(object_id, objects[object_id].etag)

        return await self._call(collection, "patch", (object_id, etag, operations), perform)

    async def delete(self, collection: AnyCollection, object_id: str) -> None:
        async def perform() -> None:
            objects = self.objects(collection)
            found = _found(objects, object_id)
            self._refuse_in_transition(found)
            if users := self._users(object_id):
                raise _refusal(IN_USE, f"{object_id} is used by {users[0]}")
            del objects[object_id]

        await self._call(collection, "delete", (object_id,), perform)

    # Everything else

    async def test_connection(self, connection_id: str) -> bool:
        async def perform() -> bool:
            _found(self.connections, connection_id)
            return self.test_succeeds

        return await self._call(CONNECTIONS, "test", (connection_id,), perform, changes=False)

    async def tables(self, connection_id: str) -> Sequence[Table]:
        async def perform() -> Sequence[Table]:
            _found(self.connections, connection_id)
            return self.table_list

        return await self._call(CONNECTIONS, "exploreRoot", (connection_id,), perform, changes=False)

    async def columns(self, connection_id: str, table_path: str) -> Sequence[Column]:
        async def perform() -> Sequence[Column]:
            _found(self.connections, connection_id)
            return self.column_list

        return await self._call(
            CONNECTIONS, "exploreTable", (connection_id, table_path), perform, changes=False
        )

    async def set_flow_state(self, flow_id: str, enable: bool, etag: str | None) -> Created:
        async def perform() -> Created:
            flow, state = _found(self.flows, flow_id), "enabled" if enable else "disabled"
            self._refuse_in_transition(flow)
            if etag is not None:
                _match(flow, etag)
            if flow.state != state:
                flow = self.flows[flow_id] = replace(flow, state=state, etag=self._new_etag())
            return Created(flow_id, flow.etag)

        return await self._call(FLOWS, "enable" if enable else "disable", (flow_id, etag), perform)

    async def retry_run(self, run_id: str) -> Created:
        async def perform() -> Created:
            run = _found(self.runs, run_id)
            if _found(self.flows, run.flow_id).state != "enabled":
                raise _refusal(_FLOW_NOT_ENABLED, "The flow must be enabled")
            is_empty = run.metrics is not None and run.metrics.records_written == 0
            if run.state != RunState.FAILED and not (run.state == RunState.SUCCESS and is_empty):
                raise _refusal(_RUN_NOT_RETRYABLE, f"The state is {run.state}")
            self._ids += 1
            made = Run(f"run-{self._ids}", run.flow_id, RunState.QUEUED, None, None, window=run.window)
            self.runs[made.id] = made
            return Created(made.id, self._new_etag())

        return await self._call(RUNS, "retry", (run_id,), perform)

    async def start_run(
        self, flow_id: str, at: float, window: tuple[datetime, datetime], delta_column: str
    ) -> Created:
        async def perform() -> Created:
            if _found(self.flows, flow_id).state != "enabled":
                raise _refusal(_FLOW_NOT_ENABLED, "The flow must be enabled")
            self._ids += 1
            begin, end = (time.timestamp() for time in window)
            made = Run(f"run-{self._ids}", flow_id, RunState.QUEUED, None, None, window=(begin, end))
            self.runs[made.id] = made
            return Created(made.id, self._new_etag())

        return await self._call(RUNS, "start", (flow_id, window, delta_column), perform)

    async def batch_files(self, batch_id: str) -> Sequence[str]:
        async def perform() -> Sequence[str]:
            return tuple(_found(self.batches, batch_id))

        return await self.run("batches.files", (batch_id,), perform)

    async def validate_mapping(self, body: Mapping[str, Any]) -> Sequence[MappingCheck]:
        async def perform() -> Sequence[MappingCheck]:
            destinations = [mapping["destination"] for mapping in body["mappings"]]
            refused = self.mapping_verdicts
            return [MappingCheck(name not in refused, refused.get(name, "")) for name in destinations]

        return await self._call(MAPPING_SETS, "validate", (body,), perform, changes=False)

    async def landing_zone(self) -> LandingZone:
        async def perform() -> LandingZone:
            if self.zone is None:
                raise _refusal(NOT_FOUND, "There is no landing zone")
            return self.zone

        return await self.run("landingZone.get", (), perform)

    async def landing_zone_credentials(self) -> LandingZoneCredentials:
        async def perform() -> LandingZoneCredentials:
            assert self.zone is not None
            uri = f"https://account.example/{self.zone.container}?sig=signature-{self.sas_generation}"
            return LandingZoneCredentials(self.zone.container, "account", SecretStr(uri), None)

        return await self.run("landingZone.credentials", (), perform)

    async def landing_zone_entries(self, folder: str | None = None) -> Sequence[LandingZoneEntry]:
        assert self.zone is not None
        start = f"{folder or self.zone.container}/"

        async def perform() -> Sequence[LandingZoneEntry]:
            inside = [path.removeprefix(start).split("/") for path in self.files if path.startswith(start)]
            found = {f"{start}{first}": bool(rest) for first, *rest in inside}
            return [LandingZoneEntry(path[len(start) :], path, found[path]) for path in sorted(found)]

        operation = "exploreFolder" if folder else "exploreRoot"
        return await self._call(CONNECTION_SPECS, operation, (folder,), perform, changes=False)

    async def landing_zone_file(self, path: str) -> Preview:
        async def perform() -> Preview:
            if path not in self.files:
                raise _refusal(_SOURCE_REFUSED, "The specified path does not exist")
            return self.files[path]

        return await self._call(CONNECTION_SPECS, "exploreFile", (path,), perform, changes=False)

    async def _call(
        self,
        collection: AnyCollection,
        operation: str,
        arguments: tuple[Any, ...],
        perform: Callable[[], Awaitable[R]],
        *,
        changes: bool = True,
    ) -> R:
        call = f"{collection.name}.{operation}"
        if changes and self.refuses_changes:
            raise ReadOnlyError(call)
        return await self.run(call, arguments, perform)

    # What is held

    def objects(self, collection: AnyCollection) -> dict[str, Any]:
        """The objects of ``collection`` by id."""
        collections: dict[AnyCollection, dict[str, Any]] = {
            CONNECTION_SPECS: self.connection_specs,
            CONNECTIONS: self.connections,
            SOURCE_CONNECTIONS: self.source_connections,
            TARGET_CONNECTIONS: self.target_connections,
            FLOWS: self.flows,
            SCHEMAS: self.schemas,
            DATA_SETS: self.datasets,
        }
        return collections[collection]

    @property
    def counts(self) -> tuple[int, int, int, int]:
        """How many connections, source connections, target connections and flows there are that were created
        here; those that a test placed are not counted.
        """
        connections, sources, targets, flows = (
            len(self._made & set(self.objects(collection))) for collection in INVENTORIED
        )
        return connections, sources, targets, flows

    def listed(self, collection: AnyCollection) -> dict[str, Listed]:
        """What listings show of a collection of Flow Service: all but what the index does not show yet."""
        held = self.objects(collection).values()
        return {found.id: _listed(found) for found in held if found.name not in self.hidden_names}

    def _listing(self, collection: AnyCollection, selection: Selection) -> Any:
        if collection is SANDBOXES:
            return self.sandbox_list
        if collection is DESCRIPTORS:
            return [IdentityDescriptor(schema_id, True) for schema_id in self.identities]
        match selection:
            case OfSpec(spec_id) if collection in INVENTORIED:
                held = self.objects(collection)
                shown = self.listed(collection).values()
                return sorted(
                    (item for item in shown if _spec_id(held[item.id]) == spec_id),
                    key=lambda item: item.created_at,
                )
            case WithIds(ids) if collection is RUNS:
                return [self.runs[run_id] for run_id in ids if run_id in self.runs]
            case OfFlow(flow_id, time):
                return [run for run in self._begun_after(time) if run.flow_id == flow_id]
            case StartedAfter(time):
                return self._begun_after(time)
            case WithIds(ids) if collection in INVENTORIED:
                return [item for item in self.listed(collection).values() if item.id in ids]
            case Named(name):
                return [] if name in self.hidden_names else self._named(collection, name)
        raise NotImplementedError(f"{collection} by {selection}")

    def _begun_after(self, time: float) -> list[Run]:
        runs = reversed(self.runs.values())
        return [run for run in runs if run.started_at is not None and run.started_at > time]

    def _named(self, collection: AnyCollection, name: str) -> Any:
        if collection is FLOW_SPECS:
            return [spec for spec in self.flow_specs.values() if spec.name == name]
        if collection is MAPPING_SETS:
            return [MappingSetRef(known, 0) for known, text in self.mapping_set_names.items() if text == name]
        if collection is SCHEMAS:
            return [
                replace(schema, description="", profile_enabled=False)
                for schema in self.schemas.values()
                if schema.title == name
            ]
        assert collection is DATA_SETS
        return [dataset for dataset in self.datasets.values() if dataset.name == name]

    def _object(self, collection: AnyCollection, object_id: str, version: int | None) -> Any:
        if collection is MAPPING_SETS:
            own = {f"{set_id}/0": known for set_id, known in self.mapping_sets.items()}
            return _found({**own, **self.foreign_mapping_sets}, f"{object_id}/{version}")
        found = _found(self.objects(collection), object_id)
        if collection is FLOWS and self.flow_states:
            return replace(found, state=self.flow_states.pop(0))
        return found

    def _create(self, collection: AnyCollection, body: Mapping[str, Any]) -> Created:
        self._check(collection, body)
        if collection is DESCRIPTORS:
            schema_id = body["xdm:sourceSchema"]
            self.identities[schema_id] = (body["xdm:sourceProperty"], body["xdm:namespace"])
            return Created(f"descriptor of {schema_id}")
        self._ids += 1
        object_id = f"{_PREFIXES[collection]}-{self._ids}"
        if collection is MAPPING_SETS:
            self.mapping_sets[object_id] = MAPPING_SETS.model(body)
            self.mapping_set_names[object_id] = body["name"]
            return Created(object_id, version=0)
        if collection is SCHEMAS:
            object_id = f"https://ns.adobe.com/acme/schemas/{object_id}"
            added = {"$id": object_id, "meta:altId": "alt", "version": "1.0"}
            self.schemas[object_id] = SCHEMAS.model({**body, **added})
            return Created(object_id, version=1)
        if collection is DATA_SETS:
            object_id = object_id.replace("-", "")
            self.datasets[object_id] = DATA_SETS.model({**body, "id": object_id})
            return Created(object_id)
        added = {"id": object_id, "etag": self._new_etag(), "state": "enabled"}
        self.objects(collection)[object_id] = collection.model({**body, **added})
        self._made.add(object_id)
        return Created(object_id, added["etag"])

    def _check(self, collection: AnyCollection, body: Mapping[str, Any]) -> None:
        """Refuse a body that refers to what is not there, or may not be referred to."""
        if collection is DESCRIPTORS:
            _found(self.schemas, body["xdm:sourceSchema"])
            if body["xdm:sourceSchema"] in self.identities:
                raise _refusal(_REFUSED, "The schema has a primary identity already")
        if collection is DATA_SETS:
            schema = self.schemas.get(body["schemaRef"]["id"])
            if schema is None:
                raise _refusal(_REFUSED, "There is no such schema")
            if "tags" in body and not schema.profile_enabled:
                raise _refusal(_REFUSED, "The schema is not enabled for Profile")
        if collection is SOURCE_CONNECTIONS and body["connectionSpec"]["id"] != LANDING_ZONE_SPEC_ID:
            _found(self.connections, body["baseConnectionId"])
        if collection is TARGET_CONNECTIONS and body["params"]["dataSetId"] not in self.datasets:
            raise _refusal(_DATASET_NOT_FOUND, "There is no such dataset")
        if collection is FLOWS:
            self._check_flow(FLOWS.model(body))

    def _check_flow(self, flow: Flow) -> None:
        parts = {
            **dict.fromkeys(flow.source_connection_ids, SOURCE_CONNECTIONS),
            **dict.fromkeys(flow.target_connection_ids, TARGET_CONNECTIONS),
        }
        for part, collection in parts.items():
            _found(self.objects(collection), part)
            if users := self._users(part):
                raise _refusal(BUG, f"{part} belongs to flow {users[0]}")
        known = {*self.foreign_mapping_sets, *(f"{set_id}/0" for set_id in self.mapping_sets)}
        if f"{flow.mapping_set_id}/{flow.mapping_version}" not in known:
            raise _refusal(
                _VERSION_CONFLICT, f"There is no mapping set {flow.mapping_set_id} of that version"
            )

    def _users(self, object_id: str) -> list[str]:
        """The flows that keep an object from being deleted."""
        built_on = {
            object_id,
            *(s.id for s in self.source_connections.values() if s.base_connection_id == object_id),
        }
        return [
            flow.id
            for flow in self.flows.values()
            if built_on & {*flow.source_connection_ids, *flow.target_connection_ids}
        ]

    def _refuse_in_transition(self, found: Any) -> None:
        if isinstance(found, Flow):
            state = self.flow_states[0] if self.flow_states else found.state
            if state.lower() not in _SETTLED:
                raise _refusal(IN_TRANSITION, f"The state is {state}")

    def _new_etag(self) -> str:
        self._etags += 1
        return f"etag-{self._etags}"


class _ReadOnlyPlatform(FakePlatform):
    refuses_changes = True


_PREFIXES: dict[AnyCollection, str] = {
    CONNECTIONS: "bc",
    SOURCE_CONNECTIONS: "sc",
    TARGET_CONNECTIONS: "tc",
    FLOWS: "flow",
    MAPPING_SETS: "ms",
    SCHEMAS: "schema",
    DATA_SETS: "dataset",
}
"""What the ids of each collection begin with."""


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
    "/transformations/0": lambda flow, value: _transformed(flow, 0, value),
    "/transformations/1": lambda flow, value: _transformed(flow, 1, value),
    "/meta:immutableTags": lambda schema, value: {
        "profile_enabled": "union" in value,
        "version": _next_minor(schema.version),
    },
}
"""What each patch of a path does to the model of an object."""


def _transformed(flow: Flow, index: int, value: Mapping[str, Any]) -> dict[str, Any]:
    transformations = (*flow.transformations[:index], value, *flow.transformations[index + 1 :])
    params = value["params"]
    return {
        "transformations": transformations,
        "mapping_set_id": params["mappingId"],
        "mapping_version": params["mappingVersion"],
    }


def _next_minor(version: str) -> str:
    major, minor = version.split(".")
    return f"{major}.{int(minor) + 1}"


def _patched(remote_object: R, operations: Sequence[PatchOperation]) -> R:
    for operation in operations:
        remote_object = replace(  # type: ignore[type-var]
            remote_object, **_PATCHED[operation.path](remote_object, operation.value)
        )
    return remote_object


def _refusal(meaning: Meaning, message: str) -> Exception:
    return remote_error(meaning.error_class, meaning.reason, message, advice=meaning.advice)


def _found(objects: Mapping[str, R], object_id: str) -> R:
    if object_id not in objects:
        raise _refusal(NOT_FOUND, f"{object_id} does not exist")
    return objects[object_id]


def _match(found: Any, etag: str | None) -> None:
    if found.etag != etag:
        raise _refusal(STALE_ETAG, f"{found.id} has another version")


def _spec_id(found: Any) -> str:
    return found.flow_spec_id if isinstance(found, Flow) else found.connection_spec_id


def _listed(found: Any) -> Listed:
    parents = getattr(found, "source_connection_ids", ()) + getattr(found, "target_connection_ids", ())
    if isinstance(found, SourceConnection):
        parents = tuple(filter(None, [found.base_connection_id]))
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
