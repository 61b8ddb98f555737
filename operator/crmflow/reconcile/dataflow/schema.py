"""The schema that a CRMDataflow writes by (platform.md 10).

It is named by id or by title; then exactly one hit is meant. One that is missing is created if the spec says
so, and never changed or deleted afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence

from crmflow.aep.collection import Named
from crmflow.aep.errors import found
from crmflow.aep.models import Schema
from crmflow.aep.schema_registry import DESCRIPTORS, SCHEMAS
from crmflow.api.base import Transport
from crmflow.api.crmdataflow import SchemaCreation, SchemaStatus
from crmflow.reconcile.core import creation, named_objects
from crmflow.reconcile.core.engine import step
from crmflow.reconcile.core.outcome import PassEndedError, StalledError
from crmflow.reconcile.core.ownership import Verdict, judge
from crmflow.reconcile.core.prefetch import Prefetched
from crmflow.reconcile.dataflow.conditions import TARGET_READY
from crmflow.reconcile.dataflow.state import DataflowPass, Upstream
from crmflow.reconcile.external.schema import JOIN_UNION, SLOT, content_type, primary_identity
from crmflow.reconcile.external.schema import creation as created_with
from crmflow.reconcile.ports import Platform


async def find(pass_: DataflowPass, upstream: Upstream) -> Sequence[Schema]:
    """The schemas that the spec may mean. Raises RemoteError."""
    wanted, platform = pass_.spec.target.schema_, upstream.sandbox.platform
    if wanted.title is None:
        schema = await found(platform.get(SCHEMAS, wanted.id or ""))
        return (schema,) if schema else ()
    hits = await platform.list(SCHEMAS, Named(wanted.title))
    if not hits:
        key = upstream.key(SLOT, wanted.title)
        hits = await named_objects.made_here(pass_, platform, SCHEMAS, key)
    if len(hits) != 1:
        return hits
    whole = await found(platform.get(SCHEMAS, hits[0].id))  # a listing shows the latest version, and no tags
    return (whole,) if whole else ()


async def find_shared(pass_: DataflowPass, upstream: Upstream) -> Sequence[Schema]:
    """The same, as others may have been told a moment ago if that is the one that is meant. Raises
    RemoteError.
    """
    wanted, dataset = pass_.spec.target.schema_, pass_.spec.target.dataset.create
    needs_profile = dataset is not None and dataset.profile

    def is_it(found: Sequence[Schema]) -> bool:
        return len(found) == 1 and (found[0].profile_enabled or not needs_profile)

    key = (SLOT, wanted.id, wanted.title)
    return await upstream.sandbox.inventory.recent(key, lambda: find(pass_, upstream), is_it)


@step(TARGET_READY)
async def check_schema(
    pass_: DataflowPass, upstream: Upstream, schemas: Prefetched[Sequence[Schema]]
) -> tuple[Schema, SchemaStatus]:
    """The schema exists; it, and what status records of it."""
    wanted, hits = pass_.spec.target.schema_, schemas.get()
    name = wanted.title or ""
    is_unmade = not hits or (len(hits) == 1 and _may_be_half_made(pass_, name))
    if wanted.create is not None and is_unmade:
        hits = await _create(pass_, upstream, name, wanted.create)
    if len(hits) > 1:
        raise named_objects.ambiguous(SLOT, name, [hit.id for hit in hits], "spec.target.schema.id")
    if not hits:
        raise _not_found(pass_, upstream)
    creation.forget(pass_, SLOT)
    schema = hits[0]
    status = SchemaStatus(id=schema.id, version=content_type(schema), title=wanted.title)
    pass_.record(schema_=status)
    return schema, status


@step(TARGET_READY)
async def check_full_reads(pass_: DataflowPass, upstream: Upstream) -> None:
    """Reading all records again takes the place of what was read before: not of events, of which each is one
    more.
    """
    extract, used = pass_.spec.extract, pass_.status.schema_
    if extract is None or extract.full_read_every is None or used is None:
        return
    if upstream.transport is not Transport.LANDING_ZONE:
        return
    schema = await found(upstream.sandbox.platform.get(SCHEMAS, used.id))
    if schema is not None and schema.is_time_series:
        raise StalledError(
            "FullReadNotAllowed",
            f"extract.fullReadEvery reads all records again, and schema {schema.id} holds events: each would "
            "be ingested once more. Remove it.",
        )


async def resolve(pass_: DataflowPass, upstream: Upstream) -> str | None:
    """The id of the schema that the spec names, None if it names none or several. Raises RemoteError."""
    wanted, known = pass_.spec.target.schema_, pass_.status.schema_
    if wanted.title is None:
        return wanted.id
    if known is not None and known.title == wanted.title:
        return known.id
    hits = await upstream.sandbox.platform.list(SCHEMAS, Named(wanted.title))
    return hits[0].id if len(hits) == 1 else None


async def _create(
    pass_: DataflowPass, upstream: Upstream, title: str, wanted: SchemaCreation
) -> Sequence[Schema]:
    """The schema with its identity and its place in the union, created or found. Until all of that is done
    the intent stays, so that another pass goes on with it.
    """
    platform, names = upstream.sandbox.platform, pass_.services.created_names
    key = upstream.key(SLOT, title)
    async with names.lock(key):
        hits = await find(pass_, upstream)
        if len(hits) > 1:
            return hits
        if hits:
            schema, is_new = hits[0], False
            if not named_objects.has_intent(pass_, SLOT, title):
                named_objects.await_others(pass_, SLOT, title)
                return hits
        else:
            named_objects.await_others(pass_, SLOT, title)
            await named_objects.announce(pass_, SLOT, title)
            owner, parts = pass_.identity.description(None), wanted.field_groups
            body = created_with(title, owner, wanted.class_, parts)
            made = await named_objects.post(pass_, platform, SCHEMAS, SLOT, body)
            schema, is_new = Schema(made.id, "", title, str(made.version or 1)), True
            names.created(key, schema.id)
            pass_.record_event("Created", "Create", f'Created schema "{title}", {schema.id}.')
        if is_new or judge(pass_.identity, schema.description) is not Verdict.FOREIGN:
            await _complete(platform, schema, wanted, is_new=is_new)
        creation.forget(pass_, SLOT)
        whole = await found(platform.get(SCHEMAS, schema.id))
        return (whole,) if whole else ()


async def _complete(platform: Platform, schema: Schema, wanted: SchemaCreation, *, is_new: bool) -> None:
    identity = wanted.primary_identity
    if identity is not None and (is_new or not await _has_primary_identity(platform, schema)):
        await platform.create(DESCRIPTORS, primary_identity(schema, identity.path, identity.namespace))
    if wanted.enable_for_profile_irreversibly and not schema.profile_enabled:
        await platform.patch(SCHEMAS, schema.id, None, [JOIN_UNION])


async def _has_primary_identity(platform: Platform, schema: Schema) -> bool:
    descriptors = await platform.list(DESCRIPTORS)
    return any(known.is_primary and known.schema_id == schema.id for known in descriptors)


def _may_be_half_made(pass_: DataflowPass, title: str) -> bool:
    """Somebody, perhaps this resource, has begun to create the schema and not said that it is complete."""
    others = pass_.services.lister.intents_of_others(str(pass_.identity), SLOT, title)
    return named_objects.has_intent(pass_, SLOT, title) or bool(others)


def _not_found(pass_: DataflowPass, upstream: Upstream) -> PassEndedError:
    wanted, sandbox = pass_.spec.target.schema_, upstream.spec.platform.sandbox
    if wanted.title is None:
        return StalledError(
            "SchemaNotFound",
            f'Schema {wanted.id} does not exist in sandbox "{sandbox}". Check spec.target.schema.id; ids '
            "differ between sandboxes.",
        )
    return StalledError(
        "SchemaNotFound",
        f'No schema of sandbox "{sandbox}" has the title "{wanted.title}". Correct '
        "spec.target.schema.title, or say in spec.target.schema.create how to create it.",
    )
