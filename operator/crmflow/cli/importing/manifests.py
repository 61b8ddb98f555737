"""Manifests that adopt what a sandbox holds, and what can't be adopted, with the reason and the way out. A
pure function of what was read: the same contents give the same bytes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, ValidationError

from crmflow.aep.models import BaseConnection, MappingSet, ScheduleParams
from crmflow.api.crmdataflow import MAX_COLUMNS, CRMDataflowSpec, Frequency, MappingEntry
from crmflow.api.endpoint import foreign_hosts
from crmflow.api.kinds import API_VERSION, CRM_DATAFLOW, ZOHO_SOURCE_CONNECTION, Kind
from crmflow.api.zohosourceconnection import DataCenter, Environment, ZohoSourceConnectionSpec
from crmflow.cli.annotated import noted, plain, render
from crmflow.cli.importing.choices import Choices, Known
from crmflow.cli.importing.contents import Contents, FoundFlow
from crmflow.cli.importing.names import resource_name
from crmflow.observability.redaction import sanitize
from crmflow.reconcile.core.ownership import key_in, owner_in
from crmflow.reconcile.external.flow import DISABLED
from crmflow.reconcile.external.mapping_set import declared, entries, is_same_mapping
from crmflow.reconcile.extraction.names import dataflow_of
from crmflow.reconcile.sources.landing_zone import unfit
from crmflow.sentences import every
from crmflow.transfer.declaration import DELETED_COLUMN
from crmflow.zoho.datacenters import DATA_CENTERS, data_center_of

_NAME_LENGTH = 200
_USUAL_DELTA = "Modified_Time"
_LEAST_MINUTES = 15
_DRAFT = "draft"
_ENDING = (DISABLED, "disabling")
_MANAGE = (
    "Observe compares and never writes. With Manage the base connection is given the credentials of the",
    "Secret above, once and whenever they change: choose it when they are the right ones.",
)


@dataclass(frozen=True)
class Manifest:
    """A resource that adopts an object."""

    kind: Kind
    name: str
    remote_id: str
    remote_name: str
    body: Mapping[str, Any]
    """With comments."""
    head: tuple[str, ...] = ()

    @property
    def file(self) -> str:
        """The name of its file."""
        return f"{self.kind.singular}-{self.name}.yaml"

    @property
    def text(self) -> str:
        """The file."""
        return render(self.body, self.head)

    @property
    def plain(self) -> dict[str, Any]:
        """Without comments."""
        return dict(plain(self.body))


@dataclass(frozen=True)
class Refusal:
    """An object that no manifest adopts."""

    noun: str
    remote_id: str
    remote_name: str
    why: str
    way_out: str

    def __str__(self) -> str:
        return f"The {self.noun} {quoted(self.remote_name)}, {self.remote_id}, {self.why}. {self.way_out}"


@dataclass(frozen=True)
class Import:
    """All of it: connections before the dataflows that read through them, each the oldest first."""

    manifests: tuple[Manifest, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    ours: tuple[str, ...] = ()
    """What crmflow has made, as sentences: nothing is to be adopted."""


def quoted(name: str) -> str:
    """A remote name in a message."""
    return f'"{sanitize(name, _NAME_LENGTH)}"'


def manifests(contents: Contents, choices: Choices, known: Known) -> Import:
    """What adopts ``contents``."""
    return _Importer(contents, choices, known).all()


class _UnfitError(Exception):
    """``why`` an object is none that can be adopted, and the ``way_out``."""

    def __init__(self, why: str, way_out: str) -> None:
        super().__init__(why)
        self.why, self.way_out = why, way_out


@dataclass
class _Importer:
    contents: Contents
    choices: Choices
    known: Known
    _manifests: list[Manifest] = field(default_factory=list)
    _refusals: list[Refusal] = field(default_factory=list)
    _ours: list[str] = field(default_factory=list)
    _connections: dict[str, str] = field(default_factory=dict)
    """Names of resources, by the id of their base connection."""

    def __post_init__(self) -> None:
        self._connections.update(self.known.connections)
        self._taken = {kind.kind: set(self.known.names.get(kind.kind, ())) for kind in _KINDS}
        ids = (one.source.id for one in self.contents.flows if one.source)
        self._readers = Counter(ids)

    def all(self) -> Import:
        for remote in self.contents.connections:
            if self._is_for_import("base connection", remote):
                self._attempt("base connection", remote, self._connection, remote)
        for found in self.contents.flows:
            if self._is_for_import("flow", found.flow):
                self._attempt("flow", found.flow, self._dataflow, found)
        return Import(tuple(self._manifests), tuple(self._refusals), tuple(self._ours))

    def _attempt(self, noun: str, remote: Any, make: Any, given: Any) -> None:
        try:
            self._manifests.append(make(given))
        except _UnfitError as unfit_:
            self._refusals.append(Refusal(noun, remote.id, remote.name, unfit_.why, unfit_.way_out))

    def _is_for_import(self, noun: str, remote: Any) -> bool:
        """False for what bears a lookup key: it belongs to a resource, here or elsewhere."""
        if key_in(remote.name) is None:
            return True
        owner = owner_in(remote.description)
        known = {**self.known.connections, **self.known.dataflows}
        if remote.id in known:
            self._ours.append(
                f"The {noun} {remote.id} is that of {known[remote.id]}, which crmflow has made."
            )
        elif owner is None or owner.namespace != self.choices.namespace:
            self._ours.append(f"The {noun} {remote.id} belongs to {owner or 'another crmflow installation'}.")
        else:
            self._refusals.append(
                Refusal(
                    noun,
                    remote.id,
                    remote.name,
                    f"belongs to {owner}, and the namespace has no such resource",
                    f"Apply the manifest of {owner.name} as it was: it takes over what it had made. If there "
                    f"is none any more, take the bracket off the end of the {noun}'s name in Platform, and "
                    "import again.",
                )
            )
        return False

    def _name(self, kind: Kind, text: str, remote_id: str, known: Mapping[str, str]) -> str:
        """That of the resource that has the object already; else one of its own."""
        if remote_id in known:
            return known[remote_id]
        name = resource_name(text, kind.singular, remote_id, self._taken[kind.kind])
        self._taken[kind.kind].add(name)
        return name

    # Base connections

    def _connection(self, remote: BaseConnection) -> Manifest:
        if remote.state.lower() == _DRAFT:
            raise _UnfitError(
                "is a draft, which nothing reads through", "Publish it in Platform, or delete it."
            )
        data_center, where = _data_center(remote, self.choices.data_center)
        name = self._name(ZOHO_SOURCE_CONNECTION, remote.name, remote.id, self.known.connections)
        self._connections[remote.id] = name
        zoho = {
            "dataCenter": noted(data_center.value, *where),
            "environment": noted(*_environment(remote)),
            "credentialsSecretRef": noted(
                {"name": self.choices.zoho_secret},
                "Choose: the Secret with the OAuth client and the refresh token of this base connection, or",
                "of another grant for the same organization. Platform does not show which one it has.",
            ),
        }
        platform: dict[str, Any] = {
            "organization": self.choices.organization,
            "sandbox": self.choices.sandbox,
            "credentialsSecretRef": {"name": self.choices.platform_secret},
        }
        if endpoint := _endpoint(remote, data_center):
            platform["authParams"] = {"endpoint": endpoint}
        spec = {
            "connectionId": remote.id,
            "transport": "PlatformSource",
            "zoho": zoho,
            "platform": platform,
            "managementPolicy": noted("Observe", *_MANAGE),
        }
        _check(ZohoSourceConnectionSpec, spec)
        return self._manifest(ZOHO_SOURCE_CONNECTION, name, remote, spec, "base connection")

    # Flows

    def _dataflow(self, found: FoundFlow) -> Manifest:
        flow, source, target = found.flow, found.source, found.target
        _check_whole(found)
        if source is None or target is None:
            raise ValueError("a flow that is whole has both connections")
        folder = source.files.path if source.files else ""
        of_ours = dataflow_of(folder)
        connection = self._connection_of(found)
        spec: dict[str, Any] = {
            "flowId": flow.id,
            "connectionRef": connection,
            "source": _source_of_files(found, self.choices) if folder else _source(found),
            "target": {
                "schema": {"id": _with_title(target.schema_id, self.contents.schemas)},
                "dataset": {"id": _with_title(target.dataset_id, self.contents.datasets)},
            },
            **_mapping(flow.mapping_set_id or "", flow.mapping_version or 0, found.mapping),
            **_rhythm(found, folder),
        }
        if folder:
            spec["transport"] = "LandingZone"
            spec["managementPolicy"] = noted(
                "Observe",
                "Observe compares and never writes. With Manage the operator goes on writing files into the",
                f"folder {_one_line(folder)}:",
                "choose it when table and deltaColumn are the right ones.",
            )
        ingestion = _ingestion(found)
        if ingestion:
            spec["ingestion"] = ingestion
        _check(CRMDataflowSpec, spec)
        name = self._name(CRM_DATAFLOW, of_ours[1] if of_ours else flow.name, flow.id, self.known.dataflows)
        return self._manifest(CRM_DATAFLOW, name, flow, spec, "flow", self._shared(found))

    def _connection_of(self, found: FoundFlow) -> Any:
        """The ZohoSourceConnection that it reads through."""
        source = found.source
        if source is not None and source.files is None:
            name = self._connections.get(source.base_connection_id)
            if name is None:
                raise _UnfitError(*self._no_connection(source.base_connection_id))
            return {"name": name}
        names = sorted(set(self._connections.values()))
        if self.choices.connection is not None:
            return {"name": self.choices.connection}
        if len(names) != 1:
            raise _UnfitError(
                "reads files of the landing zone, and nothing in Platform names the connection that writes "
                "them",
                "Name its ZohoSourceConnection with --connection"
                + (f": {every(names)}." if names else ", once there is one."),
            )
        return noted({"name": names[0]}, "Choose: the connection whose grant reads Zoho CRM for these files.")

    def _no_connection(self, base_connection_id: str) -> tuple[str, str]:
        return (
            f"reads through base connection {base_connection_id}, which no ZohoSourceConnection of namespace "
            f'"{self.choices.namespace}" stands for',
            "What keeps that from being adopted is said above. If another namespace has it, import there.",
        )

    def _shared(self, found: FoundFlow) -> tuple[str, ...]:
        """What is worth knowing of a flow before it is managed."""
        source = found.source
        if source is None or self._readers[source.id] < 2:
            return ()
        others = [
            one.flow
            for one in self.contents.flows
            if one.source is not None and one.source.id == source.id and one.flow.id != found.flow.id
        ]
        return (
            f"Source connection {_one_line(source.id)} is also that of",
            *(f"  {quoted(other.name)}, {_one_line(other.id)}" for other in others),
            "so leave deletionPolicy out, or say Orphan: Delete would take it away from them.",
        )

    def _manifest(
        self,
        kind: Kind,
        name: str,
        remote: Any,
        spec: Mapping[str, Any],
        noun: str,
        more: Sequence[str] = (),
    ) -> Manifest:
        body = {
            "apiVersion": API_VERSION,
            "kind": kind.kind,
            "metadata": {"name": name, "namespace": self.choices.namespace},
            "spec": spec,
        }
        head = (
            f"Adopts the {noun} {quoted(remote.name)} of sandbox {self.choices.sandbox}.",
            "It keeps its name, and stays where it is when this resource is deleted.",
            *more,
        )
        return Manifest(kind, name, remote.id, remote.name, body, head)


_KINDS = (ZOHO_SOURCE_CONNECTION, CRM_DATAFLOW)


def _check(model: type[BaseModel], spec: Mapping[str, Any]) -> None:
    """What the operator could not read is no manifest. Raises _UnfitError."""
    try:
        model.model_validate(plain(spec))
    except ValidationError as error:
        field_ = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise _UnfitError(
            f"has a value that no manifest can hold: spec.{sanitize(field_, _NAME_LENGTH)}",
            "Change it in Platform, or leave this object as it is.",
        ) from None


def _one_line(text: str) -> str:
    return sanitize(text, _NAME_LENGTH)


def _with_title(object_id: str, titles: Mapping[str, str]) -> Any:
    title = titles.get(object_id)
    return noted(object_id, _one_line(title)) if title else object_id


# Base connections


def _host(url: str) -> str:
    """An address with its scheme, as it may be left out (platform.md 4.1)."""
    return url if "://" in url else f"https://{url}"


def _shown(remote: BaseConnection, name: str) -> str:
    """A parameter that is no secret, as far as Platform shows it in clear."""
    value = remote.auth_params.get(name)
    return value.strip() if isinstance(value, str) and "***" not in value else ""


def _data_center(remote: BaseConnection, chosen: DataCenter | None) -> tuple[DataCenter, tuple[str, ...]]:
    """Where the organization lives, with what is to be noted of that."""
    for name in ("accountsUrl", "endpoint"):
        found = data_center_of(_host(_shown(remote, name)))
        if found is not None:
            return found, ()
    if chosen is None:
        raise _UnfitError(
            "shows no address of Zoho's that tells its data center",
            "Name the data center with --data-center, such as EU, and import again.",
        )
    return chosen, ("Chosen with --data-center: the base connection shows no address that tells it.",)


def _environment(remote: BaseConnection) -> tuple[str, str]:
    """The environment by the endpoint's host, and how it was found."""
    host = _host(_shown(remote, "endpoint")).partition("://")[2].partition("/")[0]
    for environment in (Environment.SANDBOX, Environment.DEVELOPER):
        if host.startswith(environment.lower() + "."):
            return environment.value, f"By the endpoint, {_one_line(host)}."
    return (
        Environment.PRODUCTION.value,
        "Choose: Production, Sandbox or Developer. No base connection tells it.",
    )


def _endpoint(remote: BaseConnection, data_center: DataCenter) -> Any:
    """``endpoint``, if it is another one than the operator would give; None if there is nothing to say."""
    shown = _shown(remote, "endpoint")
    if not shown or shown.rstrip("/") == DATA_CENTERS[data_center].crm_endpoint:
        return None
    if foreign_hosts(data_center, {"endpoint": shown}):
        return None
    return shown


# Flows


def _check_whole(found: FoundFlow) -> None:
    """A flow that a CRMDataflow can stand for. Raises _UnfitError."""
    flow, source, target = found.flow, found.source, found.target
    if flow.state.lower() == _DRAFT:
        raise _UnfitError(
            "is a draft, which does not run",
            "Publish it in Platform under Sources, Dataflows, or delete it there.",
        )
    if (len(flow.source_connection_ids), len(flow.target_connection_ids)) != (1, 1):
        raise _UnfitError(
            "does not have exactly one source and one target connection",
            "Make one flow for each table in Platform, or leave it as it is.",
        )
    if source is None or target is None:
        gone = "source" if source is None else "target"
        raise _UnfitError(
            f"has lost its {gone} connection, so it does not run",
            "Delete it in Platform, and write a manifest of your own: kubectl crmflow new dataflow.",
        )
    if source.files is not None and (differences := unfit(source)):
        raise _UnfitError(
            f"reads other files than crmflow writes: {every(differences)}", "Leave it as it is, or delete it."
        )
    if flow.mapping_set_id is None:
        raise _UnfitError(
            "has no mapping set", "Give it a mapping in Platform under Sources, Dataflows, and import again."
        )


def _source(found: FoundFlow) -> dict[str, Any]:
    source = found.source
    columns = list(dict.fromkeys(source.column_names)) if source is not None else []
    given: dict[str, Any] = {"table": source.table_name if source is not None else ""}
    if columns:
        given["columns"] = columns
    return given


def _source_of_files(found: FoundFlow, choices: Choices) -> dict[str, Any]:
    """The table is nowhere in Platform, and the columns are those of the files."""
    table = choices.tables.get(found.flow.id)
    if table is None:
        columns = f", with the columns {every(found.header)}" if found.header else ""
        raise _UnfitError(
            f"reads files of the landing zone{columns}, and nothing in Platform names their table",
            f"Name it with --table {found.flow.id}=TABLE, such as --table {found.flow.id}=Contacts.",
        )
    names = [name for name in dict.fromkeys(found.header) if name != DELETED_COLUMN]
    note = "Chosen with --table: Platform knows the files alone."
    given: dict[str, Any] = {"table": noted(table, note)}
    if names:
        given["columns"] = names
    return given


def _mapping(set_id: str, version: int, known: MappingSet | None) -> dict[str, Any]:
    """The entries of the mapping set, or the set itself where a manifest can't say the same."""
    said = [declared(entry) for entry in known.mappings] if known is not None else []
    if known is not None and 0 < len(said) <= MAX_COLUMNS:
        try:
            same = is_same_mapping(known.mappings, entries([MappingEntry(**entry) for entry in said]))
        except ValidationError:
            same = False
        if same and len({entry["target"] for entry in said}) == len(said):
            return {"mapping": sorted(said, key=lambda entry: entry["target"])}
    why = (
        "Its entries can't stand here as they are"
        if known is not None
        else "Platform does not show it any more"
    )
    return {
        "mappingSetRef": noted(
            {"id": set_id, "version": version},
            f"{why}, so the mapping set is named.",
            "Put mapping in its place to have the operator keep it.",
        )
    }


def _rhythm(found: FoundFlow, folder: str) -> dict[str, Any]:
    """``deltaColumn`` and ``schedule``."""
    schedule = found.flow.schedule
    frequency = next((one for one in Frequency if one.lower() == schedule.frequency.lower()), None)
    if frequency is None:
        raise _UnfitError(
            f"has the frequency {quoted(schedule.frequency)}, which no manifest has",
            "Give it another schedule in Platform, and import again.",
        )
    if frequency is Frequency.ONCE:
        return {"schedule": dict(_schedule(frequency, schedule))}
    if not schedule.interval or (frequency is Frequency.MINUTE and schedule.interval < _LEAST_MINUTES):
        raise _UnfitError(
            f"runs every {schedule.interval or 0} {schedule.frequency}s, which no manifest may say",
            "Give it another schedule in Platform, and import again.",
        )
    return {
        "deltaColumn": {"name": _delta(found, folder)},
        "schedule": dict(_schedule(frequency, schedule)),
    }


def _schedule(frequency: Frequency, schedule: ScheduleParams) -> Iterator[tuple[str, Any]]:
    yield "frequency", frequency.value
    recurs = frequency is not Frequency.ONCE
    if recurs:
        yield "interval", schedule.interval
    if (start := _instant(schedule.start_time)) is not None:
        yield "startTime", start
    if recurs and schedule.backfill is not None:
        yield "backfill", schedule.backfill


def _instant(seconds: int | None) -> str | None:
    """A time as a manifest has it; None for one that it can't have."""
    try:
        found = datetime.fromtimestamp(seconds, UTC) if seconds and seconds > 0 else None
    except (ValueError, OverflowError, OSError):
        return None
    return found.strftime("%Y-%m-%dT%H:%M:%SZ") if found is not None and found.year < 3000 else None


def _delta(found: FoundFlow, folder: str) -> Any:
    """The column that tells changed records."""
    if not folder:
        if found.flow.delta_column is None:
            raise _UnfitError(
                "recurs without a delta column, by which changed records are told",
                "Delete it in Platform, and write a manifest of your own: kubectl crmflow new dataflow.",
            )
        return found.flow.delta_column
    note = "Choose: the date-time column by which the files were read. Platform knows the files alone."
    return noted(_USUAL_DELTA, note)


def _ingestion(found: FoundFlow) -> dict[str, Any]:
    flow = found.flow
    given: dict[str, Any] = {}
    if flow.state.lower() in _ENDING:
        given["enabled"] = noted(False, "It is disabled in Platform.")
    if flow.options.error_diagnostics_enabled is not None:
        given["errorDiagnostics"] = flow.options.error_diagnostics_enabled
    percent = flow.options.partial_ingestion_percent
    if percent is not None and 0 < percent <= 100:
        given["partialIngestionPercent"] = int(percent) if percent == int(percent) else percent
    return given
