"""The dataset that a CRMDataflow writes into (platform.md 9).

It is named by id or by name; then exactly one hit is meant. One that is missing is created if the spec says
so, and never changed or deleted afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence

from crmflow.aep.catalog import DATA_SETS
from crmflow.aep.collection import Named
from crmflow.aep.errors import found
from crmflow.aep.models import DataSet, Schema
from crmflow.api.crmdataflow import DatasetCreation, DatasetStatus
from crmflow.observability.events import EventType
from crmflow.reconcile.core import creation, named_objects
from crmflow.reconcile.core.conditions import FALSE, TRUE
from crmflow.reconcile.core.engine import step
from crmflow.reconcile.core.outcome import PassEndedError, StalledError
from crmflow.reconcile.core.prefetch import Prefetched
from crmflow.reconcile.dataflow.conditions import TARGET_READY
from crmflow.reconcile.dataflow.state import DataflowPass, Upstream
from crmflow.reconcile.dataflow.transfer_orders import marks_deletions
from crmflow.reconcile.external.dataset import SLOT
from crmflow.reconcile.external.dataset import creation as created_with
from crmflow.reconcile.external.schema import content_type, major_version

REPLACES_PROFILE = "DeletionsReplaceProfile"


async def find(pass_: DataflowPass, upstream: Upstream) -> Sequence[DataSet]:
    """The datasets that the spec may mean. Raises RemoteError."""
    wanted, platform = pass_.spec.target.dataset, upstream.sandbox.platform
    if wanted.name is not None:
        hits = await platform.list(DATA_SETS, Named(wanted.name))
        key = upstream.key(SLOT, wanted.name)
        return hits or await named_objects.made_here(pass_, platform, DATA_SETS, key)
    dataset = await found(platform.get(DATA_SETS, wanted.id or ""))
    return (dataset,) if dataset else ()


async def find_shared(pass_: DataflowPass, upstream: Upstream) -> Sequence[DataSet]:
    """The same, as others may have been told a moment ago if there is exactly one. Raises RemoteError."""
    wanted = pass_.spec.target.dataset
    return await upstream.sandbox.inventory.recent(
        (SLOT, wanted.id, wanted.name), lambda: find(pass_, upstream), lambda hits: len(hits) == 1
    )


async def find_used(pass_: DataflowPass, upstream: Upstream) -> DataSet | None:
    """The dataset that the flow writes into. Raises RemoteError."""
    used = pass_.status.dataset
    return await found(upstream.sandbox.platform.get(DATA_SETS, used.id)) if used else None


@step(TARGET_READY)
async def check_dataset(
    pass_: DataflowPass, upstream: Upstream, schema: Schema, datasets: Prefetched[Sequence[DataSet]]
) -> bool:
    """The dataset exists and has the schema in the same major version; False if it is to be created."""
    wanted, hits = pass_.spec.target.dataset, datasets.get()
    if len(hits) > 1:
        ids = [hit.id for hit in hits]
        raise named_objects.ambiguous(SLOT, wanted.name or "", ids, "spec.target.dataset.id")
    if hits:
        if _mismatch(schema, hits[0]):  # others may have been told of another dataset of that name before
            hits = await find(pass_, upstream) or hits
        _check_schema(schema, hits[0])
        creation.forget(pass_, SLOT)
        _record(pass_, hits[0], wanted.name)
        return True
    if wanted.create is None:
        raise _not_found(pass_, upstream)
    if wanted.create.profile and not schema.profile_enabled:
        raise StalledError(
            "SchemaNotProfileEnabled",
            f"The dataset is to be created for Profile, but schema {schema.id} is not enabled for "
            "Profile. Enable it in Platform, which can't be undone, or remove "
            "spec.target.dataset.create.profile.",
        )
    pass_.record(dataset=None)
    return False


@step(TARGET_READY)
async def create_dataset(pass_: DataflowPass, upstream: Upstream, schema: Schema) -> None:
    """A dataset that is missing exists; by now everything else has been found in order."""
    wanted = pass_.spec.target.dataset
    if wanted.create is None:
        raise _not_found(pass_, upstream)
    name = wanted.name or ""
    hits = await _create(pass_, upstream, schema, name, wanted.create)
    if len(hits) > 1:
        raise named_objects.ambiguous(SLOT, name, [hit.id for hit in hits], "spec.target.dataset.id")
    _check_schema(schema, hits[0])
    _record(pass_, hits[0], name)


@step(TARGET_READY)
async def look_at_dataset(pass_: DataflowPass, used: Prefetched[DataSet | None]) -> None:
    """The dataset has neither been deleted nor expired: a flow fails from then on (platform.md 9). Of a flow
    that exists that is only told.
    """
    dataset, recorded = used.get(), pass_.status.dataset
    if dataset is not None:
        _record(pass_, dataset, recorded.name if recorded else None)
        return
    pass_.set_condition(
        TARGET_READY,
        FALSE,
        "DatasetGone",
        "The dataset that the flow writes into was deleted or has expired, so every run fails. Platform does "
        "not bring a dataset back: delete the resource, and create it anew with another dataset.",
    )


async def resolve(pass_: DataflowPass, upstream: Upstream) -> str | None:
    """The id of the dataset that the spec names, None if it names none or several. Raises RemoteError."""
    wanted, known = pass_.spec.target.dataset, pass_.status.dataset
    if wanted.name is None:
        return wanted.id
    if known is not None and known.name == wanted.name:
        return known.id
    hits = await upstream.sandbox.platform.list(DATA_SETS, Named(wanted.name))
    return hits[0].id if len(hits) == 1 else None


def _record(pass_: DataflowPass, dataset: DataSet, name: str | None) -> None:
    status = DatasetStatus(id=dataset.id, name=name, profile_enabled=dataset.profile_enabled)
    pass_.record(dataset=status)
    if marks_deletions(pass_) and dataset.profile_enabled and not dataset.upserts:
        _warn_of_replacement(pass_)


def _warn_of_replacement(pass_: DataflowPass) -> None:
    """A row that marks a deletion has no other value: without upsert it replaces what Profile knows."""
    text = (
        "Profile reads the dataset, which has no upsert: a row that marks a deleted record replaces all that "
        "this dataset has told Profile of the record. Use a dataset that was created with upsert, or set "
        "extract.deletedRecords to Ignore."
    )
    said = pass_.conditions.get(TARGET_READY.name)
    if said is None or said.reason != REPLACES_PROFILE:
        pass_.record_event(REPLACES_PROFILE, "Check", text, EventType.WARNING)
    pass_.set_condition(TARGET_READY, TRUE, REPLACES_PROFILE, text)


async def _create(
    pass_: DataflowPass, upstream: Upstream, schema: Schema, name: str, wanted: DatasetCreation
) -> Sequence[DataSet]:
    key, names = upstream.key(SLOT, name), pass_.services.created_names
    async with names.lock(key):
        hits = await find(pass_, upstream)
        if not hits:
            named_objects.await_others(pass_, SLOT, name)
            await named_objects.announce(pass_, SLOT, name)
            body = created_with(name, pass_.identity.description(None), schema, wanted)
            platform = upstream.sandbox.platform
            dataset_id = (await named_objects.post(pass_, platform, DATA_SETS, SLOT, body)).id
            names.created(key, dataset_id)
            pass_.record_event("Created", "Create", f'Created dataset "{name}", {dataset_id}.')
            hits = (
                DataSet(dataset_id, name, schema.id, content_type(schema), wanted.profile, wanted.upsert),
            )
        creation.forget(pass_, SLOT)
        return hits


def _not_found(pass_: DataflowPass, upstream: Upstream) -> PassEndedError:
    wanted, sandbox = pass_.spec.target.dataset, upstream.spec.platform.sandbox
    if wanted.name is None:
        return StalledError(
            "DatasetNotFound",
            f'Dataset {wanted.id} does not exist in sandbox "{sandbox}", or has expired. Check '
            "spec.target.dataset.id.",
        )
    return StalledError(
        "DatasetNotFound",
        f'No dataset of sandbox "{sandbox}" has the name "{wanted.name}". Correct '
        "spec.target.dataset.name, or say in spec.target.dataset.create how to create it.",
    )


def _check_schema(schema: Schema, dataset: DataSet) -> None:
    """The dataset has the schema in the same version; raises PassEndedError if not."""
    text = _mismatch(schema, dataset)
    if text is not None:
        raise StalledError("SchemaMismatch", text)


def _mismatch(schema: Schema, dataset: DataSet) -> str | None:
    """Why Platform refuses a flow into the dataset, which has to have the schema in the same version
    (platform.md 2.3, 1425); None if it fits.
    """
    ours, theirs = str(schema.major_version), major_version(dataset.content_type)
    if dataset.schema_id != schema.id:
        return (
            f"Dataset {dataset.id} has schema {dataset.schema_id}, spec.target.schema names {schema.id}. "
            "Use the dataset's schema, or another dataset."
        )
    if theirs is not None and ours != theirs:
        return (
            f"Dataset {dataset.id} has version {theirs} of its schema, the schema is at version {ours}. Use "
            "a dataset of the same version."
        )
    return None
