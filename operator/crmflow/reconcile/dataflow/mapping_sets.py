"""The mapping set of a CRMDataflow: validated before anything is written, shared between equal mappings."""

from __future__ import annotations

from collections.abc import Sequence

from crmflow.aep.models import FieldMapping, Flow, MappingSetRef, SourceType
from crmflow.api.crmdataflow import MappingSetReference, MappingSetStatus, SchemaStatus
from crmflow.observability.redaction import sanitise
from crmflow.reconcile.conditions import FALSE, SUCCEEDED, TRUE, UNKNOWN
from crmflow.reconcile.dataflow.conditions import MAPPING_VALID
from crmflow.reconcile.dataflow.desired import unpatchable
from crmflow.reconcile.dataflow.mapping import entries, is_same_mapping, known_mapping, wanted_mapping
from crmflow.reconcile.dataflow.state import DataflowPass
from crmflow.reconcile.dataflow.text import some
from crmflow.reconcile.dataflow.values import major_version
from crmflow.reconcile.identity import Slot, mapping_set_name
from crmflow.reconcile.outcome import DONE, Outcome, stalled
from crmflow.reconcile.remote import found
from crmflow.transport.errors import RemoteError

_MAPPED = ("spec.source.table", "spec.source.columns", "spec.target.schema")
"""What a mapping maps from and to, as :func:`unpatchable` names it."""
FAILURES_SHOWN = 50
"""As many as a condition's message holds in any case."""


def moves_mapping(pass_: DataflowPass) -> bool:
    """True unless the flow's mapping set, as far as is known, is the one that the spec wants."""
    return known_mapping(pass_) != wanted_mapping(pass_)


async def validate_mapping(pass_: DataflowPass) -> Outcome:
    """Platform accepts every entry of a mapping that is new; nothing has been written yet. Of a flow that is
    only observed it is told, as of everything that differs.
    """
    if pass_.observes:
        await _observe(pass_)
        return DONE
    return await _validate(pass_) if pass_.creates or moves_mapping(pass_) else DONE


async def _observe(pass_: DataflowPass) -> None:
    """Say no more about the mapping than what is known of it."""
    fields = [field for field in unpatchable(pass_, pass_.remotes[Slot.FLOW]) if field in _MAPPED]
    if fields:
        pass_.find(
            MAPPING_VALID,
            UNKNOWN,
            "NotValidated",
            f"Not asked: the flow differs from the resource in {some(fields)}, so it is not what this "
            "mapping has to fit.",
        )
    elif not moves_mapping(pass_):
        pass_.find(MAPPING_VALID, TRUE, SUCCEEDED, "The flow uses this mapping.")
    elif not (outcome := await _validate(pass_)).is_done:
        pass_.find(MAPPING_VALID, FALSE, outcome.reason, outcome.message)


async def _validate(pass_: DataflowPass) -> Outcome:
    schema, mappings = _schema(pass_), entries(pass_.spec.mapping or ())
    if pass_.spec.mapping_set_ref is not None:
        named = await _named_set(pass_, pass_.spec.mapping_set_ref, schema)
        if isinstance(named, Outcome):
            return named
        mappings = list(named)
    columns = {column.name for column in pass_.columns}
    unread = [
        mapping.source
        for mapping in mappings
        if mapping.source_type is SourceType.ATTRIBUTE and mapping.source.partition(".")[0] not in columns
    ]
    if unread:
        return stalled(
            "MappingInvalid",
            f"The mapping takes {some(unread)}, which the source does not read. Add it to "
            "spec.source.columns, or correct the mapping.",
        )
    checks = await pass_.platform.validate_mapping(schema.id, schema.version, mappings)
    failures = [
        f"{mapping.destination}: {check.message or 'refused without a reason'}"
        for mapping, check in zip(mappings, checks, strict=False)
        if not check.ok
    ]
    if failures:
        return stalled(
            "MappingInvalid",
            f"Platform refuses {len(failures)} of {len(mappings)} mapping entries: "
            f"{some(failures, FAILURES_SHOWN)}.",
        )
    return DONE


def remember_mapping_set(pass_: DataflowPass) -> None:
    """Others that map alike may use the set that this dataflow uses."""
    known = pass_.status.mapping_set
    if known is not None and known.content_hash is not None:
        key = _key(pass_, mapping_set_name(pass_.identity.instance, known.content_hash))
        pass_.services.mapping_sets.seen(key, MappingSetRef(known.id, known.version))


def doubt_mapping_set(pass_: DataflowPass) -> None:
    """The set that status records may be gone, as after a reset of the sandbox."""
    known = pass_.status.mapping_set
    if known is not None and known.content_hash is not None:
        key = _key(pass_, mapping_set_name(pass_.identity.instance, known.content_hash))
        pass_.services.mapping_sets.forget(key)
    pass_.record(mapping_set=None)


async def ensure_mapping_set(pass_: DataflowPass, *, is_new: bool = False) -> MappingSetRef:
    """The mapping set that the spec wants, found or created, and recorded. Raises RemoteError.

    ``is_new``: no dataflow of this name was here before, so that a set of its own is not looked for.
    """
    ref, known = pass_.spec.mapping_set_ref, pass_.status.mapping_set
    if known is not None and not moves_mapping(pass_):
        return MappingSetRef(known.id, known.version)
    if ref is not None:
        return _record(pass_, MappingSetRef(ref.id, ref.version), None)
    schema, wanted = _schema(pass_), wanted_mapping(pass_)
    name = mapping_set_name(pass_.identity.instance, wanted)
    names, key = pass_.services.mapping_sets, _key(pass_, name)
    async with names.lock(key):
        found_set = names.known(key)
        if found_set is None and (not is_new or names.is_doubted(key)):
            found_set = await pass_.platform.find_mapping_set(name)
        if found_set is None:
            mappings = entries(pass_.spec.mapping or ())
            try:
                found_set = await pass_.platform.create_mapping_set(name, schema.id, schema.version, mappings)
            except RemoteError:
                names.forget(key)
                raise
        names.created(key, found_set)
    return _record(pass_, found_set, wanted)


async def recognise_mapping_set(pass_: DataflowPass, flow: Flow) -> None:
    """A flow that was found, or whose patch was the last thing done, may already use the set that the spec
    wants. What is ours has a name that tells; what is in the set that an adopted flow uses is read.
    """
    if not moves_mapping(pass_) or flow.mapping_set_id is None:
        return
    in_use = MappingSetRef(flow.mapping_set_id, flow.mapping_version or 0)
    ref, wanted = pass_.spec.mapping_set_ref, wanted_mapping(pass_)
    if ref is not None:
        if MappingSetRef(ref.id, ref.version) == in_use:
            _record(pass_, in_use, None)
        return
    if pass_.adopts:
        used = await found(pass_.platform.mapping_set(in_use))
        if used is None:
            pass_.services.mapping_sets.forget(_key(pass_, mapping_set_name(pass_.identity.instance, wanted)))
        elif is_same_mapping(used.mappings, entries(pass_.spec.mapping or ())):
            _record(pass_, in_use, wanted)
        return
    ours = await pass_.platform.find_mapping_set(mapping_set_name(pass_.identity.instance, wanted))
    if ours is not None and ours.id == flow.mapping_set_id:
        _record(pass_, ours, wanted)


async def _named_set(
    pass_: DataflowPass, ref: MappingSetReference, schema: SchemaStatus
) -> Sequence[FieldMapping] | Outcome:
    """The entries of the mapping set that the spec names, which must be made for the schema (1425)."""
    mapping_set = await found(pass_.platform.mapping_set(MappingSetRef(ref.id, ref.version)))
    if mapping_set is None:
        return stalled(
            "MappingSetNotFound",
            f"Mapping set {ref.id} does not exist in version {ref.version}. Check spec.mappingSetRef; IDs "
            "differ between sandboxes.",
        )
    made_for = (mapping_set.schema_id, major_version(mapping_set.content_type))
    if made_for != (schema.id, major_version(schema.version)):
        return stalled(
            "SchemaMismatch",
            f"Mapping set {ref.id} was made for version {made_for[1]} of schema "
            f"{sanitise(made_for[0], 200)}, the target has version {major_version(schema.version)} of "
            f"{schema.id}. Use a mapping set of the target's schema.",
        )
    return mapping_set.mappings


def _record(pass_: DataflowPass, mapping_set: MappingSetRef, content_hash: str | None) -> MappingSetRef:
    pass_.record(
        mapping_set=MappingSetStatus(
            id=mapping_set.id, version=mapping_set.version, content_hash=content_hash
        )
    )
    return mapping_set


def _key(pass_: DataflowPass, name: str) -> tuple[str, str, str]:
    platform = pass_.connection.spec.platform
    return platform.organization, platform.sandbox, name


def _schema(pass_: DataflowPass) -> SchemaStatus:
    if pass_.status.schema_ is None:
        raise RuntimeError("the schema is looked up first")
    return pass_.status.schema_
