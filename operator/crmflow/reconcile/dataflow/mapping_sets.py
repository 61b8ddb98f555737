"""The mapping set of a CRMDataflow: validated before anything is written, shared between equal mappings."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from crmflow.aep.collection import Named
from crmflow.aep.data_prep import MAPPING_SETS
from crmflow.aep.errors import found
from crmflow.aep.models import FieldMapping, Flow, MappingCheck, MappingSetRef, SourceType
from crmflow.api.crmdataflow import MappingSetReference, MappingSetStatus, SchemaStatus
from crmflow.observability.redaction import sanitize
from crmflow.reconcile.core.conditions import FALSE, SUCCEEDED, TRUE, UNKNOWN
from crmflow.reconcile.core.engine import step
from crmflow.reconcile.core.outcome import PassEndedError, StalledError
from crmflow.reconcile.core.sandbox import SandboxClient
from crmflow.reconcile.dataflow.conditions import MAPPING_VALID
from crmflow.reconcile.dataflow.state import DataflowPass, Upstream
from crmflow.reconcile.dataflow.transfer_orders import ID, columns_of_files, marks_deletions
from crmflow.reconcile.external.identity import mapping_set_name
from crmflow.reconcile.external.mapping_set import (
    content_hash,
    creation,
    entries,
    is_named_in,
    is_same_mapping,
    moves_mapping,
    reads_from,
    repeated_targets,
    wanted_mapping,
)
from crmflow.reconcile.external.remote_object import body
from crmflow.reconcile.external.schema import major_version
from crmflow.reconcile.ports import Platform
from crmflow.sentences import every, some
from crmflow.transfer.declaration import DELETED_COLUMN

_MAPPED = ("spec.source.table", "spec.source.columns", "spec.target.schema")
"""What a mapping maps from and to, by the fields that only another flow can have."""
FAILURES_SHOWN = 50
"""As many as a condition's message holds in any case."""


@step(MAPPING_VALID)
async def check_mapping(
    pass_: DataflowPass, upstream: Upstream, schema: SchemaStatus, columns: Collection[str]
) -> None:
    """Platform accepts every entry of the mapping; nothing has been written yet. ``columns`` are those that
    the flow reads, or is to read.
    """
    mappings: Sequence[FieldMapping] = entries(pass_.spec.mapping or ())
    if repeated := repeated_targets(mappings):
        raise _invalid(
            f"spec.mapping maps to {some(repeated)} more than once, and a field has one value. Keep one "
            "entry for each target."
        )
    if pass_.spec.mapping_set_ref is not None:
        mappings = await _named_set(upstream, pass_.spec.mapping_set_ref, schema)
    columns = columns_of_files(pass_, columns)
    unread = [
        mapping.source
        for mapping in mappings
        if mapping.source_type is SourceType.ATTRIBUTE and reads_from(mapping.source, columns) is False
    ]
    if unread:
        raise _invalid(f"The mapping takes {some(unread)}, which the source does not read. {_way_out(pass_)}")
    _check_marks(pass_, mappings)
    checks = await _verdicts(upstream.sandbox, schema, mappings)
    failures = [
        f"{mapping.destination}: {check.message.rstrip('.') or 'refused without a reason'}"
        for mapping, check in zip(mappings, checks, strict=False)
        if not check.ok
    ]
    if failures:
        raise _invalid(
            f"Platform refuses {len(failures)} of {len(mappings)} mapping entries: "
            f"{some(failures, FAILURES_SHOWN)}."
        )


async def _verdicts(
    sandbox: SandboxClient, schema: SchemaStatus, mappings: Sequence[FieldMapping]
) -> Sequence[MappingCheck]:
    """What Platform says of each entry. That it accepts them all, others who map alike may have been told a
    moment ago. Raises RemoteError.
    """
    return await sandbox.inventory.recent(
        (MAPPING_VALID.name, content_hash(schema.id, schema.version or "", mappings)),
        lambda: sandbox.platform.validate_mapping(body(creation(schema, mappings))),
        lambda checks: all(check.ok for check in checks),
    )


@step(MAPPING_VALID)
async def check_moved_mapping(pass_: DataflowPass, upstream: Upstream) -> None:
    """Platform accepts the mapping, if the flow is to get another one than it has."""
    schema = pass_.status.schema_
    if schema is not None and moves_mapping(pass_.spec, pass_.status):
        # What a flow that exists reads is known, whatever explore shows now.
        await check_mapping(pass_, upstream, schema, pass_.status.columns)


@step(MAPPING_VALID)
async def observe_mapping(pass_: DataflowPass, upstream: Upstream, needs_replacement: Sequence[str]) -> None:
    """No more is said about the mapping of a flow that is only observed than what is known of it."""
    fields, schema = [field for field in needs_replacement if field in _MAPPED], pass_.status.schema_
    if fields:
        pass_.set_condition(
            MAPPING_VALID,
            UNKNOWN,
            "NotValidated",
            f"Not asked: the flow differs from the resource in {some(fields)}, so it is not what this "
            "mapping has to fit.",
        )
    elif schema is None or not moves_mapping(pass_.spec, pass_.status):
        pass_.set_condition(MAPPING_VALID, TRUE, SUCCEEDED, "The flow uses this mapping.")
    else:
        try:
            await check_mapping(pass_, upstream, schema, pass_.status.columns)
        except PassEndedError as refused:
            outcome = refused.outcome
            pass_.set_condition(MAPPING_VALID, FALSE, outcome.reason, outcome.message)


def _check_marks(pass_: DataflowPass, mappings: Sequence[FieldMapping]) -> None:
    """The rows of deleted records are told from others. Raises PassEndedError."""
    if not marks_deletions(pass_):
        return
    lacking = [
        column
        for column in (ID, DELETED_COLUMN)
        if not any(is_named_in(mapping.source, column) for mapping in mappings)
    ]
    if lacking:
        raise _invalid(
            f"extract.deletedRecords is Mark, and the mapping does not use {every(lacking)}: the row of a "
            f"deleted record has the columns {ID} and {DELETED_COLUMN} alone. Map them, or set it to Ignore."
        )


def _invalid(text: str) -> PassEndedError:
    return StalledError("MappingInvalid", text)


def _way_out(pass_: DataflowPass) -> str:
    if pass_.spec.source.columns is None:
        return (
            f"Correct the mapping: the flow reads all columns that Platform showed of table "
            f'"{pass_.spec.source.table}" when it was created.'
        )
    return "Add what is missing to spec.source.columns, or correct the mapping."


def remember_mapping_set(pass_: DataflowPass, upstream: Upstream) -> None:
    """Others that map alike may use the set that this dataflow uses."""
    known = pass_.status.mapping_set
    if known is not None and known.content_hash is not None:
        key = upstream.key(mapping_set_name(pass_.identity.instance, known.content_hash))
        pass_.services.mapping_sets.seen(key, MappingSetRef(known.id, known.version))


def doubt_mapping_set(pass_: DataflowPass, upstream: Upstream) -> None:
    """The set that status records may be gone, as after a reset of the sandbox."""
    known = pass_.status.mapping_set
    if known is not None and known.content_hash is not None:
        key = upstream.key(mapping_set_name(pass_.identity.instance, known.content_hash))
        pass_.services.mapping_sets.forget(key)
    pass_.record(mapping_set=None)


async def recognize_mapping_set(pass_: DataflowPass, upstream: Upstream, flow: Flow) -> None:
    """A flow that was found, or whose patch was the last thing done, may already use the set that the spec
    wants. What is ours has a name that tells; what is in the set that an adopted flow uses is read.
    """
    if not moves_mapping(pass_.spec, pass_.status) or flow.mapping_set_id is None:
        return
    in_use = MappingSetRef(flow.mapping_set_id, flow.mapping_version or 0)
    ref, wanted = pass_.spec.mapping_set_ref, wanted_mapping(pass_.spec, pass_.status.schema_)
    if ref is not None:
        if MappingSetRef(ref.id, ref.version) == in_use:
            _record(pass_, in_use, None)
        return
    name, platform = mapping_set_name(pass_.identity.instance, wanted), upstream.sandbox.platform
    if pass_.adopts:
        used = await found(platform.get(MAPPING_SETS, in_use.id, in_use.version))
        if used is None:
            pass_.services.mapping_sets.forget(upstream.key(name))
        elif is_same_mapping(used.mappings, entries(pass_.spec.mapping or ())):
            _record(pass_, in_use, wanted)
        return
    ours = await _find(platform, name)
    if ours is not None and ours.id == flow.mapping_set_id:
        _record(pass_, ours, wanted)


async def _find(platform: Platform, name: str) -> MappingSetRef | None:
    """The oldest mapping set of a name; the names that we give say what is in it."""
    hits = await platform.list(MAPPING_SETS, Named(name))
    return hits[0] if hits else None


async def _named_set(
    upstream: Upstream, ref: MappingSetReference, schema: SchemaStatus
) -> Sequence[FieldMapping]:
    """The entries of the mapping set that the spec names, which must be made for the schema (1425). Raises
    PassEndedError and RemoteError.
    """
    mapping_set = await found(upstream.sandbox.platform.get(MAPPING_SETS, ref.id, ref.version))
    if mapping_set is None:
        raise StalledError(
            "MappingSetNotFound",
            f"Mapping set {ref.id} does not exist in version {ref.version}. Check spec.mappingSetRef; "
            "IDs differ between sandboxes.",
        )
    made_for = (mapping_set.schema_id, major_version(mapping_set.content_type))
    if made_for != (schema.id, major_version(schema.version)):
        raise StalledError(
            "SchemaMismatch",
            f"Mapping set {ref.id} was made for version {made_for[1]} of schema "
            f"{sanitize(made_for[0], 200)}, the target has version {major_version(schema.version)} of "
            f"{schema.id}. Use a mapping set of the target's schema.",
        )
    return mapping_set.mappings


def _record(pass_: DataflowPass, mapping_set: MappingSetRef, content_hash: str | None) -> None:
    known = MappingSetStatus(id=mapping_set.id, version=mapping_set.version, content_hash=content_hash)
    pass_.record(mapping_set=known)
