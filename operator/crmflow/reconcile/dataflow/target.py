"""The steps of a CRMDataflow that speak about its target: schema and dataset (platform.md 9, 10)."""

from __future__ import annotations

from crmflow.aep.models import DataSet
from crmflow.api.crmdataflow import DatasetStatus, SchemaStatus
from crmflow.reconcile.dataflow.mapping import content_type
from crmflow.reconcile.dataflow.state import DataflowPass
from crmflow.reconcile.dataflow.values import major_version
from crmflow.reconcile.outcome import DONE, Outcome, stalled


async def check_target(pass_: DataflowPass) -> Outcome:
    """Schema and dataset exist, and the dataset has that schema in the same major version; of a flow that
    exists, its dataset is still there.
    """
    if not pass_.creates:
        return _keeps_dataset(pass_)
    if pass_.schema_answer is None or pass_.dataset_answer is None:
        raise RuntimeError("schema and dataset are looked up first")
    schema, dataset = pass_.schema_answer.get(), pass_.dataset_answer.get()
    target, sandbox = pass_.spec.target, pass_.connection.spec.platform.sandbox
    if schema is None:
        return stalled(
            "SchemaNotFound",
            f'Schema {target.schema_.id} does not exist in sandbox "{sandbox}". Check '
            "spec.target.schema.id; ids differ between sandboxes.",
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
    pass_.record(
        schema_=SchemaStatus(id=schema.id, version=content_type(schema)),
        dataset=DatasetStatus(id=dataset.id, profile_enabled=dataset.profile_enabled),
    )
    return DONE


def _keeps_dataset(pass_: DataflowPass) -> Outcome:
    """The dataset has neither been deleted nor expired: a flow fails from then on (platform.md 9)."""
    if pass_.dataset_answer is None:
        raise RuntimeError("the dataset is looked up first")
    dataset = pass_.dataset_answer.get()
    if dataset is None:
        return stalled(
            "DatasetGone",
            "The dataset that the flow writes into was deleted or has expired, so every run fails. Platform "
            "does not bring a dataset back: delete the resource, and create it anew with another dataset.",
        )
    pass_.record(dataset=DatasetStatus(id=dataset.id, profile_enabled=dataset.profile_enabled))
    return DONE


def _schema_mismatch(schema_id: str, schema_version: int, dataset: DataSet) -> str | None:
    """Platform refuses a flow unless both name the same schema and version (platform.md 2.3, 1425)."""
    if dataset.schema_id != schema_id:
        return (
            f"Dataset {dataset.id} has schema {dataset.schema_id}, spec.target.schema.id is {schema_id}. "
            "Use the dataset's schema, or another dataset."
        )
    ours, theirs = str(schema_version), major_version(dataset.content_type)
    if theirs is not None and ours != theirs:
        return (
            f"Dataset {dataset.id} has version {theirs} of its schema, the schema is at version {ours}. Use "
            "a dataset of the same version."
        )
    return None
