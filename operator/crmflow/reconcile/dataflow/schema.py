"""The schema that a CRMDataflow writes by (platform.md 10).

It is named by id or by title; then exactly one hit is meant. One that is missing is created if the spec says
so, and never changed or deleted afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence

from crmflow.aep.models import Schema
from crmflow.api.crmdataflow import SchemaCreation, SchemaStatus
from crmflow.reconcile import creation, named
from crmflow.reconcile.dataflow.mapping import content_type
from crmflow.reconcile.dataflow.state import DataflowPass
from crmflow.reconcile.outcome import DONE, Outcome, stalled
from crmflow.reconcile.ownership import Verdict, judge
from crmflow.reconcile.remote import found
from crmflow.transport.errors import RemoteError

SLOT = "schema"


async def find(pass_: DataflowPass) -> Sequence[Schema]:
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


async def check_schema(pass_: DataflowPass) -> Outcome:
    """The schema exists."""
    if not pass_.creates:
        return DONE
    wanted = pass_.spec.target.schema_
    hits = pass_.schemas_answer.get()
    name = wanted.title or ""
    try:
        is_unmade = not hits or (len(hits) == 1 and _may_be_half_made(pass_, name))
        if wanted.create is not None and is_unmade:
            hits = await _create(pass_, name, wanted.create)
    except creation.NotCreatedError as not_created:
        return not_created.outcome
    if len(hits) > 1:
        return named.ambiguous(SLOT, name, [hit.id for hit in hits], "spec.target.schema.id")
    if not hits:
        return _not_found(pass_)
    creation.forget(pass_, SLOT)
    pass_.schema = schema = hits[0]
    pass_.record(schema_=SchemaStatus(id=schema.id, version=content_type(schema), title=wanted.title))
    return DONE


async def resolve(pass_: DataflowPass) -> str | None:
    """The id of the schema that the spec names, None if it names none or several. Raises RemoteError."""
    wanted, known = pass_.spec.target.schema_, pass_.status.schema_
    if wanted.title is None:
        return wanted.id
    if known is not None and known.title == wanted.title:
        return known.id
    hits = await pass_.platform.schemas_titled(wanted.title)
    return hits[0].id if len(hits) == 1 else None


async def _create(pass_: DataflowPass, title: str, wanted: SchemaCreation) -> Sequence[Schema]:
    """The schema with its identity and its place in the union, created or found. Until all of that is done
    the intent stays, so that another pass goes on with it.
    """
    key, names = pass_.sandbox_key(SLOT, title), pass_.services.created_names
    async with names.lock(key):
        hits = await find(pass_)
        if len(hits) > 1:
            return hits
        if hits:
            schema, is_new = hits[0], False
            if not named.has_intent(pass_, SLOT, title):
                named.await_others(pass_, SLOT, title)
                return hits
        else:
            named.await_others(pass_, SLOT, title)
            await named.announce(pass_, SLOT, title)
            schema, is_new = await _post(pass_, title, wanted), True
            names.created(key, schema.id)
            pass_.tell("Created", "Create", f'Created schema "{title}", {schema.id}.')
        if is_new or judge(pass_.identity, schema.description) is not Verdict.FOREIGN:
            await _complete(pass_, schema, wanted, is_new=is_new)
        creation.forget(pass_, SLOT)
        whole = await found(pass_.platform.schema(schema.id))
        return (whole,) if whole else ()


async def _post(pass_: DataflowPass, title: str, wanted: SchemaCreation) -> Schema:
    try:
        return await pass_.platform.create_schema(
            title, pass_.identity.description(None), wanted.class_, wanted.field_groups
        )
    except RemoteError as error:
        if not error.maybe_applied:
            creation.forget(pass_, SLOT)
        raise


async def _complete(pass_: DataflowPass, schema: Schema, wanted: SchemaCreation, *, is_new: bool) -> None:
    identity, platform = wanted.primary_identity, pass_.platform
    if identity is not None and (is_new or not await platform.has_primary_identity(schema.id)):
        path = "/" + identity.path.replace(".", "/")
        await platform.set_primary_identity(schema, path, identity.namespace)
    if wanted.enable_for_profile_irreversibly and not schema.profile_enabled:
        await platform.enable_schema_for_profile(schema.id)


async def _made_here(pass_: DataflowPass) -> Sequence[Schema]:
    key = pass_.sandbox_key(SLOT, pass_.spec.target.schema_.title or "")
    schema_id = pass_.services.created_names.known(key)
    schema = await found(pass_.platform.schema(schema_id)) if schema_id else None
    if schema_id and schema is None:
        pass_.services.created_names.forget(key)
    return (schema,) if schema else ()


def _may_be_half_made(pass_: DataflowPass, title: str) -> bool:
    """Somebody, perhaps this resource, has begun to create the schema and not said that it is complete."""
    others = pass_.services.peers.intents_of_others(str(pass_.identity), SLOT, title)
    return named.has_intent(pass_, SLOT, title) or bool(others)


def _not_found(pass_: DataflowPass) -> Outcome:
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
