"""The steps that make a CRMDataflow true, in their order."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TypeVar

from crmflow.aep.models import Column, DataSet
from crmflow.api.crmdataflow import DatasetStatus, FlowStatus, SchemaStatus
from crmflow.reconcile import reach
from crmflow.reconcile.dataflow import runs
from crmflow.reconcile.dataflow.mapping import content_type, entries
from crmflow.reconcile.dataflow.state import DataflowPass
from crmflow.reconcile.engine import together
from crmflow.reconcile.outcome import DONE, Outcome, stalled, waiting
from crmflow.transport.errors import ErrorClass, RemoteError

SETTLED_STATES = frozenset({"enabled", "disabled"})
"""Every other state of a flow is on its way to one of these (platform.md 4.4)."""
NAMES_SHOWN = 8

T = TypeVar("T")


async def find_connection(pass_: DataflowPass) -> Outcome:
    """The connection exists and is Ready, or is paused and was Ready before, and Platform can be reached
    through its credential.
    """
    name = pass_.spec.connection_ref.name
    view = pass_.services.peers.connection(pass_.identity.namespace, name)
    if view is None:
        return waiting(
            "ConnectionNotFound",
            f'ZohoSourceConnection "{name}" does not exist in namespace "{pass_.identity.namespace}". '
            "Create it, or correct "
            "spec.connectionRef.",
        )
    # The last step of a connection counts the tables: without a count it has never been Ready.
    serves = view.ready or (view.spec.paused and view.status.tables is not None)
    if not serves or view.status.base_connection is None:
        return waiting(
            "ConnectionNotReady", f'ZohoSourceConnection "{name}" is not Ready; its conditions say why.'
        )
    pass_.connection_view = view
    return await reach.reach_platform(pass_, name, view.spec)


async def check_source(pass_: DataflowPass) -> Outcome:
    """Table, columns and delta column exist, as Platform's explore shows them."""
    if not pass_.creates:
        return DONE
    source = pass_.spec.source
    connection = pass_.connection.status.base_connection
    if connection is None:
        raise RuntimeError("a Ready connection has a base connection")
    tables = await _found(pass_.platform.tables(connection.id))
    if tables is None:
        return waiting(
            "ConnectionNotReady",
            f"Base connection {connection.id} is gone; waiting until its resource has made it anew.",
        )
    table = next((table for table in tables if source.table in (table.name, table.path)), None)
    if table is None:
        return stalled(
            "TableNotFound",
            f'Platform sees no table "{source.table}" in Zoho CRM. Tables go by the API names of modules; '
            "there are "
            f"{_some([table.name for table in tables])}.",
        )
    columns = {column.name: column for column in await pass_.platform.columns(connection.id, table.path)}
    wanted = source.columns or tuple(columns)
    missing = [name for name in wanted if name not in columns]
    if missing:
        return stalled(
            "ColumnNotFound",
            f'Table "{source.table}" has no column {_some(missing)}. It has {_some(list(columns))}.',
        )
    pass_.columns = tuple(columns[name] for name in wanted)
    delta = pass_.spec.delta_column
    return _check_delta_column(source.table, delta.name, columns) if delta else DONE


async def check_target(pass_: DataflowPass) -> Outcome:
    """Schema and dataset exist, and the dataset has that schema in the same major version."""
    if not pass_.creates:
        return DONE
    target = pass_.spec.target
    schema, dataset = await together(
        _found(pass_.platform.schema(target.schema_.id)), _found(pass_.platform.dataset(target.dataset.id))
    )
    sandbox = pass_.connection.spec.platform.sandbox
    if schema is None:
        return stalled(
            "SchemaNotFound",
            f'Schema {target.schema_.id} does not exist in sandbox "{sandbox}". Check '
            "spec.target.schema.id; ids differ between "
            "sandboxes.",
        )
    if dataset is None:
        return stalled(
            "DatasetNotFound",
            f'Dataset {target.dataset.id} does not exist in sandbox "{sandbox}", or has expired. Check '
            "spec.target.dataset.id.",
        )
    mismatch = _schema_mismatch(schema.id, schema.major_version, dataset)
    if mismatch:
        return stalled("SchemaMismatch", mismatch)
    pass_.schema = schema
    pass_.record(
        schema_=SchemaStatus(id=schema.id, version=content_type(schema)), dataset=DatasetStatus(id=dataset.id)
    )
    return DONE


async def validate_mapping(pass_: DataflowPass) -> Outcome:
    """Platform accepts every entry of the mapping; nothing has been created yet."""
    if not pass_.creates or pass_.schema is None:
        return DONE
    columns = {column.name for column in pass_.columns}
    unread = [
        item.source for item in pass_.spec.mapping if item.source is not None and item.source not in columns
    ]
    if unread:
        return stalled(
            "MappingInvalid",
            f"The mapping takes {_some(unread)}, which the source does not read. Add it to "
            "spec.source.columns, or correct the "
            "mapping.",
        )
    mappings = entries(pass_.spec.mapping)
    checks = await pass_.platform.validate_mapping(pass_.schema.id, content_type(pass_.schema), mappings)
    failures = [
        f"{mapping.destination}: {check.message or 'refused without a reason'}"
        for mapping, check in zip(mappings, checks, strict=False)
        if not check.ok
    ]
    if failures:
        return stalled(
            "MappingInvalid",
            f"Platform refuses {len(failures)} of {len(mappings)} mapping entries: {_some(failures)}.",
        )
    return DONE


async def settle(pass_: DataflowPass) -> Outcome:
    """The flow is enabled, or disabled if the spec says so; transitions are waited for, never fought."""
    if pass_.flow_id is None:
        raise RuntimeError("the flow is created first")
    flow = pass_.flow or await pass_.platform.flow(pass_.flow_id)
    pass_.flow = flow
    state = (flow.state or "").lower()
    pass_.record(flow=FlowStatus(id=flow.id, state=flow.state))
    wanted = "enabled" if pass_.spec.ingestion.enabled else "disabled"
    if state == wanted:
        return DONE
    if state in SETTLED_STATES:
        await pass_.platform.set_flow_state(flow.id, pass_.spec.ingestion.enabled, flow.etag)
    return waiting("FlowSettling", f"Waiting for Platform to have the flow {wanted}.", transition=True)


async def tell_runs(pass_: DataflowPass) -> Outcome:
    """The last run is in status, and whether the flow runs as it should."""
    runs.tell(pass_)
    return DONE


def _check_delta_column(table: str, name: str, columns: dict[str, Column]) -> Outcome:
    dates = [column.name for column in columns.values() if column.is_date]
    if name not in columns:
        return stalled(
            "DeltaColumnNotFound",
            f'Table "{table}" has no column "{name}" to tell changed records by. It has the date-time '
            f"columns {_some(dates)}.",
        )
    if name not in dates:
        return stalled(
            "DeltaColumnNotDateTime",
            f'Column "{name}" of table "{table}" holds no date and time, so it can\'t tell changed records. '
            "There are "
            f"{_some(dates)}.",
        )
    return DONE


def _schema_mismatch(schema_id: str, major_version: int, dataset: DataSet) -> str | None:
    """Platform refuses a flow unless both name the same schema and version (platform.md 2.3, 1425)."""
    if dataset.schema_id != schema_id:
        return (
            f"Dataset {dataset.id} has schema {dataset.schema_id}, spec.target.schema.id is {schema_id}. "
            "Use the dataset's schema, "
            "or another dataset."
        )
    ours, theirs = str(major_version), _major(dataset.content_type)
    if theirs is not None and ours != theirs:
        return (
            f"Dataset {dataset.id} has version {theirs} of its schema, the schema is at version {ours}. Use "
            "a dataset of the same "
            "version."
        )
    return None


def _major(schema_content_type: str) -> str | None:
    """The major version in ``…; version=1`` or ``…;version=1.3``; spellings differ (platform.md 16.1, 20)."""
    _, found, version = schema_content_type.replace(" ", "").partition("version=")
    return version.split(".")[0] if found else None


async def _found(call: Awaitable[T]) -> T | None:
    try:
        return await call
    except RemoteError as error:
        if error.error_class is ErrorClass.NOT_FOUND:
            return None
        raise


def _some(names: list[str]) -> str:
    """A list for a sentence, cut where it would flood it."""
    if not names:
        return "none"
    more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    return ", ".join(names[:NAMES_SHOWN]) + more
