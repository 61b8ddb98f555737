"""What is sent to AEP, and what is read out of its answers."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from crmflow.aep.catalog import DATA_SETS
from crmflow.aep.client import PlatformClient
from crmflow.aep.collection import AnyCollection, Named, OfSpec, Selection, StartedAfter, WithIds
from crmflow.aep.data_prep import MAPPING_SETS
from crmflow.aep.errors import found
from crmflow.aep.flow_service import (
    CONNECTION_SPECS,
    CONNECTIONS,
    FLOW_SPECS,
    FLOWS,
    RUNS,
    SOURCE_CONNECTIONS,
    TARGET_CONNECTIONS,
)
from crmflow.aep.gateway import ReadOnlyError
from crmflow.aep.models import (
    AuthSpec,
    Column,
    ConnectionSpec,
    Created,
    DataSet,
    FieldMapping,
    Flow,
    FlowOptions,
    FlowSpec,
    IdentityDescriptor,
    MappingCheck,
    PatchOperation,
    Run,
    Sandbox,
    ScheduleParams,
    Schema,
    SourceConnection,
    SourceType,
    Table,
    TargetConnection,
)
from crmflow.aep.sandboxes import SANDBOXES
from crmflow.aep.schema_registry import DESCRIPTORS, SCHEMAS
from crmflow.http.errors import ErrorClass, RemoteError
from tests.unit.aep.fake import Fake, error

ZOHO = "929e4450-0237-4ed2-9404-b7e1e0a00309"
DATA_LAKE = "c604ff05-7f1a-43c0-8e18-33bf874cb11c"
ETAG = '"1a0037e4-0000-0200-0000-602e06f60000"'
FS = "/data/foundation/flowservice"
CREATED = {"id": "id-1", "etag": ETAG}
SCHEMA_ID = "https://ns.adobe.com/tenant/schemas/0123456789abcdef"
CONTENT_TYPE = "application/vnd.adobe.xed-full+json;version=1"


# The gateway


async def test_every_request_has_the_headers_of_the_gateway() -> None:
    fake = Fake({"sandboxes": []})
    await fake.client.list(SANDBOXES)
    headers = fake.request.headers
    assert headers["authorization"] == "Bearer token-1"
    assert headers["x-api-key"] == "client-id"
    assert headers["x-gw-ims-org-id"] == "ORG@AdobeOrg"
    assert headers["x-sandbox-name"] == "prod"
    assert headers["accept"] == "application/json"


@pytest.mark.parametrize(
    "rejection",
    [
        (401, {"error_code": "401013", "message": "Oauth token is not valid"}),
        (401, {"error_code": 401013, "message": "Oauth token is not valid"}),
        (401, {"message": "Unauthorized"}),
        (401, "<html>Unauthorized</html>"),
        (401, None),
    ],
    ids=["documented", "a number", "no code", "html", "empty"],
)
async def test_a_rejected_token_is_replaced_once(rejection: Any) -> None:
    fake = Fake(rejection, (201, CREATED))
    await fake.client.create(TARGET_CONNECTIONS, {"name": "n"})
    assert fake.tokens.rejected == ["token-1"]
    assert [request.headers["authorization"] for request in fake.requests] == [
        "Bearer token-1",
        "Bearer token-2",
    ]
    assert fake.requests[0].content == fake.requests[1].content

    fake = Fake(rejection, rejection)
    with pytest.raises(RemoteError) as raised:
        await fake.client.get(FLOWS, "f")
    assert raised.value.reason == "PlatformTokenRejected"
    assert fake.tokens.rejected == ["token-1"]


@pytest.mark.parametrize("answer", [(401, {"error_code": "401000"}), error("FLOW-2000-401"), (403, None)])
async def test_no_other_refusal_is_tried_again(answer: Any) -> None:
    fake = Fake(answer)
    with pytest.raises(RemoteError):
        await fake.client.get(FLOWS, "f")
    assert fake.tokens.rejected == []


async def test_ids_cannot_leave_their_place_in_the_path() -> None:
    fake = Fake((204, None))
    await fake.client.delete(FLOWS, "../connections/x?y#z")
    assert fake.line == ("DELETE", f"{FS}/flows/..%2Fconnections%2Fx%3Fy%23z")


# Sandboxes and specs


async def test_sandboxes() -> None:
    raw = {"name": "prod", "state": "active", "type": "production", "region": "VA7", "isDefault": True}
    fake = Fake({"sandboxes": [raw, {"name": "dev"}], "_page": {}})
    assert await fake.client.list(SANDBOXES) == (
        Sandbox("prod", "active", "production", "VA7"),
        Sandbox("dev", "", "", ""),
    )
    assert fake.line == ("GET", "/data/foundation/sandbox-management/")


SPEC = {
    "id": ZOHO,
    "name": "zoho-crm",
    "version": "1.0",
    "authSpec": [{"name": "Basic Authentication", "spec": {"required": ["endpoint", "accessToken"]}}],
}


@pytest.mark.parametrize("body", [{"items": [SPEC]}, SPEC, [SPEC]], ids=["envelope", "bare", "list"])
async def test_connection_spec(body: Any) -> None:
    fake = Fake(body)
    assert await fake.client.get(CONNECTION_SPECS, ZOHO) == ConnectionSpec(
        ZOHO, "zoho-crm", "1.0", (AuthSpec("Basic Authentication", ("endpoint", "accessToken")),)
    )
    assert fake.line == ("GET", f"{FS}/connectionSpecs/{ZOHO}")


@pytest.mark.parametrize("answer", [error("FLOW-1101-404"), {"items": []}])
async def test_a_withdrawn_connection_spec_is_none(answer: Any) -> None:
    assert await found(Fake(answer).client.get(CONNECTION_SPECS, ZOHO)) is None


async def test_a_missing_sandbox_does_not_look_like_a_withdrawn_spec() -> None:
    with pytest.raises(RemoteError) as raised:
        await found(Fake(error("FLOW-2100-404")).client.get(CONNECTION_SPECS, ZOHO))
    assert raised.value.reason == "SandboxNotFound"


FLOW_SPEC = {
    "id": "14518937",
    "name": "CRMToAEP",
    "version": "1.0",
    "sourceConnectionSpecIds": [ZOHO, "other"],
    "targetConnectionSpecIds": [DATA_LAKE],
}


@pytest.mark.parametrize(
    "body", [{"items": [{"id": "x", "name": "CRMToAEP2"}, FLOW_SPEC]}, FLOW_SPEC], ids=["envelope", "bare"]
)
async def test_flow_spec(body: Any) -> None:
    fake = Fake(body)
    assert await fake.client.list(FLOW_SPECS, Named("CRMToAEP")) == (
        FlowSpec("14518937", "CRMToAEP", "1.0", (ZOHO, "other"), (DATA_LAKE,)),
    )
    assert fake.request.url.path == f"{FS}/flowSpecs"
    assert fake.request.url.params["property"] == 'name=="CRMToAEP"'


async def test_no_flow_spec() -> None:
    assert await Fake({"items": [], "_links": {}}).client.list(FLOW_SPECS, Named("CRMToAEP")) == ()


# The five verbs

FLOW_SERVICE = [CONNECTIONS, SOURCE_CONNECTIONS, TARGET_CONNECTIONS, FLOWS]


@pytest.mark.parametrize("collection", FLOW_SERVICE, ids=str)
async def test_create(collection: AnyCollection) -> None:
    fake = Fake((201, CREATED))
    body = {"name": "name", "auth": {"params": {"clientId": "c", "secrets": [SecretStr("s")]}}}
    assert await fake.client.create(collection, body) == Created("id-1", ETAG)
    assert fake.line == ("POST", f"{FS}/{collection}")
    assert fake.body == {"name": "name", "auth": {"params": {"clientId": "c", "secrets": ["s"]}}}


@pytest.mark.parametrize(
    ("collection", "verb"),
    [
        (DATA_SETS, "delete"),
        (DATA_SETS, "patch"),
        (MAPPING_SETS, "delete"),
        (SCHEMAS, "delete"),
        (RUNS, "get"),
        (RUNS, "create"),
        (CONNECTION_SPECS, "list"),
        (SANDBOXES, "create"),
    ],
    ids=str,
)
async def test_a_verb_that_a_collection_does_not_have_is_not_sent(
    collection: AnyCollection, verb: str
) -> None:
    fake = Fake()
    arguments: dict[str, tuple[Any, ...]] = {"list": (), "create": ({},), "patch": ("x", None, [])}
    with pytest.raises(LookupError):
        await getattr(fake.client, verb)(collection, *arguments.get(verb, ("x",)))
    assert fake.requests == []


@pytest.mark.parametrize(
    ("collection", "selection"),
    [
        (FLOWS, None),
        (FLOWS, StartedAfter(0.0)),
        (FLOW_SPECS, OfSpec("x")),
        (SCHEMAS, StartedAfter(0.0)),
        (DATA_SETS, WithIds(("x",))),
        (MAPPING_SETS, None),
        (SANDBOXES, Named("prod")),
        (DESCRIPTORS, Named("x")),
    ],
    ids=str,
)
async def test_a_selection_that_a_service_does_not_offer_is_not_sent(
    collection: AnyCollection, selection: Selection
) -> None:
    fake = Fake()
    with pytest.raises(LookupError):
        await fake.client.list(collection, selection)
    assert fake.requests == []


CHANGES: dict[str, Callable[[PlatformClient], Awaitable[object]]] = {
    "create": lambda client: client.create(FLOWS, {}),
    "create elsewhere": lambda client: client.create(DATA_SETS, {}),
    "patch": lambda client: client.patch(FLOWS, "f", ETAG, []),
    "delete": lambda client: client.delete(FLOWS, "f"),
    "enable": lambda client: client.set_flow_state("f", True, ETAG),
    "retry": lambda client: client.retry_run("r"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=list(CHANGES))
async def test_no_change_is_sent_through_a_read_only_client(
    change: Callable[[PlatformClient], Awaitable[object]],
) -> None:
    fake = Fake()
    with pytest.raises(ReadOnlyError):
        await change(fake.client.read_only())
    assert fake.requests == []


async def test_a_read_only_client_reads_and_validates() -> None:
    fake = Fake({"items": [{"id": "f", "etag": ETAG}]}, {"result": True}, {"validationResponse": []})
    client = fake.client.read_only()
    assert (await client.get(FLOWS, "f")).id == "f"
    assert await client.test_connection("bc")
    assert await client.validate_mapping({"mappings": []}) == ()
    assert fake.versions == [("f", ETAG)]


@pytest.mark.parametrize("body", ["", "<html>", {}, [], {"items": []}, {"etag": ETAG}])
async def test_a_create_without_an_id_may_have_created(body: Any) -> None:
    fake = Fake((201, body))
    with pytest.raises(RemoteError) as raised:
        await fake.client.create(CONNECTIONS, {})
    assert raised.value.reason == "UnreadableAnswer"
    assert raised.value.maybe_applied


async def test_connection() -> None:
    raw = {
        "id": "bc",
        "etag": ETAG,
        "version": ETAG,
        "name": "name",
        "description": "text",
        "state": "enabled",
        "connectionSpec": {"id": ZOHO, "version": "1.0"},
        "auth": {"specName": "Basic Authentication", "params": {"clientId": "c", "clientSecret": "in clear"}},
    }
    fake = Fake({"items": [raw]})
    found = await fake.client.get(CONNECTIONS, "bc")
    assert (found.id, found.etag, found.name, found.description) == ("bc", ETAG, "name", "text")
    assert (found.state, found.connection_spec_id) == ("enabled", ZOHO)
    assert found.auth_spec_name == "Basic Authentication"
    assert found.auth_params["clientId"] == "c"
    assert "in clear" not in repr(found)
    assert fake.line == ("GET", f"{FS}/connections/bc")


@pytest.mark.parametrize(
    "answer", [error("FLOW-1101-404"), error("FLOW-1439-404"), (404, None), {"items": []}]
)
async def test_what_is_not_there_is_not_found(answer: Any) -> None:
    with pytest.raises(RemoteError) as raised:
        await Fake(answer).client.get(CONNECTIONS, "bc")
    assert raised.value.error_class is ErrorClass.NOT_FOUND


@pytest.mark.parametrize("page", ["<html><h1>404 Not Found</h1></html>", "no healthy upstream", "<"])
@pytest.mark.parametrize(
    ("verb", "collection"), [("get", FLOWS), ("delete", FLOWS), ("get", DATA_SETS), ("get", SCHEMAS)], ids=str
)
async def test_a_page_of_what_stands_between_is_not_taken_for_a_missing_object(
    verb: str, collection: AnyCollection, page: str
) -> None:
    """No service of Platform's answers in anything but JSON: what this answer is about may be there."""
    with pytest.raises(RemoteError) as raised:
        await getattr(Fake((404, page)).client, verb)(collection, "f")
    error = raised.value
    assert (error.error_class, error.reason) == (ErrorClass.TRANSIENT, "UnexpectedAnswer")
    assert not error.maybe_applied


@pytest.mark.parametrize("body", ["", "<html>", "null", "5", {}])
async def test_an_odd_answer_is_not_taken_for_a_missing_object(body: Any) -> None:
    with pytest.raises(RemoteError) as raised:
        await Fake((200, body)).client.get(FLOWS, "f")
    assert raised.value.reason == "UnreadableAnswer"


async def test_patch() -> None:
    fake = Fake(CREATED)
    operations = [
        PatchOperation("replace", "/auth/params", {"clientSecret": SecretStr("hidden")}),
        PatchOperation("add", "/description", "text"),
        PatchOperation("remove", "/labels"),
    ]
    assert await fake.client.patch(CONNECTIONS, "bc", ETAG, operations) == Created("id-1", ETAG)
    assert "hidden" not in repr(operations[0])
    assert fake.line == ("PATCH", f"{FS}/connections/bc")
    assert fake.request.headers["if-match"] == ETAG
    assert fake.body == [
        {"op": "replace", "path": "/auth/params", "value": {"clientSecret": "hidden"}},
        {"op": "add", "path": "/description", "value": "text"},
        {"op": "remove", "path": "/labels"},
    ]


@pytest.mark.parametrize(
    ("body", "etag"), [({"items": [{"id": "sc", "etag": "e2"}]}, "e2"), ({"id": "sc"}, None), ("", None)]
)
async def test_a_patch_may_answer_with_a_list_or_nothing(body: Any, etag: str | None) -> None:
    patched = await Fake((200, body)).client.patch(SOURCE_CONNECTIONS, "sc", "e1", [])
    assert patched == Created("sc", etag)


async def test_a_stale_etag_is_a_conflict() -> None:
    with pytest.raises(RemoteError) as raised:
        await Fake(error("FLOW-1404-412")).client.patch(FLOWS, "f", "old", [])
    assert raised.value.error_class is ErrorClass.CONFLICT


@pytest.mark.parametrize("result", [True, False])
async def test_test_connection(result: bool) -> None:
    fake = Fake({"result": result})
    assert await fake.client.test_connection("bc") is result
    assert fake.line == ("GET", f"{FS}/connections/bc/test")


async def test_the_connectors_reason_is_passed_on() -> None:
    with pytest.raises(RemoteError) as raised:
        await Fake(error("FLOW-1308-400", "The access token is expired.")).client.test_connection("bc")
    assert raised.value.reason == "SourceRefused"
    assert "The access token is expired." in raised.value.message


async def test_tables() -> None:
    fake = Fake(
        [
            {"type": "table", "name": "Leads", "path": "Crm.Leads"},
            {"type": "folder", "name": "x"},
            {"name": "y"},
        ]
    )
    assert await fake.client.tables("bc") == (Table("Leads", "Crm.Leads"), Table("y", "y"))
    assert fake.line == ("GET", f"{FS}/connections/bc/explore?objectType=root")


NEW_COLUMNS = [
    {"name": "Email", "type": "string", "xdm": {"type": "string"}},
    {
        "name": "Modified_Time",
        "type": "string",
        "meta:xdmType": "date-time",
        "xdm": {"type": "string", "format": "date-time"},
    },
    {"name": "Birthday", "type": "string", "xdm": {"type": "string", "format": "date"}},
]
OLD_COLUMNS = [
    {"name": "Email", "type": "String", "meta": {"originalType": "String"}},
    {"name": "Modified_Time", "type": "DateTime", "meta": {"originalType": "DateTime"}},
    {"name": "Created_Time", "type": "string", "meta": {"originalType": "DateTimeOffset"}},
    {"name": "Closed_Time", "type": "TIMESTAMP_TZ"},
]


@pytest.mark.parametrize("wrap", [lambda body: body, lambda body: [body]], ids=["object", "list"])
@pytest.mark.parametrize("columns", [NEW_COLUMNS, OLD_COLUMNS], ids=["new", "old"])
async def test_columns(columns: list[dict[str, Any]], wrap: Any) -> None:
    fake = Fake(wrap({"format": "flat", "schema": {"columns": columns}}))
    found = await fake.client.columns("bc", "Crm.Leads")
    assert [column.raw for column in found] == columns
    assert [column.is_date for column in found] == [column["name"] != "Email" for column in columns]
    assert found[0] == Column("Email", "string", False, columns[0])
    assert fake.line == ("GET", f"{FS}/connections/bc/explore?objectType=table&object=Crm.Leads")


@pytest.mark.parametrize("body", [{}, [], {"schema": {}}, "5"])
async def test_no_columns_are_not_an_empty_table(body: Any) -> None:
    with pytest.raises(RemoteError) as raised:
        await Fake((200, body)).client.columns("bc", "Leads")
    assert raised.value.reason == "UnreadableAnswer"


# Source and target connections


async def test_source_connection() -> None:
    raw = {
        "id": "sc",
        "version": ETAG,
        "name": "n",
        "description": "d",
        "state": "enabled",
        "baseConnectionId": "bc",
        "data": {"format": "tabular", "schema": None, "properties": None},
        "params": {"tableName": "Leads", "columns": NEW_COLUMNS},
        "connectionSpec": {"id": ZOHO},
    }
    assert await Fake({"items": [raw]}).client.get(SOURCE_CONNECTIONS, "sc") == SourceConnection(
        "sc", ETAG, "n", "d", "enabled", "bc", ZOHO, "Leads", ("Email", "Modified_Time", "Birthday")
    )


async def test_target_connection() -> None:
    raw = {
        "id": "tc",
        "etag": ETAG,
        "name": "n",
        "state": "enabled",
        "data": {"schema": {"id": SCHEMA_ID, "version": CONTENT_TYPE}},
        "params": {"dataSetId": "ds"},
        "connectionSpec": {"id": DATA_LAKE},
    }
    assert await Fake({"items": [raw]}).client.get(TARGET_CONNECTIONS, "tc") == TargetConnection(
        "tc", ETAG, "n", "", "enabled", DATA_LAKE, SCHEMA_ID, CONTENT_TYPE, "ds"
    )


# Flows


RAW_FLOW: dict[str, Any] = {
    "id": "f",
    "etag": ETAG,
    "name": "n",
    "description": "d",
    "state": "enabled",
    "flowSpec": {"id": "spec", "version": "1.0"},
    "sourceConnectionIds": ["sc"],
    "targetConnectionIds": ["tc"],
    "transformations": [
        {"name": "Copy", "params": {"deltaColumn": {"name": "Modified_Time"}}},
        {"name": "Mapping", "params": {"mappingId": "m", "mappingVersion": 0}},
    ],
    "options": {"errorDiagnosticsEnabled": True, "partialIngestionPercent": 5},
    "scheduleParams": {"startTime": 1612310466, "frequency": "minute", "interval": 15, "backfill": True},
    "lastRunDetails": {
        "id": "r",
        "state": "success",
        "startedAtUTC": 1612310500123,
        "completedAtUTC": 1612310600000,
    },
}
FLOW = Flow(
    id="f",
    etag=ETAG,
    name="n",
    description="d",
    state="enabled",
    flow_spec_id="spec",
    source_connection_ids=("sc",),
    target_connection_ids=("tc",),
    schedule=ScheduleParams(1612310466, "minute", 15, True),
    delta_column="Modified_Time",
    mapping_set_id="m",
    mapping_version=0,
    options=FlowOptions(True, 5),
    last_run=Run("r", "f", "success", 1612310500.123, 1612310600.0),
    transformations=tuple(RAW_FLOW["transformations"]),
)


async def test_flow() -> None:
    fake = Fake({"items": [RAW_FLOW]})
    assert await fake.client.get(FLOWS, "f") == FLOW
    assert fake.line == ("GET", f"{FS}/flows/f")


async def test_numbers_and_truth_values_may_be_strings() -> None:
    """platform.md 16.1, 4: written as numbers, read back as strings."""
    raw = json.loads(json.dumps(RAW_FLOW))
    raw["scheduleParams"] = {
        "startTime": "1612310466",
        "frequency": "MINUTE",
        "interval": "15",
        "backfill": "true",
    }
    raw["options"] = {"errorDiagnosticsEnabled": "true", "partialIngestionPercent": "5"}
    raw["transformations"][1]["params"]["mappingVersion"] = "0"
    raw["lastRunDetails"].update(state="SUCCESS", startedAtUTC="1612310500123")
    found = await Fake({"items": [raw]}).client.get(FLOWS, "f")
    assert (found.schedule, found.options, found.mapping_version) == (FLOW.schedule, FLOW.options, 0)
    assert found.last_run == FLOW.last_run


@pytest.mark.parametrize("start", [0, -1, "1612310466000", 1e30, "soon", None])
async def test_a_start_that_is_no_time_is_none(start: Any) -> None:
    raw = {**RAW_FLOW, "scheduleParams": {"startTime": start, "frequency": "minute", "interval": 15}}
    found = await Fake({"items": [raw]}).client.get(FLOWS, "f")
    assert found.schedule.start_time is None


async def test_a_flow_that_never_ran() -> None:
    found = await Fake({"items": [{"id": "f", "scheduleParams": {"frequency": "once"}}]}).client.get(
        FLOWS, "f"
    )
    assert found.schedule == ScheduleParams(None, "once", None, None)
    assert found.options == FlowOptions(None, None)
    assert (found.delta_column, found.mapping_set_id, found.mapping_version) == (None, None, None)
    assert found.last_run is None


async def test_a_run_under_way() -> None:
    raw = {"id": "f", "lastRunDetails": {"id": "r", "state": "IN_PROGRESS", "startedAtUTC": 1612310500000}}
    found = await Fake({"items": [raw]}).client.get(FLOWS, "f")
    assert found.last_run == Run("r", "f", "inProgress", 1612310500.0, None)


@pytest.mark.parametrize(("enable", "op"), [(True, "enable"), (False, "disable")])
@pytest.mark.parametrize("etag", [None, ETAG])
async def test_enabling_is_an_action(enable: bool, op: str, etag: str | None) -> None:
    fake = Fake(CREATED)
    assert await fake.client.set_flow_state("f", enable, etag) == Created("id-1", ETAG)
    assert fake.line == ("POST", f"{FS}/flows/f/action?op={op}")
    assert fake.request.headers.get("if-match") == etag
    assert fake.request.content == b""


@pytest.mark.parametrize("collection", FLOW_SERVICE, ids=str)
async def test_delete(collection: AnyCollection) -> None:
    fake = Fake((204, None))
    await fake.client.delete(collection, "x")
    assert fake.line == ("DELETE", f"{FS}/{collection}/x")
    assert fake.request.headers["x-sandbox-name"] == "prod"

    for answer, error_class in (
        (error("FLOW-1101-404"), ErrorClass.NOT_FOUND),
        (error("FLOW-1418-400"), ErrorClass.IN_USE),
        (error("FLOW-1416-400"), ErrorClass.WAIT),
    ):
        with pytest.raises(RemoteError) as raised:
            await Fake(answer).client.delete(collection, "x")
        assert raised.value.error_class is error_class


# Data Prep, Schema Registry, Catalog

MAPPINGS = [
    FieldMapping(SourceType.ATTRIBUTE, "Email", "personalEmail.address"),
    FieldMapping(SourceType.EXPRESSION, 'concat(First_Name," ",Last_Name)', "person.name.fullName"),
    FieldMapping(SourceType.STATIC, "zoho", "_tenant.origin"),
]
MAPPING_BODY = {
    "outputSchema": {"schemaRef": {"id": SCHEMA_ID, "contentType": CONTENT_TYPE}},
    "mappings": [
        {"sourceType": "ATTRIBUTE", "source": "Email", "destination": "personalEmail.address"},
        {
            "sourceType": "EXPRESSION",
            "source": 'concat(First_Name," ",Last_Name)',
            "destination": "person.name.fullName",
        },
        {"sourceType": "STATIC", "source": "zoho", "destination": "_tenant.origin"},
    ],
}


async def test_validate_mapping() -> None:
    failed = {
        "status": "FAILED",
        "errors": [{"source": "x", "exception": "No <i>such</i> field"}, {"exception": "b"}],
    }
    fake = Fake(
        {
            "validationResponse": [
                {"status": "SUCCESS", "errors": None},
                failed,
                {"status": "FAILED", "errors": None},
            ]
        }
    )
    assert await fake.client.validate_mapping(MAPPING_BODY) == (
        MappingCheck(True, ""),
        MappingCheck(False, "No such field; b"),
        MappingCheck(False, "Data Prep gave no reason"),
    )
    assert fake.line == ("POST", "/data/foundation/conversion/mappingSets/validate")
    assert fake.body == MAPPING_BODY


@pytest.mark.parametrize("verdicts", [[], [{"status": "SUCCESS"}], [{"status": "SUCCESS"}] * 4])
async def test_every_mapping_needs_a_verdict(verdicts: list[Any]) -> None:
    with pytest.raises(RemoteError) as raised:
        await Fake({"validationResponse": verdicts}).client.validate_mapping(MAPPING_BODY)
    assert raised.value.reason == "UnreadableAnswer"


async def test_create_mapping_set() -> None:
    fake = Fake({"id": "m", "version": 0})
    body = {"name": "crmflow:x:y", **MAPPING_BODY}
    assert await fake.client.create(MAPPING_SETS, body) == Created("m", version=0)
    assert fake.line == ("POST", "/data/foundation/conversion/mappingSets")
    assert fake.body == body


async def test_mapping_set() -> None:
    """Both families of fields, and types as they are written and as they are read (platform.md 8)."""
    read = [
        {"sourceType": "text/x.schema-path", "source": "Email", "destination": "personalEmail.address"},
        {
            "sourceType": "text/x.aep-xl",
            "sourceAttribute": 'concat(First_Name," ",Last_Name)',
            "destinationXdmPath": "person.name.fullName",
        },
        {"sourceType": "STATIC", "source": "zoho", "destination": "_tenant.origin"},
    ]
    fake = Fake({"id": "m", "version": 2, "mappings": read}, MAPPING_BODY)
    assert (await fake.client.get(MAPPING_SETS, "m/1", 2)).mappings == tuple(MAPPINGS)
    assert fake.line == ("GET", "/data/foundation/conversion/mappingSets/m%2F1?version=2")
    assert (await fake.client.get(MAPPING_SETS, "m/1", 2)).mappings == tuple(MAPPINGS)


@pytest.mark.parametrize(
    "names",
    [
        {"outputSchema": {"schemaRef": {"id": SCHEMA_ID, "contentType": CONTENT_TYPE}}},
        {"schemaRef": {"id": SCHEMA_ID, "contentType": CONTENT_TYPE}},
        {"xdmSchema": SCHEMA_ID, "xdmVersion": "1.0"},
        {"xdmSchema": SCHEMA_ID, "xdmVersion": "1.0", "schemaRef": None, "outputSchema": {"schemaRef": {}}},
    ],
)
async def test_a_mapping_set_names_its_schema_in_several_ways(names: dict[str, Any]) -> None:
    """Platform.md 8: both bodies that it accepts, and what it adds to them on read."""
    found = await Fake({"id": "m", "mappings": [], **names}).client.get(MAPPING_SETS, "m", 0)
    assert found.schema_id == SCHEMA_ID
    assert found.content_type.replace(" ", "").endswith(("version=1", "1.0"))


async def test_a_mapping_set_without_mappings_is_not_empty() -> None:
    with pytest.raises(RemoteError) as raised:
        await Fake({"id": "m"}).client.get(MAPPING_SETS, "m", 0)
    assert raised.value.reason == "UnreadableAnswer"


async def test_schema() -> None:
    fake = Fake({"$id": SCHEMA_ID, "meta:altId": "_tenant.schemas.0", "title": "T", "version": "1.3"})
    found = await fake.client.get(SCHEMAS, SCHEMA_ID)
    assert found == Schema(SCHEMA_ID, "_tenant.schemas.0", "T", "1.3")
    assert found.major_version == 1
    path = "https%3A%2F%2Fns.adobe.com%2Ftenant%2Fschemas%2F0123456789abcdef"
    assert fake.line == ("GET", f"/data/foundation/schemaregistry/tenant/schemas/{path}")
    assert fake.request.headers["accept"] == "application/vnd.adobe.xed-full+json; version=1"


@pytest.mark.parametrize("status", [404, 406])
async def test_no_schema(status: int) -> None:
    body = {"type": "http://ns.adobe.com/aep/errors/XDM-1012-404", "title": "Resource not found"}
    with pytest.raises(RemoteError) as raised:
        await Fake((status, body if status == 404 else None)).client.get(SCHEMAS, SCHEMA_ID)
    assert raised.value.error_class is ErrorClass.NOT_FOUND


@pytest.mark.parametrize(
    ("tags", "enabled", "upserts"),
    [
        ({"unifiedProfile": ["enabled:true"]}, True, False),
        ({"unifiedProfile": ["enabled: true", "isUpsert:true"]}, True, True),
        ({"unifiedProfile": "enabled:true"}, True, False),
        ({"unifiedProfile": ["enabled:false"]}, False, False),
        ({}, False, False),
        (None, False, False),
    ],
)
async def test_dataset(tags: Any, enabled: bool, upserts: bool) -> None:
    raw = {"name": "Contacts", "tags": tags, "schemaRef": {"id": SCHEMA_ID, "contentType": CONTENT_TYPE}}
    fake = Fake({"ds": raw})
    assert await fake.client.get(DATA_SETS, "ds") == DataSet(
        "ds", "Contacts", SCHEMA_ID, CONTENT_TYPE, enabled, upserts
    )
    assert fake.line == ("GET", "/data/foundation/catalog/dataSets/ds")


@pytest.mark.parametrize("answer", [(404, None), {}, (404, {"title": "NotFoundError"})])
async def test_no_dataset(answer: Any) -> None:
    with pytest.raises(RemoteError) as raised:
        await Fake(answer).client.get(DATA_SETS, "ds")
    assert raised.value.error_class is ErrorClass.NOT_FOUND


async def test_an_unknown_outcome_of_a_create_is_told() -> None:
    with pytest.raises(RemoteError) as raised:
        await Fake(error("FLOW-1400-500")).client.create(FLOWS, {})
    assert raised.value.maybe_applied
    with pytest.raises(RemoteError) as raised:
        await Fake(error("FLOW-1360-400")).client.create(FLOWS, {})
    assert not raised.value.maybe_applied
    with pytest.raises(RemoteError) as raised:
        await Fake(httpx.Response(429, headers={"Retry-After": "3"})).client.create(FLOWS, {})
    assert (raised.value.maybe_applied, raised.value.retry_after) == (False, 3)


# Schemas and datasets by title and name, and their creation (platform.md 9, 10)


async def test_schemas_titled() -> None:
    listed = {"$id": SCHEMA_ID, "meta:altId": "_t.schemas.h", "title": "A, b", "version": "1.3"}
    fake = Fake({"results": [listed, {**listed, "title": "A, b c"}], "_page": {}})
    assert await fake.client.list(SCHEMAS, Named("A, b")) == (
        Schema(SCHEMA_ID, "_t.schemas.h", "A, b", "1.3"),
    )
    assert fake.request.headers["accept"] == "application/vnd.adobe.xed-id+json"
    assert fake.request.url.params["property"] == "title==A, b"


@pytest.mark.parametrize(
    ("version", "major"), [("1.0", 1), ("2.1", 2), ("", 1)], ids=["as made", "another", "left out"]
)
async def test_create_schema(version: str, major: int) -> None:
    fake = Fake({"$id": SCHEMA_ID, "title": "A", "version": version})
    assert await fake.client.create(SCHEMAS, {"title": "A"}) == Created(SCHEMA_ID, version=major)
    assert fake.line == ("POST", "/data/foundation/schemaregistry/tenant/schemas")
    assert fake.body == {"title": "A"}
    assert fake.versions == [], "a schema's version is no etag"


async def test_descriptors() -> None:
    identities = [
        {"xdm:sourceSchema": SCHEMA_ID, "xdm:isPrimary": True},
        {"xdm:sourceSchema": "x", "xdm:isPrimary": False},
        {"xdm:sourceSchema": "y"},
    ]
    fake = Fake({"xdm:descriptorIdentity": identities, "xdm:alternateDisplayInfo": [{"@id": "d"}]})
    assert await fake.client.list(DESCRIPTORS) == (
        IdentityDescriptor(SCHEMA_ID, True),
        IdentityDescriptor("x", False),
        IdentityDescriptor("y", False),
    )
    assert fake.request.headers["accept"] == "application/vnd.adobe.xdm+json"


async def test_create_descriptor() -> None:
    fake = Fake({"@id": "d"})
    assert await fake.client.create(DESCRIPTORS, {"xdm:isPrimary": True}) == Created("d")
    assert fake.line == ("POST", "/data/foundation/schemaregistry/tenant/descriptors")
    assert fake.body == {"xdm:isPrimary": True}


@pytest.mark.parametrize("answer", [{"$id": SCHEMA_ID, "version": "1.1"}, (200, None)])
async def test_a_schema_is_patched_without_an_etag(answer: Any) -> None:
    fake = Fake(answer)
    operation = PatchOperation("add", "/meta:immutableTags", ["union"])
    patched = await fake.client.patch(SCHEMAS, SCHEMA_ID, None, [operation])
    assert patched == Created(SCHEMA_ID, version=1)
    assert fake.request.method == "PATCH"
    assert "if-match" not in fake.request.headers
    assert fake.body == [{"op": "add", "path": "/meta:immutableTags", "value": ["union"]}]


async def test_datasets_named() -> None:
    record = {"name": "A", "schemaRef": {"id": SCHEMA_ID, "contentType": "x;version=1"}, "tags": {}}
    fake = Fake({"d1": record, "d2": {**record, "name": "A b"}})
    assert await fake.client.list(DATA_SETS, Named("A")) == (
        DataSet("d1", "A", SCHEMA_ID, "x;version=1", False),
    )
    assert dict(fake.request.url.params) == {"name": "A", "limit": "100", "start": "0"}


async def test_create_dataset() -> None:
    fake = Fake(["@/dataSets/d9"])
    assert await fake.client.create(DATA_SETS, {"name": "A"}) == Created("d9")
    assert fake.line == ("POST", "/data/foundation/catalog/dataSets")
    assert fake.body == {"name": "A"}
