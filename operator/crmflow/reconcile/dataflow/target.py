"""The steps of a CRMDataflow that speak about its target: schema and dataset (platform.md 9, 10).

Both are named by id, or by title and name; then exactly one hit is meant. What is missing is created if the
spec says so, and never changed or deleted afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence

from crmflow.aep.models import DataSet, Schema
from crmflow.api.crmdataflow import DatasetCreation, DatasetStatus, SchemaCreation, SchemaStatus
from crmflow.reconcile import creation, named
from crmflow.reconcile.conditions import FALSE
from crmflow.reconcile.dataflow.conditions import TARGET_READY
from crmflow.reconcile.dataflow.mapping import content_type
from crmflow.reconcile.dataflow.state import DataflowPass
from crmflow.reconcile.dataflow.values import major_version
from crmflow.reconcile.outcome import DONE, Outcome, stalled
from crmflow.reconcile.ownership import Verdict, judge
from crmflow.reconcile.remote import found
from crmflow.transport.errors import RemoteError

SCHEMA, DATASET = "schema", "dataset"


async def find_schemas(pass_: DataflowPass) -> Sequence[Schema]:
    """The schemas that the spec may mean. Raises RemoteError."""
    wanted, platform = pass_.spec.target.schema_, pass_.platform
    if wanted.title is None:
        schema = await found(platform.schema(wanted.id or ""))
        return (schema,) if schema else ()
    hits = await platform.schemas_titled(wanted.title) or await _made_here(pass_)
    if len(hits) != 1:
        return hits
    whole = await found(platform.schema(hits[0].id))  # a listing shows the latest version, and no tags
    return (whole,) if whole else ()


async def find_datasets(pass_: DataflowPass) -> Sequence[DataSet]:
    """The datasets that the spec may mean. Raises RemoteError."""
    wanted, platform = pass_.spec.target.dataset, pass_.platform
    if wanted.name is not None:
        return await platform.datasets_named(wanted.name) or await _dataset_made_here(pass_, wanted.name)
    dataset = await found(platform.dataset(wanted.id or ""))
    return (dataset,) if dataset else ()


async def find_used_dataset(pass_: DataflowPass) -> Sequence[DataSet]:
    """The dataset that the flow writes into. Raises RemoteError."""
    used = pass_.status.dataset
    dataset = await found(pass_.platform.dataset(used.id)) if used else None
    return (dataset,) if dataset else ()


async def check_schema(pass_: DataflowPass) -> Outcome:
    """The schema exists."""
    if not pass_.creates:
        return DONE
    wanted = pass_.spec.target.schema_
    hits = pass_.schemas_answer.get()
    name = wanted.title or ""
    try:
        if (len(hits) == 0 and wanted.create is not None) or (
            len(hits) == 1 and wanted.create is not None and _may_be_half_made(pass_, name)
        ):
            hits = await _create_schema(pass_, name, wanted.create)
    except creation.NotCreatedError as not_created:
        return not_created.outcome
    if len(hits) > 1:
        return named.ambiguous(SCHEMA, name, [hit.id for hit in hits], "spec.target.schema.id")
    if not hits:
        return _no_schema(pass_)
    creation.forget(pass_, SCHEMA)
    pass_.schema = schema = hits[0]
    pass_.record(schema_=SchemaStatus(id=schema.id, version=content_type(schema), title=wanted.title))
    return DONE


async def check_dataset(pass_: DataflowPass) -> Outcome:
    """The dataset exists and has the schema in the same major version, or it can be created. Of a flow that
    exists it is only told when it is gone.
    """
    if not pass_.creates:
        _keep_dataset(pass_)
        return DONE
    wanted, schema = pass_.spec.target.dataset, _schema(pass_)
    hits = pass_.datasets_answer.get()
    if len(hits) > 1:
        ids = [hit.id for hit in hits]
        return named.ambiguous(DATASET, wanted.name or "", ids, "spec.target.dataset.id")
    if not hits and wanted.create is None:
        return _no_dataset(pass_)
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
    creation.forget(pass_, DATASET)
    _record_dataset(pass_, hits[0], wanted.name)
    return DONE


async def create_dataset(pass_: DataflowPass) -> Outcome:
    """A dataset that is missing exists; by now everything else has been found in order."""
    wanted = pass_.spec.target.dataset
    if not pass_.creates or pass_.status.dataset is not None or wanted.create is None:
        return DONE
    name = wanted.name or ""
    try:
        hits = await _create_dataset(pass_, name, wanted.create)
    except creation.NotCreatedError as not_created:
        return not_created.outcome
    if len(hits) > 1:
        return named.ambiguous(DATASET, name, [hit.id for hit in hits], "spec.target.dataset.id")
    mismatch = _schema_mismatch(_schema(pass_).id, _schema(pass_).major_version, hits[0])
    if mismatch:
        return stalled("SchemaMismatch", mismatch)
    _record_dataset(pass_, hits[0], name)
    return DONE


async def resolve_schema(pass_: DataflowPass) -> str | None:
    """The id of the schema that the spec names, None if it names none or several. Raises RemoteError."""
    wanted, known = pass_.spec.target.schema_, pass_.status.schema_
    if wanted.title is None:
        return wanted.id
    if known is not None and known.title == wanted.title:
        return known.id
    hits = await pass_.platform.schemas_titled(wanted.title)
    return hits[0].id if len(hits) == 1 else None


async def resolve_dataset(pass_: DataflowPass) -> str | None:
    """The same for the dataset."""
    wanted, known = pass_.spec.target.dataset, pass_.status.dataset
    if wanted.name is None:
        return wanted.id
    if known is not None and known.name == wanted.name:
        return known.id
    hits = await pass_.platform.datasets_named(wanted.name)
    return hits[0].id if len(hits) == 1 else None


def note_names(pass_: DataflowPass) -> None:
    """Title and name of the spec are known to mean what the flow uses: they need not be looked up again."""
    target, schema, dataset = pass_.spec.target, pass_.status.schema_, pass_.status.dataset
    if schema is not None and dataset is not None:
        pass_.record(
            schema_=schema.model_copy(update={"title": target.schema_.title}),
            dataset=dataset.model_copy(update={"name": target.dataset.name}),
        )


def _keep_dataset(pass_: DataflowPass) -> None:
    """The dataset has neither been deleted nor expired: a flow fails from then on (platform.md 9)."""
    hits, used = pass_.datasets_answer.get(), pass_.status.dataset
    if hits:
        _record_dataset(pass_, hits[0], used.name if used else None)
        return
    pass_.find(
        TARGET_READY,
        FALSE,
        "DatasetGone",
        "The dataset that the flow writes into was deleted or has expired, so every run fails. Platform does "
        "not bring a dataset back: delete the resource, and create it anew with another dataset.",
    )


def _record_dataset(pass_: DataflowPass, dataset: DataSet, name: str | None) -> None:
    pass_.record(dataset=DatasetStatus(id=dataset.id, name=name, profile_enabled=dataset.profile_enabled))


async def _create_schema(pass_: DataflowPass, title: str, wanted: SchemaCreation) -> Sequence[Schema]:
    """The schema with its identity and its place in the union, created or found. Until all of that is done
    the intent stays, so that another pass goes on with it.
    """
    key, names = _key(pass_, SCHEMA, title), pass_.services.created_names
    async with names.lock(key):
        hits = await find_schemas(pass_)
        if len(hits) > 1:
            return hits
        if hits:
            schema, is_new = hits[0], False
            if not named.has_intent(pass_, SCHEMA, title):
                named.await_others(pass_, SCHEMA, title)
                return hits
        else:
            named.await_others(pass_, SCHEMA, title)
            await named.announce(pass_, SCHEMA, title)
            schema, is_new = await _post_schema(pass_, title, wanted), True
            names.created(key, schema.id)
            pass_.tell("Created", "Create", f'Created schema "{title}", {schema.id}.')
        if is_new or judge(pass_.identity, schema.description) is not Verdict.FOREIGN:
            await _complete(pass_, schema, wanted, is_new=is_new)
        creation.forget(pass_, SCHEMA)
        whole = await found(pass_.platform.schema(schema.id))
        return (whole,) if whole else ()


async def _post_schema(pass_: DataflowPass, title: str, wanted: SchemaCreation) -> Schema:
    try:
        return await pass_.platform.create_schema(
            title, pass_.identity.description(None), wanted.class_, wanted.field_groups
        )
    except RemoteError as error:
        if not error.maybe_applied:
            creation.forget(pass_, SCHEMA)
        raise


async def _complete(pass_: DataflowPass, schema: Schema, wanted: SchemaCreation, *, is_new: bool) -> None:
    identity, platform = wanted.primary_identity, pass_.platform
    if identity is not None and (is_new or not await platform.has_primary_identity(schema.id)):
        path = "/" + identity.path.replace(".", "/")
        await platform.set_primary_identity(schema, path, identity.namespace)
    if wanted.enable_for_profile_irreversibly and not schema.profile_enabled:
        await platform.enable_schema_for_profile(schema.id)


async def _create_dataset(pass_: DataflowPass, name: str, wanted: DatasetCreation) -> Sequence[DataSet]:
    key, names = _key(pass_, DATASET, name), pass_.services.created_names
    async with names.lock(key):
        hits = await find_datasets(pass_)
        if not hits:
            named.await_others(pass_, DATASET, name)
            await named.announce(pass_, DATASET, name)
            dataset_id = await _post_dataset(pass_, name, wanted)
            names.created(key, dataset_id)
            pass_.tell("Created", "Create", f'Created dataset "{name}", {dataset_id}.')
            schema = _schema(pass_)
            hits = (DataSet(dataset_id, name, schema.id, content_type(schema), wanted.profile),)
        creation.forget(pass_, DATASET)
        return hits


async def _post_dataset(pass_: DataflowPass, name: str, wanted: DatasetCreation) -> str:
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
            creation.forget(pass_, DATASET)
        raise


async def _made_here(pass_: DataflowPass) -> Sequence[Schema]:
    key = _key(pass_, SCHEMA, pass_.spec.target.schema_.title or "")
    schema_id = pass_.services.created_names.known(key)
    schema = await found(pass_.platform.schema(schema_id)) if schema_id else None
    if schema_id and schema is None:
        pass_.services.created_names.forget(key)
    return (schema,) if schema else ()


async def _dataset_made_here(pass_: DataflowPass, name: str) -> Sequence[DataSet]:
    key = _key(pass_, DATASET, name)
    dataset_id = pass_.services.created_names.known(key)
    dataset = await found(pass_.platform.dataset(dataset_id)) if dataset_id else None
    if dataset_id and dataset is None:
        pass_.services.created_names.forget(key)
    return (dataset,) if dataset else ()


def _may_be_half_made(pass_: DataflowPass, title: str) -> bool:
    """Somebody, perhaps this resource, has begun to create the schema and not said that it is complete."""
    others = pass_.services.peers.intents_of_others(str(pass_.identity), SCHEMA, title)
    return named.has_intent(pass_, SCHEMA, title) or bool(others)


def _key(pass_: DataflowPass, slot: str, name: str) -> tuple[str, ...]:
    platform = pass_.connection.spec.platform
    return platform.organization, platform.sandbox, slot, name


def _schema(pass_: DataflowPass) -> Schema:
    if pass_.schema is None:
        raise RuntimeError("the schema is looked up first")
    return pass_.schema


def _no_schema(pass_: DataflowPass) -> Outcome:
    wanted, sandbox = pass_.spec.target.schema_, pass_.connection.spec.platform.sandbox
    if wanted.title is None:
        return stalled(
            "SchemaNotFound",
            f'Schema {wanted.id} does not exist in sandbox "{sandbox}". Check spec.target.schema.id; ids '
            "differ between sandboxes.",
        )
    return stalled(
        "SchemaNotFound",
        f'No schema of sandbox "{sandbox}" has the title "{wanted.title}". Correct spec.target.schema.title, '
        "or say in spec.target.schema.create how to create it.",
    )


def _no_dataset(pass_: DataflowPass) -> Outcome:
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
