"""What the doctor makes of the services' answers, and how often it asks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from crmflow.aep.landing_zone import CONNECTION_SPEC_ID
from crmflow.cli.connection import Connection
from crmflow.cli.doctor.checks import Check, Level
from crmflow.cli.doctor.hosts import Hosts
from crmflow.cli.doctor.platform import LivePlatform
from crmflow.cli.doctor.privacy import Privacy
from crmflow.cli.doctor.zoho import LiveZoho
from crmflow.cli.platform import Adobe
from crmflow.cli.zoho import ZohoClients
from crmflow.clock import Clock
from crmflow.http.client import HttpClient
from crmflow.http.pool import SpreadTransport
from crmflow.reconcile.credentials import PlatformCredentials, ZohoCredentials
from crmflow.reconcile.sources.offer import FLOW_SPEC_NAME, ZOHO_CONNECTION_SPEC_ID
from crmflow.zoho.accounts import ZohoAccounts
from crmflow.zoho.crm import ZohoCRM
from crmflow.zoho.datacenters import ZohoEndpoints
from crmflow.zoho.grants import ZohoGrants
from crmflow.zoho.scopes import DEFAULT_SCOPES, SOURCE_SCOPES, VERIFICATION_SCOPES
from tests.kit.servers import CERTIFICATE, answers, free_port, ok, serve
from tests.unit.cli.connections import connection

ZOHO = ZohoCredentials("1000.CLIENT", SecretStr("a-client-secret"), SecretStr("1000.aaaa.bbbb"))
ADOBE = PlatformCredentials("adobe-client", SecretStr("an-adobe-secret"))
CONNECTED = {
    "baseConnection": {"id": "bc"},
    "observedGeneration": 1,
    "conditions": [
        {
            "type": "Authorized",
            "status": "True",
            "reason": "Succeeded",
            "message": "",
            "lastTransitionTime": "2026-03-01T12:00:00Z",
        }
    ],
}
FINE: dict[str, Any] = {
    "/oauth/v2/token": {
        "access_token": "1000.cccc.dddd",
        "scope": " ".join(DEFAULT_SCOPES),
        "expires_in": 3600,
    },
    "/crm/v8/org": {"org": [{"id": "4711", "company_name": "Nordlicht", "type": "production"}]},
    "/crm/v8/users": {
        "users": [{"id": "3", "full_name": "Data", "email": "d@example.com", "profile": {"name": "I"}}]
    },
    "/ims/token/v3": {"access_token": "adobe-token", "expires_in": 86399},
    "/sandboxes": {"sandboxes": [{"name": "prod", "state": "active", "region": "NLD2"}]},
    "/connectionSpecs": {"items": [{"id": ZOHO_CONNECTION_SPEC_ID, "version": "1.0"}]},
    "/flowSpecs": {
        "items": [
            {"id": "fs", "name": FLOW_SPEC_NAME, "sourceConnectionSpecIds": [ZOHO_CONNECTION_SPEC_ID]},
            {"id": "cs", "name": "CloudStorageToAEP", "sourceConnectionSpecIds": [CONNECTION_SPEC_ID]},
        ]
    },
    "/landingzone/credentials": {
        "containerName": "dlz-user-container",
        "SASToken": "sv=1&sig=s1gnature",
        "storageAccountName": "account",
        "SASUri": "https://account.blob.core.windows.net/dlz-user-container?sv=1&sig=s1gnature",
        "expiryDate": "2026-11-06",
    },
    "/connectors/landingzone": {"containerName": "dlz-user-container", "containerTTL": "7"},
    "/dlz-user-container": httpx.Response(
        200, text="<EnumerationResults><Blobs/><NextMarker/></EnumerationResults>"
    ),
    "/tenant/schemas": {"results": []},
    "/dataSets": {},
    "/test": {"result": True},
    "/connections/bc": {"items": [{"id": "bc", "etag": '"1"', "state": "enabled"}]},
}
NO_PERMISSION = {
    "code": "NO_PERMISSION",
    "details": {"permissions": ["Crm_Implied_View_Org"]},
    "message": "permission denied",
    "status": "error",
}
PATHS = {"/sandbox-management/": "/sandboxes", "/connectionSpecs/": "/connectionSpecs"}


class Services:
    """Zoho and Adobe with one answer for each path; an int is a status, a pair a status and a body, an
    exception is what happens.
    """

    def __init__(self, **changed: Any) -> None:
        self.asked: list[str] = []
        self._answers = {**FINE, **{f"/{name.replace('__', '/')}": value for name, value in changed.items()}}
        clock, endpoints = Clock(), ZohoEndpoints()
        http = HttpClient(httpx.MockTransport(self._answer), clock)
        hosts, self.privacy = Hosts(http), Privacy()
        zoho = ZohoClients(
            endpoints,
            ZohoAccounts(http, endpoints, clock),
            ZohoGrants(http, endpoints, clock),
            ZohoCRM(http, endpoints),
            clock,
        )
        adobe = Adobe(http, "https://ims.example.com", "https://platform.example.com", clock)
        self.zoho, self.platform = LiveZoho(zoho, hosts, self.privacy), LivePlatform(adobe, hosts)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        self.asked.append(path)
        if path == "/":
            answer = self._answers.get(f"/{request.url.host}", 404)
        else:
            known = [name for name in self._answers if path.endswith(name) or f"{name}/" in path]
            known += [name for part, name in PATHS.items() if part in path]
            answer = self._answers[known[0]]
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, httpx.Response):
            return answer
        if isinstance(answer, tuple):
            return httpx.Response(answer[0], json=answer[1])
        return httpx.Response(answer) if isinstance(answer, int) else httpx.Response(200, json=answer)

    async def at_zoho(self, told: Connection | None = None) -> dict[str, Check]:
        return await _by_subject(self.zoho.check(told or connection(CONNECTED), ZOHO))

    async def at_adobe(self, told: Connection | None = None) -> dict[str, Check]:
        return await _by_subject(self.platform.check(told or connection(CONNECTED), ADOBE))


async def _by_subject(checks: AsyncIterator[Check]) -> dict[str, Check]:
    return {check.subject: check async for check in checks}


async def test_all_is_well_at_zoho() -> None:
    services = Services()
    found = await services.at_zoho()
    assert {check.level for check in found.values()} == {Level.OK}
    assert list(found) == [
        "Zoho accounts host",
        "Zoho API host",
        "Zoho token",
        "Zoho scopes",
        "Zoho organization",
        "Zoho user",
    ]


async def test_one_token_for_a_grant_however_often_it_is_used() -> None:
    services = Services()
    for _ in range(3):
        await services.at_zoho()
    assert services.asked.count("/oauth/v2/token") == 1
    assert services.asked.count("/") == 2


async def test_a_refused_grant_is_not_asked_for_again() -> None:
    services = Services(oauth__v2__token={"error": "invalid_code"})
    for _ in range(2):
        found = await services.at_zoho()
        assert found["Zoho token"].reason == "RefreshTokenRejected"
        assert list(found)[-1] == "Zoho token"
    assert services.asked.count("/oauth/v2/token") == 1


async def test_without_credentials_only_hosts_are_asked() -> None:
    services = Services()
    found = await _by_subject(services.zoho.check(connection(CONNECTED), None))
    assert list(found) == ["Zoho accounts host", "Zoho API host"]
    assert set(services.asked) == {"/"}


async def test_no_token_is_asked_for_when_the_host_is_away() -> None:
    services = Services(**{"accounts.zoho.eu": httpx.ConnectError("no route")})
    found = await services.at_zoho()
    assert (found["Zoho accounts host"].level, list(found)[-1]) == (Level.FAILED, "Zoho API host")
    assert "/oauth/v2/token" not in services.asked


@pytest.mark.parametrize(
    ("scopes", "level", "text"),
    [
        (DEFAULT_SCOPES, Level.OK, "all"),
        (SOURCE_SCOPES, Level.WARNING, VERIFICATION_SCOPES[0]),
        (VERIFICATION_SCOPES, Level.FAILED, SOURCE_SCOPES[0]),
        ((), Level.WARNING, "did not say"),
    ],
)
async def test_scopes(scopes: tuple[str, ...], level: Level, text: str) -> None:
    token = {**FINE["/oauth/v2/token"], "scope": " ".join(scopes)}
    found = (await Services(oauth__v2__token=token).at_zoho())["Zoho scopes"]
    assert found.level is level
    assert text in found.message


async def test_the_landing_zone_needs_more_scopes() -> None:
    token = {**FINE["/oauth/v2/token"], "scope": " ".join((*SOURCE_SCOPES, *VERIFICATION_SCOPES))}
    services = Services(oauth__v2__token=token)
    assert (await services.at_zoho())["Zoho scopes"].level is Level.OK
    landing = connection({**CONNECTED, "transport": "LandingZone"})
    found = (await services.at_zoho(landing))["Zoho scopes"]
    assert (found.level, found.reason) == (Level.FAILED, "ScopeMissing")
    assert "The grant lacks ZohoCRM.coql.READ, ZohoCRM.bulk.READ" in found.message


async def test_the_scopes_that_the_spec_names() -> None:
    token = {**FINE["/oauth/v2/token"], "scope": " ".join(SOURCE_SCOPES)}
    told = connection(CONNECTED, zoho={"scopes": ["ZohoCRM.modules.contacts.READ", "ZohoCRM.coql.READ"]})
    found = (await Services(oauth__v2__token=token).at_zoho(told))["Zoho scopes"]
    assert (found.level, found.reason) == (Level.FAILED, "ScopeMissing")
    assert "ZohoCRM.coql.READ" in found.message
    assert "contacts" not in found.message
    assert "kubectl crmflow authorize zoho-eu -n team" in found.fix


async def test_a_grant_token_is_left_alone() -> None:
    services = Services()
    granted = replace(ZOHO, refresh_token=None, grant_token=SecretStr("1000.eeee.ffff"))
    found = await _by_subject(services.zoho.check(connection({}), granted))
    assert (list(found)[-1], found["Zoho token"].level) == ("Zoho token", Level.WARNING)
    assert set(services.asked) == {"/"}


async def test_the_organization_is_not_read_without_the_scope_for_it() -> None:
    services = Services(oauth__v2__token={**FINE["/oauth/v2/token"], "scope": " ".join(SOURCE_SCOPES)})
    assert (await services.at_zoho())["Zoho organization"].level is Level.WARNING
    assert "/crm/v8/org" not in services.asked


@pytest.mark.parametrize(
    ("status", "level"), [(CONNECTED, Level.WARNING), ({}, Level.FAILED)], ids=["operator in", "operator out"]
)
async def test_a_refused_address_is_no_failure_while_the_operator_gets_in(
    status: dict[str, Any], level: Level
) -> None:
    found = (await Services(crm__v8__org=403).at_zoho(connection(status)))["Zoho organization"]
    assert (found.level, found.reason) == (level, "AccessRefused")


async def test_a_check_that_no_data_depends_on_is_no_failure() -> None:
    found = await Services(crm__v8__org=(403, NO_PERMISSION)).at_zoho(connection({}))
    check = found["Zoho organization"]
    assert (check.level, check.reason) == (Level.WARNING, "PermissionDenied")
    assert "Crm_Implied_View_Org" in check.message
    assert "no data depends on it" in check.fix


async def test_the_time_zone_of_the_organization() -> None:
    org = {"id": "4711", "company_name": "Nordlicht", "type": "production", "time_zone": "Europe/Berlin"}
    found = await Services(crm__v8__org={"org": [org]}).at_zoho()
    assert found["Zoho organization"].message.endswith("production, time zone Europe/Berlin.")


async def test_an_organization_of_which_zoho_tells_nothing_more() -> None:
    found = await Services(crm__v8__org={"org": [{"id": "4711", "company_name": "Nordlicht"}]}).at_zoho()
    assert found["Zoho organization"].message == "Nordlicht (4711)."


async def test_what_is_proved_is_not_doubted() -> None:
    proved = {"zohoOrganization": {"id": "4711"}, "baseConnection": {"id": "bc"}}
    services = Services(oauth__v2__token={"error": "invalid_client"})
    found = (await services.at_zoho(connection(proved)))["Zoho token"]
    assert 'accounts.zoho.eu (Europe) answered "invalid_client"' in found.message
    assert "has worked before" in found.fix
    assert "spec.zoho.dataCenter" not in found.fix
    found = (await services.at_zoho(connection({})))["Zoho token"]
    assert "dataCenter cannot change after creation" in found.fix


async def test_values_that_look_odd_are_named_once_they_are_refused() -> None:
    odd = replace(ZOHO, client_id='"1000.CLIENT"')
    services = Services(oauth__v2__token={"error": "invalid_client"}, ims__token__v3=401)
    found = (await _by_subject(services.zoho.check(connection({}), odd)))["Zoho token"]
    assert found.fix.startswith('In Secret "zoho-oauth", clientId is surrounded by quotes.')
    odd_adobe = replace(ADOBE, client_id="CLIENT_ID=adobe-client")
    at_adobe = await _by_subject(services.platform.check(connection({}), odd_adobe))
    assert "clientId begins with a name in front of the value" in at_adobe["Adobe token"].fix


async def test_the_grant_of_another_organization() -> None:
    found = await Services().at_zoho(connection({**CONNECTED, "zohoOrganization": {"id": "1"}}))
    assert found["Zoho organization"].level is Level.FAILED
    assert "4711" in found["Zoho organization"].message


async def test_who_consented_is_left_out_of_the_report() -> None:
    services = Services()
    found = await services.at_zoho()
    text = services.privacy.apply(found["Zoho user"].message + found["Zoho organization"].message)
    for named in ("d@example.com", "Nordlicht", "4711"):
        assert named not in text


async def test_all_is_well_at_adobe() -> None:
    found = await Services().at_adobe()
    assert {check.level for check in found.values()} == {Level.OK}
    assert list(found) == [
        "Adobe IMS host",
        "Platform host",
        "Adobe token",
        "sandbox",
        "permissions",
        "source offered",
        "base connection",
        "connection test",
    ]
    assert "NLD2" in found["sandbox"].message


LANDING = {"transport": "LandingZone"}
LANDING_CHECKS = ["landing zone", "landing zone SAS", "landing zone files"]


async def test_what_a_connection_through_the_landing_zone_needs() -> None:
    found = await Services().at_adobe(connection(LANDING))
    assert {check.level for check in found.values()} == {Level.OK}
    assert list(found)[-4:] == ["permissions", *LANDING_CHECKS], "no source, and no base connection"
    assert found["landing zone SAS"].message.endswith("dlz-user-container, good until 2026-11-06.")
    assert "s1gnature" not in str(found)


async def test_some_dataflows_may_go_through_the_landing_zone() -> None:
    both = {**CONNECTED, "transport": "PlatformSource", "landingZone": {"container": "c"}}
    found = await Services().at_adobe(connection(both))
    assert list(found)[5:] == [*LANDING_CHECKS, "source offered", "base connection", "connection test"]


@pytest.mark.parametrize(
    ("changed", "subject", "level", "reason"),
    [
        ({"connectors__landingzone": 404}, "landing zone", Level.FAILED, "LandingZoneNotOffered"),
        (
            {"connectors__landingzone": {"dlzProvider": "Amazon S3", "dlzPath": {"bucketName": "b"}}},
            "landing zone",
            Level.FAILED,
            "LandingZoneProviderUnsupported",
        ),
        ({"landingzone__credentials": 403}, "landing zone SAS", Level.FAILED, "PermissionDenied"),
        ({"dlz-user-container": 403}, "landing zone files", Level.FAILED, "LandingZoneRefused"),
        ({"dlz-user-container": 503}, "landing zone files", Level.WARNING, "Unavailable"),
        (
            {"dlz-user-container": httpx.ConnectError("no route")},
            "landing zone files",
            Level.WARNING,
            "Unreachable",
        ),
    ],
)
async def test_what_is_wrong_with_the_landing_zone(
    changed: dict[str, Any], subject: str, level: Level, reason: str
) -> None:
    found = await Services(**changed).at_adobe(connection(LANDING))
    assert (found[subject].level, found[subject].reason) == (level, reason)
    assert found[subject].fix
    assert list(found)[-1] == subject


@pytest.mark.parametrize(
    ("changed", "subject", "reason", "is_last"),
    [
        ({"ims__token__v3": 401}, "Adobe token", "PlatformCredentialsRejected", True),
        ({"sandboxes": {"sandboxes": [{"name": "dev"}]}}, "sandbox", "SandboxNotFound", True),
        (
            {"sandboxes": {"sandboxes": [{"name": "prod", "state": "resetting"}]}},
            "sandbox",
            "SandboxNotActive",
            True,
        ),
        ({"connectionSpecs": 403}, "permissions", "PermissionDenied", True),
        ({"tenant__schemas": 403}, "permissions", "PermissionDenied", True),
        ({"dataSets": 403}, "permissions", "PermissionDenied", True),
        ({"connectionSpecs": 404}, "source offered", "ConnectionSpecWithdrawn", False),
        ({"flowSpecs": {"items": []}}, "source offered", "FlowSpecMissing", False),
        ({"connections__bc": 404}, "base connection", "NotFound", True),
        ({"test": {"result": False}}, "connection test", "ConnectionTestFailed", True),
        ({"test": 500}, "connection test", "Unavailable", True),
        ({"ims.example.com": httpx.ConnectTimeout("slow")}, "Adobe IMS host", "Unreachable", False),
    ],
)
async def test_what_is_wrong_at_adobe(
    changed: dict[str, Any], subject: str, reason: str, is_last: bool
) -> None:
    found = await Services(**changed).at_adobe()
    assert (found[subject].level, found[subject].reason) == (Level.FAILED, reason)
    assert found[subject].fix
    assert (list(found)[-1] == subject) is is_last


REST_401 = "Error from flow provider: Rest call failed, status code 401 Unauthorized"


@pytest.mark.parametrize(
    ("status", "code", "text", "reason", "first"),
    [
        (400, "FLOW-1100-400", REST_401, "SourceRefused", "The grant was revoked"),
        (400, "FLOW-1308-400", "Access denied from this IP address", "AddressBlocked", "Zoho's Allowed IPs"),
        (400, "NEW-1", "something new", "SourceRefused", "Zoho's Allowed IPs"),
        (
            404,
            "FLOW-1101-404",
            "Resource with given id does not exist",
            "SourceRefused",
            "Zoho's Allowed IPs",
        ),
    ],
)
async def test_a_test_that_is_refused_is_explained_as_the_operator_explains_it(
    status: int, code: str, text: str, reason: str, first: str
) -> None:
    body = {
        "type": f"https://ns.adobe.com/aep/errors/{code}",
        "title": "Invalid request",
        "errorDetails": text,
    }
    found = (await Services(test=(status, body)).at_adobe())["connection test"]
    assert (found.level, found.reason) == (Level.FAILED, reason)
    assert text in found.message
    assert f"(1) {first}" in found.fix
    assert "itself reaches" not in found.fix, "nobody has tried the grant"


@pytest.mark.parametrize(
    ("changed", "says", "first"),
    [
        ({}, "This machine itself reaches Zoho CRM with the same grant.", "Zoho's Allowed IPs"),
        (
            {"oauth__v2__token": {"error": "invalid_code"}},
            "This machine's own call to Zoho CRM was refused, too: ",
            "The grant was revoked",
        ),
        ({"crm__v8__org": 403}, "Likely causes", "Zoho's Allowed IPs"),
    ],
)
async def test_what_the_doctor_saw_at_zoho_decides_about_the_causes_at_adobe(
    changed: dict[str, Any], says: str, first: str
) -> None:
    services = Services(test={"result": False}, **changed)
    told = connection(CONNECTED)
    await services.at_zoho(told)
    checks = services.platform.check(told, ADOBE, services.zoho.own_call(told))
    found = (await _by_subject(checks))["connection test"]
    assert found.fix.startswith(says)
    assert f"(1) {first}" in found.fix


async def test_an_adobe_permission_is_no_matter_of_the_source() -> None:
    body = {"type": "FLOW-1100-400", "title": "Invalid request", "detail": "Not entitled to this operation."}
    found = (await Services(test=(400, body)).at_adobe())["connection test"]
    assert found.reason == "PermissionDenied"


async def test_sandboxes_that_may_not_be_listed_keep_nothing_from_being_checked() -> None:
    found = await Services(sandboxes=403).at_adobe()
    assert (found["sandbox"].level, found["sandbox"].reason) == (Level.WARNING, "PermissionDenied")
    assert found["connection test"].level is Level.OK


async def test_a_role_without_any_sandbox() -> None:
    found = await Services(sandboxes={"sandboxes": []}).at_adobe()
    assert "it includes no sandbox at all" in found["sandbox"].message


async def test_before_there_is_a_base_connection() -> None:
    found = await Services().at_adobe(connection({}))
    assert (list(found)[-1], found["base connection"].level) == ("base connection", Level.WARNING)


# --- hosts ------------------------------------------------------------------------------------------------


async def reach(url: str) -> Check:
    http = HttpClient(SpreadTransport(pools=1), Clock())
    try:
        return await Hosts(http).check("Zoho API host", url)
    finally:
        await http.aclose()


async def test_any_answer_will_do() -> None:
    async with serve(answers(ok(b"hello").replace(b"200 OK", b"503 Service Unavailable"))) as port:
        found = await reach(f"http://127.0.0.1:{port}/below/it")
    assert (found.level, "without TLS" in found.message) == (Level.OK, True)


async def test_an_untrusted_certificate() -> None:
    async with serve(answers(ok(b"hello")), tls=True) as port:
        found = await reach(f"https://127.0.0.1:{port}")
    assert (found.level, found.reason) == (Level.FAILED, "Unreachable")
    assert "certificate" in found.message.lower()
    assert "proxy" in found.fix


async def test_a_trusted_certificate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    async with serve(answers(ok(b"hello")), tls=True) as port:
        found = await reach(f"https://localhost:{port}")
    assert found.level is Level.OK
    assert found.message == "Reached localhost over TLS, with a trusted certificate."


async def test_nobody_listens() -> None:
    found = await reach(f"http://127.0.0.1:{free_port()}")
    assert (found.level, found.reason) == (Level.FAILED, "Unreachable")
