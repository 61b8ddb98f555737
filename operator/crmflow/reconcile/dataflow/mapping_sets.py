"""The mapping set of a CRMDataflow: validated before anything is written, shared between equal mappings."""

from __future__ import annotations

from crmflow.aep.models import Flow, MappingSetRef
from crmflow.api.crmdataflow import MappingSetStatus, SchemaStatus
from crmflow.reconcile.dataflow.mapping import entries, is_same_mapping, mapping_hash
from crmflow.reconcile.dataflow.state import DataflowPass
from crmflow.reconcile.dataflow.text import some
from crmflow.reconcile.identity import mapping_set_name
from crmflow.reconcile.outcome import DONE, Outcome, stalled
from crmflow.reconcile.remote import found

FAILURES_SHOWN = 50
"""As many as a condition's message holds in any case."""


def moves_mapping(pass_: DataflowPass) -> bool:
    """True unless the flow's mapping set, as far as is known, says what the spec says."""
    known = pass_.status.mapping_set
    return known is None or known.content_hash != _wanted_hash(pass_)


async def validate_mapping(pass_: DataflowPass) -> Outcome:
    """Platform accepts every entry of a mapping that is new; nothing has been written yet."""
    if pass_.observes or not (pass_.creates or moves_mapping(pass_)):
        return DONE
    columns = {column.name for column in pass_.columns}
    unread = [
        item.source for item in pass_.spec.mapping if item.source is not None and item.source not in columns
    ]
    if unread:
        return stalled(
            "MappingInvalid",
            f"The mapping takes {some(unread)}, which the source does not read. Add it to "
            "spec.source.columns, or correct the mapping.",
        )
    schema, mappings = _schema(pass_), entries(pass_.spec.mapping)
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


async def ensure_mapping_set(pass_: DataflowPass) -> MappingSetRef:
    """The mapping set that says what the spec says, found or created, and recorded. Raises RemoteError."""
    wanted = _wanted_hash(pass_)
    known = pass_.status.mapping_set
    if known is not None and known.content_hash == wanted:
        return MappingSetRef(known.id, known.version)
    schema = _schema(pass_)
    name = mapping_set_name(pass_.identity.instance, wanted)
    ref = await pass_.platform.find_mapping_set(name)
    if ref is None:
        mappings = entries(pass_.spec.mapping)
        ref = await pass_.platform.create_mapping_set(name, schema.id, schema.version, mappings)
    _record(pass_, ref, wanted)
    return ref


async def recognise_mapping_set(pass_: DataflowPass, flow: Flow) -> None:
    """A flow that was found, or whose patch was the last thing done, may already use the set that says what
    the spec says. What is ours has a name that tells; what is in the set that an adopted flow uses is read.
    """
    if not moves_mapping(pass_) or flow.mapping_set_id is None:
        return
    wanted = _wanted_hash(pass_)
    if pass_.adopts:
        in_use = MappingSetRef(flow.mapping_set_id, flow.mapping_version or 0)
        mappings = await found(pass_.platform.mapping_set(in_use))
        if mappings is not None and is_same_mapping(mappings, entries(pass_.spec.mapping)):
            _record(pass_, in_use, wanted)
        return
    ours = await pass_.platform.find_mapping_set(mapping_set_name(pass_.identity.instance, wanted))
    if ours is not None and ours.id == flow.mapping_set_id:
        _record(pass_, ours, wanted)


def _wanted_hash(pass_: DataflowPass) -> str:
    return mapping_hash(pass_.status.schema_, entries(pass_.spec.mapping))


def _record(pass_: DataflowPass, ref: MappingSetRef, content_hash: str) -> None:
    pass_.record(mapping_set=MappingSetStatus(id=ref.id, version=ref.version, content_hash=content_hash))


def _schema(pass_: DataflowPass) -> SchemaStatus:
    if pass_.status.schema_ is None:
        raise RuntimeError("the schema is looked up first")
    return pass_.status.schema_
