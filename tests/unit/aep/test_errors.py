"""The error tables of platform.md 2."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from crmflow.aep.errors import meaning_of, platform_error
from crmflow.clock import Clock
from crmflow.http.client import HttpClient
from crmflow.http.errors import ErrorClass, RemoteError
from crmflow.reconcile.core.outcome import from_remote_error
from tests.unit.aep.fake import error

TERMINAL, WAIT, TRANSIENT = ErrorClass.TERMINAL, ErrorClass.WAIT, ErrorClass.TRANSIENT
CONFLICT, NOT_FOUND, IN_USE, BUG = (
    ErrorClass.CONFLICT,
    ErrorClass.NOT_FOUND,
    ErrorClass.IN_USE,
    ErrorClass.BUG,
)

# (codes, class, reason): one line per row of the contract
GATEWAY: list[tuple[str, ErrorClass, str]] = [
    ("403010", BUG, "RequestRefused"),
    ("401013", TERMINAL, "PlatformTokenRejected"),
    ("403000 403003", TERMINAL, "ApiKeyRejected"),
    ("400003", TERMINAL, "OrganizationRejected"),
    ("403025", TERMINAL, "OrganizationRejected"),
    ("403027", TERMINAL, "ProductProfileMissing"),
]
FLOW_SERVICE: list[tuple[str, ErrorClass, str]] = [
    ("1101-404 1439-404 1439-400", NOT_FOUND, "NotFound"),
    ("1102-500 1400-500 2117-500", TRANSIENT, "Unavailable"),
    ("1103-503 1104-504", TRANSIENT, "Unavailable"),
    ("1401-400", BUG, "RequestRefused"),
    ("1403-400", BUG, "RequestRefused"),
    ("1404-412", CONFLICT, "VersionConflict"),
    ("1405-400", BUG, "RequestRefused"),
    ("1409-400 1420-400 1421-400 1422-400 1457-400 1458-400", WAIT, "InTransition"),
    ("1410-400", BUG, "RequestRefused"),
    ("1412-400", CONFLICT, "MappingVersionConflict"),
    ("1413-400 1415-400", TERMINAL, "SourceNotOffered"),
    ("1414-400", TERMINAL, "PatchNotSupported"),
    ("1416-400 1456-400", WAIT, "InTransition"),
    ("1418-400 1447-400", IN_USE, "InUse"),
    ("1419-400", TERMINAL, "MappingInvalid"),
    ("1425-400", TERMINAL, "SchemaMismatch"),
    ("1427-400", TERMINAL, "PermissionDenied"),
    ("1430-400", NOT_FOUND, "NotFound"),
    ("1434-400 1455-400", BUG, "RequestRefused"),
    (
        "1440-400 1443-400 1448-400 1449-400 1450-400 1451-400 1452-400 1453-400 1454-400",
        BUG,
        "RequestRefused",
    ),
    ("1445-400", TERMINAL, "PatchNotSupported"),
    ("2000-401", TERMINAL, "PlatformTokenRejected"),
    ("2001-401 2002-401", TERMINAL, "OrganizationRejected"),
    ("2100-404 2101-404 2103-404 2106-404", TERMINAL, "SandboxNotFound"),
    ("2114-400 2115-400", TERMINAL, "PlatformTokenRejected"),
    ("2105-400 2110-400 2111-403", BUG, "RequestRefused"),
    ("2118-403 2120-403 2121-403", TERMINAL, "PermissionDenied"),
    ("2200-500 2250-500", TRANSIENT, "Unavailable"),
]
SOURCES: list[tuple[str, ErrorClass, str]] = [
    ("1387-400", CONFLICT, "RunNotRetryable"),
    ("1388-400", CONFLICT, "FlowNotEnabled"),
    ("1001-401", TERMINAL, "PermissionDenied"),
    ("1009-403", TERMINAL, "OrganizationRejected"),
    ("1102-404", NOT_FOUND, "NotFound"),
    ("1300-400", TERMINAL, "PatchNotSupported"),
    ("1302-400 1305-400", TERMINAL, "SourceNotOffered"),
    ("1304-400 1307-400 1321-400 1327-400", BUG, "RequestRefused"),
    ("1325-400", TERMINAL, "DatasetNotFound"),
    ("1014-400 1100-400 1105-401 1106-403 1308-400", TERMINAL, "SourceRefused"),
    ("1328-400 1370-400", TERMINAL, "MappingMissing"),
    ("1330-400", TERMINAL, "ColumnsNotFound"),
    ("1336-400 1337-400 1353-400 1358-400", BUG, "RequestRefused"),
    ("1360-400", TRANSIENT, "StartTimePassed"),
    ("1361-400 1362-400 1363-400 1364-400 1397-400", TERMINAL, "ScheduleInvalid"),
    ("1365-400 1368-400", BUG, "RequestRefused"),
    ("1366-400 1404-400", TERMINAL, "ScheduleLocked"),
    ("1367-400 1369-400", TERMINAL, "DeltaColumnInvalid"),
]
SCHEMA_REGISTRY: list[tuple[str, ErrorClass, str]] = [
    ("1006-400 1007-400 1008-400", BUG, "RequestRefused"),
    ("1012-404", NOT_FOUND, "NotFound"),
]


def rows(table: list[tuple[str, ErrorClass, str]], *prefixes: str) -> list[tuple[str, ErrorClass, str]]:
    return [
        (f"{prefix}{code}", error_class, reason)
        for prefix in prefixes
        for codes, error_class, reason in table
        for code in codes.split()
    ]


async def refused(response: httpx.Response, method: str = "GET") -> RemoteError:
    http = HttpClient(httpx.MockTransport(lambda request: response), Clock())
    return platform_error(await http.send("FlowService", "flows.get", method, "https://host/"))


@pytest.mark.parametrize(
    ("code", "error_class", "reason"),
    rows(FLOW_SERVICE, "FLOW-", "")
    + rows(SOURCES, "FLOW-", "", "CONNECTORS-", "SOURCES-")
    + rows(SCHEMA_REGISTRY, "XDM-"),
)
async def test_codes(code: str, error_class: ErrorClass, reason: str) -> None:
    status, body = error(code)
    found = await refused(httpx.Response(status, json=body))
    assert (found.error_class, found.reason) == (error_class, reason)
    assert (found.code, found.status) == (code, status)


@pytest.mark.parametrize(("code", "error_class", "reason"), rows(GATEWAY, ""))
async def test_gateway_codes(code: str, error_class: ErrorClass, reason: str) -> None:
    body = {"error_code": code, "message": "Oauth token is not valid"}
    found = await refused(httpx.Response(int(code[:3]), json=body))
    assert (found.error_class, found.reason, found.code) == (error_class, reason, code)
    assert found.message == "Oauth token is not valid"


REST_401 = (
    "The request could not be processed. Error from flow provider: The request could not be processed. Rest "
    "call failed with client error, status code 401 Unauthorized, please check your activity settings."
)
NOT_ENTITLED = "The request could not be processed. Error from flow provider: Not entitled to this operation."


@pytest.mark.parametrize("prefix", ["FLOW-", "", "CONNECTORS-", "SOURCES-"])
@pytest.mark.parametrize("code", ["1014-400", "1100-400", "1105-401", "1106-403", "1308-400"])
@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (REST_401, "SourceRefused"),
        ("Forbidden: the profile of the user has no permission", "SourceRefused"),
        (NOT_ENTITLED, "PermissionDenied"),
        ("Not Entitled to this Operation", "PermissionDenied"),
    ],
)
async def test_a_code_that_wraps_the_providers_text_is_judged_by_that_text(
    prefix: str, code: str, text: str, reason: str
) -> None:
    status, body = error(prefix + code, text, "Invalid request")
    found = await refused(httpx.Response(status, json=body))
    assert (found.error_class, found.reason) == (TERMINAL, reason)
    assert text.rstrip(".") in found.message


@pytest.mark.parametrize("field", ["errorDetails", "detail", "errorMessage", "message", "title"])
async def test_the_providers_text_is_found_wherever_it_stands(field: str) -> None:
    body = {"type": "https://ns.adobe.com/aep/errors/FLOW-1100-400", "title": "Invalid request"}
    found = await refused(httpx.Response(400, json={**body, field: NOT_ENTITLED}))
    assert found.reason == "PermissionDenied"
    found = await refused(httpx.Response(400, json={**body, field: REST_401}))
    assert found.reason == "SourceRefused"


@pytest.mark.parametrize(
    ("code", "text", "reason"),
    [
        ("1105-401", "The user is unauthorized.", "PlatformTokenRejected"),
        ("1106-403", "The requested operation is forbidden. ", "PermissionDenied"),
        ("1105-401", "The user is unauthorized. Zoho: INVALID_TOKEN", "SourceRefused"),
    ],
)
async def test_without_a_text_of_the_provider_the_wrapper_speaks_for_platform(
    code: str, text: str, reason: str
) -> None:
    status, body = error(f"CONNECTORS-{code}", text, "")
    assert (await refused(httpx.Response(status, json=body))).reason == reason


async def test_nobody_tells_when_the_source_is_cured() -> None:
    found = await refused(httpx.Response(400, json={"code": "FLOW-1100-400", "message": REST_401}))
    assert found.cure_is_silent
    assert from_remote_error(found).silent
    assert from_remote_error(found.but(advice="other")).silent
    found = await refused(httpx.Response(400, json={"code": "FLOW-1100-400", "message": NOT_ENTITLED}))
    assert not found.cure_is_silent


@pytest.mark.parametrize(
    "body",
    [
        {"errorCode": "FLOW-1100-400", "errorMessage": REST_401},
        {"error": {"code": "FLOW-1100-400", "message": REST_401}},
        {"errors": [{"code": "CONNECTOR-1308-400", "message": REST_401}]},
        [{"type": "https://ns.adobe.com/aep/errors/FLOW-1100-400", "title": "No", "detail": REST_401}],
    ],
)
async def test_the_wrappers_code_is_found_in_every_shape(body: Any) -> None:
    found = await refused(httpx.Response(400, json=body))
    assert found.reason == "SourceRefused"
    assert REST_401.rstrip(".") in found.message


@pytest.mark.parametrize(
    ("status", "reason"), [(408, "Unavailable"), (429, "RateLimited"), (503, "Unavailable")]
)
async def test_what_platform_is_too_busy_for_is_no_refusal_of_the_provider(status: int, reason: str) -> None:
    body = {"type": "https://ns.adobe.com/aep/errors/FLOW-1100-400", "detail": "Too many requests"}
    found = await refused(httpx.Response(status, json=body))
    assert (found.error_class, found.reason) == (TRANSIENT, reason)


@pytest.mark.parametrize("status", [403, 404])
async def test_a_page_knows_nothing_of_permissions_and_objects(status: int) -> None:
    found = await refused(httpx.Response(status, text="<html><h1>Blocked</h1> by policy</html>"))
    assert (found.error_class, found.reason) == (TRANSIENT, "UnexpectedAnswer")
    assert found.message == f'answered {status} with a page: "Blocked by policy"'
    assert "what stands between" in found.advice


async def test_of_a_long_text_the_cause_at_its_end_is_kept() -> None:
    asked = "https://www.zohoapis.eu/crm/v2/Contacts?$filter=" + "Modified_Time%20gt%20" * 60
    status, body = error("FLOW-1308-400", f"HybridDeliveryException {asked} Unauthorized", "Bad Request")
    found = await refused(httpx.Response(status, json=body))
    assert found.message.startswith("Bad Request: HybridDeliveryException")
    assert found.message.endswith("Unauthorized")
    assert len(found.message) < 600


def test_one_number_means_two_things() -> None:
    """If-Match missing at Flow Service, start time passed at the source providers (platform.md 2.3, 2.4)."""
    assert meaning_of("FLOW-1403-400", 400).error_class is BUG
    assert meaning_of("CONNECTORS-1403-400", 400).reason == "ScheduleLocked"
    assert meaning_of("FLOW-1404-412", 412).error_class is CONFLICT
    assert meaning_of("FLOW-1404-400", 400).reason == "ScheduleLocked"


def test_a_missing_sandbox_is_not_a_missing_object() -> None:
    """Else a misspelled sandbox would look as if everything in it had been deleted."""
    for code in ("FLOW-2100-404", "FLOW-2101-404", "FLOW-2103-404", "XDM-2100-404"):
        assert meaning_of(code, 404).error_class is TERMINAL


@pytest.mark.parametrize(
    ("status", "error_class", "reason"),
    [
        (302, TRANSIENT, "UnexpectedAnswer"),
        (400, TERMINAL, "RequestRefused"),
        (401, TERMINAL, "PlatformTokenRejected"),
        (403, TERMINAL, "PermissionDenied"),
        (404, NOT_FOUND, "NotFound"),
        (406, NOT_FOUND, "VersionNotFound"),
        (408, TRANSIENT, "Unavailable"),
        (409, CONFLICT, "Conflict"),
        (412, CONFLICT, "VersionConflict"),
        (422, TERMINAL, "RequestRefused"),
        (429, TRANSIENT, "RateLimited"),
        (500, TRANSIENT, "Unavailable"),
        (502, TRANSIENT, "Unavailable"),
        (503, TRANSIENT, "Unavailable"),
        (504, TRANSIENT, "Unavailable"),
        (599, TRANSIENT, "Unavailable"),
    ],
)
@pytest.mark.parametrize("code", ["", "FLOW-9999-999"])
async def test_the_status_decides_where_no_row_does(
    code: str, status: int, error_class: ErrorClass, reason: str
) -> None:
    found = await refused(httpx.Response(status, json={"type": code, "title": "No"}))
    assert (found.error_class, found.reason, found.status) == (error_class, reason, status)


SHAPES: dict[str, tuple[Any, str]] = {
    "flow service": (
        error("FLOW-1439-404", "No flow f.", "Resource not found")[1],
        "Resource not found: No flow f.",
    ),
    "flow service, flat": (
        {"errorMessage": "Supplied version=[a] does not match", "errorDetails": "the details"},
        "the details",
    ),
    "etag mismatch": (
        {"errorMessage": "Supplied version=[a] does not match the current version on entity=[b]"},
        "Supplied version=[a] does not match the current version on entity=[b]",
    ),
    "schema registry": (
        {
            "type": "http://ns.adobe.com/aep/errors/XDM-1012-404",
            "title": "Resource not found",
            "report": {"registryRequestId": "r", "detailed-message": "No schema.", "sub-errors": []},
            "detail": "Something else",
        },
        "Resource not found: No schema.",
    ),
    "generic": (
        {"type": "about:blank", "status": 400, "title": "BadRequestError", "detail": "A valid content-type"},
        "BadRequestError: A valid content-type",
    ),
    "title alone": ({"title": "No"}, "No"),
    "the same twice": ({"title": "No such thing", "detail": "no such thing"}, "No such thing"),
    "gateway": ({"error_code": "403025", "message": "Profile is not valid"}, "Profile is not valid"),
    "the same twice but for the full stop": (
        {"title": "No such thing", "detail": "No such thing."},
        "No such thing",
    ),
    "in a list": ([{"title": "No"}, {"title": "Nor this"}], "No"),
    "wrapped": ({"error": {"code": "FLOW-1100-400", "message": "No"}}, "No"),
    "wrapped in a list": ({"errors": [{"code": "FLOW-1100-400", "message": "No"}]}, "No"),
    "html": ("<html><body>Bad <b>Gateway</b></body></html>", 'answered 400 with a page: "Bad Gateway"'),
    "nothing": ("", "answered 400 without saying why"),
    "a list": ([1], "answered 400 without saying why"),
    "wrong types": (
        {"title": {"a": 1}, "report": "x", "type": 5, "error_code": []},
        "answered 400 without saying why",
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
async def test_every_shape_gives_a_message(shape: str) -> None:
    body, message = SHAPES[shape]
    content = {"text": body} if isinstance(body, str) else {"json": body}
    assert (await refused(httpx.Response(400, **content))).message == message


async def test_nothing_is_to_be_compared_with_words_that_are_not_there() -> None:
    assert "message" in (await refused(httpx.Response(400, json={"title": "Odd"}))).advice
    found = await refused(httpx.Response(400))
    assert found.reason == "RequestRefused"
    assert "message" not in found.advice
    assert "request id" in found.advice


async def test_remote_text_is_made_safe() -> None:
    body = {
        "title": "<b>Bad</b>\x00",
        "report": {"detailed-message": "Bearer abc 1000.aaaa.bbbb " + "x" * 1000, "request-id": "a\nb"},
        "type": "https://ns.adobe.com/<script>FLOW-1308-400x",
    }
    found = await refused(httpx.Response(400, json=body, headers={"x-request-id": "<id>"}))
    assert found.message.startswith("Bad: Bearer *** *** xxx")
    assert len(found.message) < 400
    assert found.code is None
    assert found.request_id is None


@pytest.mark.parametrize(
    ("body", "headers", "request_id"),
    [
        ({"report": {"request-id": "from-body"}}, {"x-request-id": "from-header"}, "from-body"),
        ({"report": {"registryRequestId": "registry"}}, {}, "registry"),
        ({}, {"x-request-id": "from-header"}, "from-header"),
        ({}, {}, None),
    ],
)
async def test_request_id(body: Any, headers: dict[str, str], request_id: str | None) -> None:
    assert (await refused(httpx.Response(500, json=body, headers=headers))).request_id == request_id


@pytest.mark.parametrize(
    ("method", "status", "maybe_applied"),
    [
        ("POST", 500, True),
        ("POST", 502, True),
        ("POST", 503, True),
        ("POST", 504, True),
        ("POST", 408, True),
        ("PATCH", 500, True),
        ("DELETE", 500, True),
        ("POST", 400, False),
        ("POST", 403, False),
        ("POST", 412, False),
        ("POST", 429, False),
        ("GET", 500, False),
    ],
)
async def test_only_a_refusal_proves_that_nothing_was_done(
    method: str, status: int, maybe_applied: bool
) -> None:
    assert (await refused(httpx.Response(status), method)).maybe_applied is maybe_applied


async def test_retry_after_is_passed_on() -> None:
    assert (await refused(httpx.Response(503, headers={"Retry-After": "9"}))).retry_after == 9
