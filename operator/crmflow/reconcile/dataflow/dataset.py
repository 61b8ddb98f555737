"""The dataset that a CRMDataflow writes into (platform.md 9).

It is named by id or by name; then exactly one hit is meant. One that is missing is created if the spec says
so, and never changed or deleted afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence

from crmflow.aep.models import DataSet, Schema
from crmflow.api.crmdataflow import DatasetCreation, DatasetStatus
from crmflow.reconcile import creation, named
from crmflow.reconcile.conditions import FALSE
from crmflow.reconcile.dataflow.conditions import TARGET_READY
from crmflow.reconcile.dataflow.mapping import content_type
from crmflow.reconcile.dataflow.state import DataflowPass
from crmflow.reconcile.dataflow.values import major_version
from crmflow.reconcile.outcome import DONE, Outcome, stalled
from crmflow.reconcile.remote import found
from crmflow.transport.errors import RemoteError

SLOT = "dataset"


async def find(pass_: DataflowPass) -> Sequence[DataSet]:
    """The datasets that the spec may mean. Raises RemoteError."""
    wanted, platform = pass_.spec.target.dataset, pass_.platform
    if wanted.name is not None:
        return await platform.datasets_named(wanted.name) or await _made_here(pass_, wanted.name)
    dataset = await found(platform.dataset(wanted.id or ""))
    return (dataset,) if dataset else ()


async def find_used(pass_: DataflowPass) -> Sequence[DataSet]:
    """The dataset that the flow writes into. Raises RemoteError."""
    used = pass_.status.dataset
    dataset = await found(pass_.platform.dataset(used.id)) if used else None
    return (dataset,) if dataset else ()


async def check_dataset(pass_: DataflowPass) -> Outcome:
    """The dataset exists and has the schema in the same major version, or it can be created. Of a flow that
    exists it is only told when it is gone.
    """
    if not pass_.creates:
        _keep(pass_)
        return DONE
    wanted, schema = pass_.spec.target.dataset, _schema(pass_)
    hits = pass_.datasets_answer.get()
    if len(hits) > 1:
        ids = [hit.id for hit in hits]
        return named.ambiguous(SLOT, wanted.name or "", ids, "spec.target.dataset.id")
    if not hits and wanted.create is None:
        return _not_found(pass_)
    if not hits and wanted.create is not None and wanted.create.profile and not schema.profile_enabled:
        return stalled(
            "SchemaNotProfileEnabled",
            f"The dataset is to be created for Profile, but schema {schema.id} is not enabled for Profile. "
            "Enable it in Platform, which can't be undone, or remove spec.target.dataset.create.profile.",
        )
    if not hits:
        pass_.record(dataset=None)
        return DONE
    mismatch = _schema_mismatch(schema.id, schema.major_version, hits[0])
    if mismatch:
        return stalled("SchemaMismatch", mismatch)
    creation.forget(pass_, SLOT)
    _record(pass_, hits[0], wanted.name)
    return DONE


async def create_dataset(pass_: DataflowPass) -> Outcome:
    """A dataset that is missing exists; by now everything else has been found in order."""
    wanted = pass_.spec.target.dataset
    if not pass_.creates or pass_.status.dataset is not None or wanted.create is None:
        return DONE
    name = wanted.name or ""
    try:
        hits = await _create(pass_, name, wanted.create)
    except creation.NotCreatedError as not_created:
        return not_created.outcome
    if len(hits) > 1:
        return named.ambiguous(SLOT, name, [hit.id for hit in hits], "spec.target.dataset.id")
    mismatch = _schema_mismatch(_schema(pass_).id, _schema(pass_).major_version, hits[0])
    if mismatch:
        return stalled("SchemaMismatch", mismatch)
    _record(pass_, hits[0], name)
    return DONE


async def resolve(pass_: DataflowPass) -> str | None:
    """The same for the dataset."""
    wanted, known = pass_.spec.target.dataset, pass_.status.dataset
    if wanted.name is None:
        return wanted.id
    if known is not None and known.name == wanted.name:
        return known.id
    hits = await pass_.platform.datasets_named(wanted.name)
    return hits[0].id if len(hits) == 1 else None


def _keep(pass_: DataflowPass) -> None:
    """The dataset has neither been deleted nor expired: a flow fails from then on (platform.md 9)."""
    hits, used = pass_.datasets_answer.get(), pass_.status.dataset
    if hits:
        _record(pass_, hits[0], used.name if used else None)
        return
    pass_.find(
        TARGET_READY,
        FALSE,
        "DatasetGone",
        "The dataset that the flow writes into was deleted or has expired, so every run fails. Platform does "
        "not bring a dataset back: delete the resource, and create it anew with another dataset.",
    )


def _record(pass_: DataflowPass, dataset: DataSet, name: str | None) -> None:
    pass_.record(dataset=DatasetStatus(id=dataset.id, name=name, profile_enabled=dataset.profile_enabled))


async def _create(pass_: DataflowPass, name: str, wanted: DatasetCreation) -> Sequence[DataSet]:
    key, names = pass_.sandbox_key(SLOT, name), pass_.services.created_names
    async with names.lock(key):
        hits = await find(pass_)
        if not hits:
            named.await_others(pass_, SLOT, name)
            await named.announce(pass_, SLOT, name)
            dataset_id = await _post(pass_, name, wanted)
            names.created(key, dataset_id)
            pass_.tell("Created", "Create", f'Created dataset "{name}", {dataset_id}.')
            schema = _schema(pass_)
            hits = (DataSet(dataset_id, name, schema.id, content_type(schema), wanted.profile),)
        creation.forget(pass_, SLOT)
        return hits


async def _post(pass_: DataflowPass, name: str, wanted: DatasetCreation) -> str:
    try:
        return await pass_.platform.create_dataset(
            name,
            pass_.identity.description(None),
            _schema(pass_),
            profile=wanted.profile,
            upsert=wanted.upsert,
            error_diagnostics=wanted.error_diagnostics,
        )
    except RemoteError as error:
        if not error.maybe_applied:
            creation.forget(pass_, SLOT)
        raise


async def _made_here(pass_: DataflowPass, name: str) -> Sequence[DataSet]:
    key = pass_.sandbox_key(SLOT, name)
    dataset_id = pass_.services.created_names.known(key)
    dataset = await found(pass_.platform.dataset(dataset_id)) if dataset_id else None
    if dataset_id and dataset is None:
        pass_.services.created_names.forget(key)
    return (dataset,) if dataset else ()


def _schema(pass_: DataflowPass) -> Schema:
    if pass_.schema is None:
        raise RuntimeError("the schema is looked up first")
    return pass_.schema


def _not_found(pass_: DataflowPass) -> Outcome:
    wanted, sandbox = pass_.spec.target.dataset, pass_.connection.spec.platform.sandbox
    if wanted.name is None:
        return stalled(
            "DatasetNotFound",
            f'Dataset {wanted.id} does not exist in sandbox "{sandbox}", or has expired. Check '
            "spec.target.dataset.id.",
        )
    return stalled(
        "DatasetNotFound",
        f'No dataset of sandbox "{sandbox}" has the name "{wanted.name}". Correct spec.target.dataset.name, '
        "or say in spec.target.dataset.create how to create it.",
    )


def _schema_mismatch(schema_id: str, schema_version: int, dataset: DataSet) -> str | None:
    """Platform refuses a flow unless both name the same schema and version (platform.md 2.3, 1425)."""
    if dataset.schema_id != schema_id:
        return (
            f"Dataset {dataset.id} has schema {dataset.schema_id}, spec.target.schema names {schema_id}. "
            "Use the dataset's schema, or another dataset."
        )
    ours, theirs = str(schema_version), major_version(dataset.content_type)
    if theirs is not None and ours != theirs:
        return (
            f"Dataset {dataset.id} has version {theirs} of its schema, the schema is at version {ours}. Use "
            "a dataset of the same version."
        )
    return None
