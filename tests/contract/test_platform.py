"""What a sandbox does with the verbs of the client, by the fake of the unit tests and by the emulators alike:
what holds only for one of them would let the other's tests pass for nothing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from dataclasses import replace
from typing import Any

import httpx
import pytest

from crmflow.aep.catalog import DATA_SETS
from crmflow.aep.collection import AnyCollection, Named, OfSpec, WithIds
from crmflow.aep.data_prep import MAPPING_SETS
from crmflow.aep.flow_service import (
    CONNECTION_SPECS,
    CONNECTIONS,
    FLOW_SPECS,
    FLOWS,
    INVENTORIED,
    SOURCE_CONNECTIONS,
    TARGET_CONNECTIONS,
)
from crmflow.aep.gateway import ReadOnlyError
from crmflow.aep.models import IdentityDescriptor, MappingSetRef, PatchOperation
from crmflow.aep.sandboxes import SANDBOXES
from crmflow.aep.schema_registry import DESCRIPTORS, IDENTITY, SCHEMAS
from crmflow.http.errors import ErrorClass, RemoteError
from crmflow.reconcile.external.target_connection import DATA_LAKE_CONNECTION_SPEC_ID
from crmflow.reconcile.sources.offer import FLOW_SPEC_ID, FLOW_SPEC_NAME, ZOHO_CONNECTION_SPEC_ID
from tests.contract import platform as under_test
from tests.contract.aep import Aep
from tests.contract.platform import Body, PlatformUnderTest, mapping_transformation

NOT_FOUND = (ErrorClass.NOT_FOUND, "NotFound")
STALE = (ErrorClass.CONFLICT, "VersionConflict")
IN_USE = (ErrorClass.IN_USE, "InUse")
IN_TRANSITION = (ErrorClass.WAIT, "InTransition")
REFUSED = (ErrorClass.TERMINAL, "RequestRefused")

SPECS = {
    CONNECTIONS: ZOHO_CONNECTION_SPEC_ID,
    SOURCE_CONNECTIONS: ZOHO_CONNECTION_SPEC_ID,
    TARGET_CONNECTIONS: DATA_LAKE_CONNECTION_SPEC_ID,
    FLOWS: FLOW_SPEC_ID,
}
RENAME = [PatchOperation("replace", "/name", "Renamed"), PatchOperation("add", "/description", "anew")]


@pytest.fixture(params=["fake", "emulator"])
async def site(request: pytest.FixtureRequest, aep: Aep) -> AsyncIterator[PlatformUnderTest]:
    """Either of them."""
    if request.param == "fake":
        yield under_test.fake()
        return
    async with httpx.AsyncHTTPTransport() as http:
        yield under_test.emulator(aep, http)


async def refusal(call: Awaitable[object]) -> tuple[ErrorClass, str]:
    """Class and reason of the refusal that a call is answered with."""
    with pytest.raises(RemoteError) as raised:
        await call
    assert not raised.value.maybe_applied
    return raised.value.error_class, raised.value.reason


async def body_of(site: PlatformUnderTest, collection: AnyCollection) -> Body:
    """A body that the collection accepts."""
    if collection is CONNECTIONS:
        return site.connection_body()
    if collection is SOURCE_CONNECTIONS:
        connection = await site.platform.create(CONNECTIONS, site.connection_body())
        return await site.source_body(connection.id)
    return site.target_body() if collection is TARGET_CONNECTIONS else await site.flow_body()


async def created(site: PlatformUnderTest, collection: AnyCollection) -> Any:
    """An object of the collection as it is read, once it is settled."""
    made = await site.platform.create(collection, await body_of(site, collection))
    site.settle()
    return await site.platform.get(collection, made.id)


def declared(collection: AnyCollection, remote: Any) -> Any:
    """The part of an object that its creator declared. Secrets need not be shown, and the numbers in raw
    transformations may be texts (platform.md 16.1.4, 16.3.5).
    """
    found = replace(remote, id="", etag="", state="")
    if collection is CONNECTIONS:
        return replace(found, auth_params={})
    return replace(found, transformations=()) if collection is FLOWS else found


# Flow Service


@pytest.mark.parametrize("collection", INVENTORIED, ids=str)
async def test_what_was_created_is_read_and_listed(
    site: PlatformUnderTest, collection: AnyCollection
) -> None:
    body = await body_of(site, collection)
    made = await site.platform.create(collection, body)
    assert made.etag
    site.settle()
    remote = await site.platform.get(collection, made.id)
    assert (remote.id, remote.state) == (made.id, "enabled")
    assert declared(collection, remote) == declared(collection, collection.model(body))

    [item] = await site.platform.list(collection, OfSpec(SPECS[collection]))
    assert (item.id, item.etag, item.name) == (remote.id, remote.etag, remote.name)
    assert (item.description, item.state) == (remote.description, remote.state)
    parents = {
        *body.get("sourceConnectionIds", ()),
        *body.get("targetConnectionIds", ()),
        *filter(None, [body.get("baseConnectionId")]),
    }
    assert set(item.parents) == parents
    for nothing in (OfSpec("another"), WithIds(("nothing",))):
        assert not await site.platform.list(collection, nothing)
    [same] = await site.platform.list(collection, WithIds((made.id, "nothing")))
    assert same == item


async def test_a_listing_shows_the_oldest_first(site: PlatformUnderTest) -> None:
    made = [await site.platform.create(TARGET_CONNECTIONS, site.target_body(f"n{n}")) for n in range(3)]
    listed = await site.platform.list(TARGET_CONNECTIONS, OfSpec(DATA_LAKE_CONNECTION_SPEC_ID))
    assert [item.id for item in listed] == [one.id for one in made]


@pytest.mark.parametrize("collection", INVENTORIED, ids=str)
async def test_a_change_needs_the_version_that_it_was_made_for(
    site: PlatformUnderTest, collection: AnyCollection
) -> None:
    remote = await created(site, collection)
    patched = await site.platform.patch(collection, remote.id, remote.etag, RENAME)
    assert patched.id == remote.id
    site.settle()
    changed = await site.platform.get(collection, remote.id)
    assert (changed.name, changed.description) == ("Renamed", "anew")
    assert changed.etag != remote.etag

    back = [PatchOperation("replace", "/name", "Back")]
    assert await refusal(site.platform.patch(collection, remote.id, remote.etag, back)) == STALE
    assert await site.platform.get(collection, remote.id) == changed


@pytest.mark.parametrize("collection", INVENTORIED, ids=str)
async def test_what_is_deleted_is_gone(site: PlatformUnderTest, collection: AnyCollection) -> None:
    remote = await created(site, collection)
    await site.platform.delete(collection, remote.id)
    site.settle()
    assert await refusal(site.platform.get(collection, remote.id)) == NOT_FOUND
    assert await refusal(site.platform.patch(collection, remote.id, remote.etag, RENAME)) == NOT_FOUND
    assert await refusal(site.platform.delete(collection, remote.id)) == NOT_FOUND
    assert not await site.platform.list(collection, OfSpec(SPECS[collection]))
    assert not await site.platform.list(collection, WithIds((remote.id,)))


async def test_what_a_flow_uses_stays(site: PlatformUnderTest) -> None:
    flow, body = await site.flow()
    [source_id], [target_id] = body["sourceConnectionIds"], body["targetConnectionIds"]
    source = await site.platform.get(SOURCE_CONNECTIONS, source_id)
    used = {
        CONNECTIONS: source.base_connection_id,
        SOURCE_CONNECTIONS: source_id,
        TARGET_CONNECTIONS: target_id,
    }
    for collection, remote_id in used.items():
        assert await refusal(site.platform.delete(collection, remote_id)) == IN_USE
    await site.platform.delete(FLOWS, flow.id)
    site.settle()
    for collection, remote_id in used.items():
        await site.platform.delete(collection, remote_id)
        assert await refusal(site.platform.get(collection, remote_id)) == NOT_FOUND


EDITS = [
    pytest.param(
        [PatchOperation("replace", "/scheduleParams/interval", 2)],
        {"scheduleParams": {"interval": 2}},
        id="interval",
    ),
    pytest.param(
        [PatchOperation("replace", "/scheduleParams/frequency", "day")],
        {"scheduleParams": {"frequency": "day"}},
        id="frequency",
    ),
    pytest.param(
        [PatchOperation("replace", "/scheduleParams/backfill", False)],
        {"scheduleParams": {"backfill": False}},
        id="backfill",
    ),
    pytest.param(
        [PatchOperation("replace", "/options/errorDiagnosticsEnabled", False)],
        {"options": {"errorDiagnosticsEnabled": False}},
        id="error diagnostics",
    ),
    pytest.param(
        [PatchOperation("add", "/options/partialIngestionPercent", 9)],
        {"options": {"partialIngestionPercent": 9}},
        id="partial ingestion",
    ),
]


@pytest.mark.parametrize(("operations", "changes"), EDITS)
async def test_a_flow_is_edited_in_place(
    site: PlatformUnderTest, operations: list[PatchOperation], changes: dict[str, Body]
) -> None:
    made, body = await site.flow()
    flow = await site.platform.get(FLOWS, made.id)
    await site.platform.patch(FLOWS, flow.id, flow.etag, operations)
    site.settle()
    expected = {**body, **{name: {**body[name], **values} for name, values in changes.items()}}
    changed = await site.platform.get(FLOWS, flow.id)
    assert declared(FLOWS, changed) == declared(FLOWS, FLOWS.model(expected))
    assert changed.state == "enabled"


async def test_a_flow_moves_to_another_mapping_set(site: PlatformUnderTest) -> None:
    made, body = await site.flow()
    flow = await site.platform.get(FLOWS, made.id)
    mapping = mapping_transformation(await site.platform.create(MAPPING_SETS, site.mapping_set_body("b")))
    operations = [PatchOperation("replace", "/transformations/1", mapping)]
    await site.platform.patch(FLOWS, flow.id, flow.etag, operations)
    site.settle()
    expected = {**body, "transformations": [body["transformations"][0], mapping]}
    found = await site.platform.get(FLOWS, flow.id)
    assert declared(FLOWS, found) == declared(FLOWS, FLOWS.model(expected))


async def test_a_source_connection_is_edited_in_place(site: PlatformUnderTest) -> None:
    source = await created(site, SOURCE_CONNECTIONS)
    [column, *_] = await site.platform.columns(source.base_connection_id, "Contacts")
    other = await site.platform.create(CONNECTIONS, site.connection_body("Other"))
    operations = [
        PatchOperation("replace", "/params/tableName", "Leads"),
        PatchOperation("replace", "/params/columns", [column.raw]),
        PatchOperation("replace", "/baseConnectionId", other.id),
    ]
    await site.platform.patch(SOURCE_CONNECTIONS, source.id, source.etag, operations)
    found = await site.platform.get(SOURCE_CONNECTIONS, source.id)
    assert (found.table_name, found.column_names) == ("Leads", (column.name,))
    assert found.base_connection_id == other.id


async def test_authentication_parameters_are_replaced_as_a_whole(site: PlatformUnderTest) -> None:
    connection = await created(site, CONNECTIONS)
    params = {**site.auth["params"], "endpoint": "crm.zoho.com/crm/private"}
    operations = [PatchOperation("replace", "/auth/params", params)]
    await site.platform.patch(CONNECTIONS, connection.id, connection.etag, operations)
    found = await site.platform.get(CONNECTIONS, connection.id)
    assert found.auth_params["endpoint"] == "crm.zoho.com/crm/private"
    assert set(found.auth_params) == set(params)


async def test_a_flow_is_disabled_and_enabled_again(site: PlatformUnderTest) -> None:
    made, _ = await site.flow()
    before = await site.platform.get(FLOWS, made.id)
    for enable, state in ((False, "disabled"), (True, "enabled")):
        flow = await site.platform.get(FLOWS, made.id)
        assert (await site.platform.set_flow_state(flow.id, enable, flow.etag)).id == flow.id
        site.settle()
        changed = await site.platform.get(FLOWS, made.id)
        assert changed.state == state
        assert await refusal(site.platform.set_flow_state(flow.id, not enable, flow.etag)) == STALE
        again = await site.platform.set_flow_state(flow.id, enable, changed.etag)
        assert again.etag == changed.etag, "it is in that state already"
    await site.platform.set_flow_state(before.id, False, None)
    site.settle()
    assert (await site.platform.get(FLOWS, made.id)).state == "disabled"


async def test_a_flow_in_transition_is_left_alone(site: PlatformUnderTest) -> None:
    made, _ = await site.flow()
    site.hold(made.id)
    flow = await site.platform.get(FLOWS, made.id)
    assert flow.state == "updating"
    for call in (
        site.platform.patch(FLOWS, flow.id, flow.etag, RENAME),
        site.platform.set_flow_state(flow.id, False, flow.etag),
        site.platform.delete(FLOWS, flow.id),
    ):
        assert await refusal(call) == IN_TRANSITION


async def test_a_flow_needs_what_it_is_built_on(site: PlatformUnderTest) -> None:
    body = await site.flow_body()
    copy = body["transformations"][0]
    lacking = {"name": "Mapping", "params": {"mappingId": "nothing", "mappingVersion": 0}}
    create = site.platform.create
    assert await refusal(create(FLOWS, {**body, "sourceConnectionIds": ["nothing"]})) == NOT_FOUND
    assert await refusal(create(FLOWS, {**body, "targetConnectionIds": ["nothing"]})) == NOT_FOUND
    assert await refusal(create(FLOWS, {**body, "transformations": [copy, lacking]})) == (
        ErrorClass.CONFLICT,
        "MappingVersionConflict",
    )
    await create(FLOWS, body)
    assert (await refusal(create(FLOWS, body)))[0] is ErrorClass.BUG, "its connections belong to the first"
    assert len(await site.platform.list(FLOWS, OfSpec(FLOW_SPEC_ID))) == 1


async def test_a_source_connection_needs_its_base_connection(site: PlatformUnderTest) -> None:
    body = await body_of(site, SOURCE_CONNECTIONS)
    create = site.platform.create(SOURCE_CONNECTIONS, {**body, "baseConnectionId": "nothing"})
    assert await refusal(create) == NOT_FOUND


async def test_a_target_connection_needs_its_dataset(site: PlatformUnderTest) -> None:
    create = site.platform.create(TARGET_CONNECTIONS, site.target_body(dataset_id="nothing"))
    assert await refusal(create) == (ErrorClass.TERMINAL, "DatasetNotFound")


# Batches


async def test_a_batch_names_the_files_that_it_was_made_from(site: PlatformUnderTest) -> None:
    files = [f"dlz-user-container/a/{number}.csv" for number in range(1200)]
    site.keep("01HB", files)
    assert list(await site.platform.batch_files("01HB")) == files
    site.keep("01HC", [])
    assert list(await site.platform.batch_files("01HC")) == []
    assert await refusal(site.platform.batch_files("nothing")) == NOT_FOUND


# A base connection's view of the source


async def test_a_base_connection_shows_tables_and_columns(site: PlatformUnderTest) -> None:
    connection = await created(site, CONNECTIONS)
    assert await site.platform.test_connection(connection.id)
    assert {"Contacts", "Leads"} <= {table.name for table in await site.platform.tables(connection.id)}
    columns = {column.name: column for column in await site.platform.columns(connection.id, "Contacts")}
    assert columns["Modified_Time"].is_date
    assert not columns["Email"].is_date
    assert await refusal(site.platform.test_connection("nothing")) == NOT_FOUND
    assert await refusal(site.platform.tables("nothing")) == NOT_FOUND
    assert await refusal(site.platform.columns("nothing", "Contacts")) == NOT_FOUND


async def test_specifications(site: PlatformUnderTest) -> None:
    connection_spec = await site.platform.get(CONNECTION_SPECS, ZOHO_CONNECTION_SPEC_ID)
    assert (connection_spec.id, connection_spec.version) == (ZOHO_CONNECTION_SPEC_ID, "1.0")
    assert connection_spec.auth_specs[0].name == site.auth["specName"]
    assert await refusal(site.platform.get(CONNECTION_SPECS, "nothing")) == NOT_FOUND
    [flow_spec] = await site.platform.list(FLOW_SPECS, Named(FLOW_SPEC_NAME))
    assert (flow_spec.id, flow_spec.name) == (FLOW_SPEC_ID, FLOW_SPEC_NAME)
    assert ZOHO_CONNECTION_SPEC_ID in flow_spec.source_connection_spec_ids
    assert DATA_LAKE_CONNECTION_SPEC_ID in flow_spec.target_connection_spec_ids
    assert not await site.platform.list(FLOW_SPECS, Named("nothing"))


async def test_the_sandbox_itself(site: PlatformUnderTest) -> None:
    sandboxes = {sandbox.name: sandbox for sandbox in await site.platform.list(SANDBOXES)}
    assert (sandboxes["prod"].state, sandboxes["prod"].type) == ("active", "production")


# Mapping sets


async def test_a_mapping_set_is_found_by_name_and_read_by_version(site: PlatformUnderTest) -> None:
    body = site.mapping_set_body("crmflow:test:1")
    assert not await site.platform.list(MAPPING_SETS, Named("crmflow:test:1"))
    made = [await site.platform.create(MAPPING_SETS, body) for _ in range(2)]
    await site.platform.create(MAPPING_SETS, site.mapping_set_body("crmflow:test:12"))
    found = await site.platform.list(MAPPING_SETS, Named("crmflow:test:1"))
    assert list(found) == [MappingSetRef(one.id, 0) for one in made], "the oldest first"
    assert [one.version for one in made] == [0, 0]

    assert await site.platform.get(MAPPING_SETS, made[0].id, 0) == MAPPING_SETS.model(body)
    assert await refusal(site.platform.get(MAPPING_SETS, made[0].id, 7)) == NOT_FOUND
    assert await refusal(site.platform.get(MAPPING_SETS, "nothing", 0)) == NOT_FOUND


async def test_a_mapping_that_fits_is_validated_without_a_trace(site: PlatformUnderTest) -> None:
    body = site.mapping_set_body("crmflow:test:2")
    assert [check.ok for check in await site.platform.validate_mapping(body)] == [True]
    assert not await site.platform.list(MAPPING_SETS, Named("crmflow:test:2"))


# Schemas and datasets

PROFILE_CLASS = "https://ns.adobe.com/xdm/context/profile"
PERSONAL_DETAILS = "https://ns.adobe.com/xdm/context/profile-personal-details"
JOIN_UNION = [PatchOperation("add", "/meta:immutableTags", ["union"])]


def schema_body(title: str) -> Body:
    parts = [{"$ref": part} for part in (PROFILE_CLASS, PERSONAL_DETAILS)]
    return {"type": "object", "title": title, "description": "ours", "allOf": parts}


def dataset_body(name: str, schema_id: str, **more: Any) -> Body:
    reference = {"id": schema_id, "contentType": "application/vnd.adobe.xed+json;version=1"}
    return {"name": name, "description": "ours", "schemaRef": reference, **more}


PROFILE_TAGS = {"unifiedProfile": ["enabled:true"], "unifiedIdentity": ["enabled:true"]}


async def test_a_schema_is_created_and_joins_the_union(site: PlatformUnderTest) -> None:
    made = await site.platform.create(SCHEMAS, schema_body("New"))
    assert made.version == 1
    schema = await site.platform.get(SCHEMAS, made.id)
    assert (schema.id, schema.title, schema.version) == (made.id, "New", "1.0")
    assert (schema.description, schema.profile_enabled) == ("ours", False)

    await site.platform.create(SCHEMAS, schema_body("New one"))
    assert [found.id for found in await site.platform.list(SCHEMAS, Named("New"))] == [made.id]
    await site.platform.patch(SCHEMAS, made.id, None, JOIN_UNION)
    schema = await site.platform.get(SCHEMAS, made.id)
    assert (schema.version, schema.profile_enabled) == ("1.1", True)
    [listed] = await site.platform.list(SCHEMAS, Named("New"))
    assert (listed.description, listed.profile_enabled) == ("", False), "a listing shows less"
    assert await refusal(site.platform.get(SCHEMAS, "https://ns.adobe.com/nothing")) == NOT_FOUND


async def test_a_schema_has_one_primary_identity(site: PlatformUnderTest) -> None:
    made = await site.platform.create(SCHEMAS, schema_body("New"))
    body = {
        "@type": IDENTITY,
        "xdm:sourceSchema": made.id,
        "xdm:sourceVersion": 1,
        "xdm:sourceProperty": "/personalEmail/address",
        "xdm:namespace": "Email",
        "xdm:property": "xdm:code",
        "xdm:isPrimary": True,
    }
    before = await site.platform.list(DESCRIPTORS)
    assert made.id not in {found.schema_id for found in before}
    assert (await site.platform.create(DESCRIPTORS, body)).id
    found = [known for known in await site.platform.list(DESCRIPTORS) if known.schema_id == made.id]
    assert found == [IdentityDescriptor(made.id, is_primary=True)]
    assert await refusal(site.platform.create(DESCRIPTORS, body)) == REFUSED
    elsewhere = {**body, "xdm:sourceSchema": "https://ns.adobe.com/nothing"}
    assert await refusal(site.platform.create(DESCRIPTORS, elsewhere)) == NOT_FOUND


async def test_a_dataset_is_created_and_found_by_name(site: PlatformUnderTest) -> None:
    body = dataset_body("New", site.schema_id)
    made = await site.platform.create(DATA_SETS, body)
    await site.platform.create(DATA_SETS, dataset_body("New one", site.schema_id))
    expected = DATA_SETS.model({**body, "id": made.id})
    assert await site.platform.get(DATA_SETS, made.id) == expected
    assert list(await site.platform.list(DATA_SETS, Named("New"))) == [expected]
    [seeded] = await site.platform.list(DATA_SETS, Named(site.dataset_name))
    assert (seeded.id, seeded.schema_id) == (site.dataset_id, site.schema_id)
    assert await refusal(site.platform.get(DATA_SETS, "nothing")) == NOT_FOUND


async def test_a_dataset_for_profile_needs_a_schema_for_profile(site: PlatformUnderTest) -> None:
    schema = await site.platform.create(SCHEMAS, schema_body("New"))
    body = dataset_body("New", schema.id, tags=PROFILE_TAGS)
    assert await refusal(site.platform.create(DATA_SETS, body)) == REFUSED
    await site.platform.patch(SCHEMAS, schema.id, None, JOIN_UNION)
    made = await site.platform.create(DATA_SETS, body)
    assert (await site.platform.get(DATA_SETS, made.id)).profile_enabled
    elsewhere = dataset_body("Other", "https://ns.adobe.com/nothing")
    assert await refusal(site.platform.create(DATA_SETS, elsewhere)) == REFUSED


# A sandbox without writes


async def test_a_read_only_sandbox_reads_and_changes_nothing(site: PlatformUnderTest) -> None:
    made, body = await site.flow()
    before = await site.platform.get(FLOWS, made.id)
    looking = site.platform.read_only()
    for call in (
        looking.create(TARGET_CONNECTIONS, site.target_body()),
        looking.patch(FLOWS, made.id, before.etag, RENAME),
        looking.set_flow_state(made.id, False, None),
        looking.delete(FLOWS, made.id),
    ):
        with pytest.raises(ReadOnlyError):
            await call
    assert await looking.get(FLOWS, made.id) == before
    assert len(await looking.list(TARGET_CONNECTIONS, OfSpec(DATA_LAKE_CONNECTION_SPEC_ID))) == 1
    source = await looking.get(SOURCE_CONNECTIONS, body["sourceConnectionIds"][0])
    assert await looking.test_connection(source.base_connection_id)
    assert [check.ok for check in await looking.validate_mapping(site.mapping_set_body())] == [True]
