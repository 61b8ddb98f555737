"""Whether a grant fits its connection: what refuses it, and what only warns."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from pydantic import SecretStr

from crmflow.api.zohosourceconnection import DataCenter, Environment
from crmflow.cli.connection import Connection
from crmflow.cli.problem import Problem
from crmflow.cli.verification import Verified, verify
from crmflow.http.client import Answer, Call
from crmflow.http.errors import ErrorClass, RemoteError
from crmflow.zoho.accounts import ZohoToken
from crmflow.zoho.api import SERVICE, CrmApi
from crmflow.zoho.crm import Organization, User, ZohoCRM
from crmflow.zoho.scopes import DEFAULT_SCOPES, LANDING_ZONE_SCOPES, SOURCE_SCOPES
from tests.unit.cli.connections import connection

CONNECTION = connection()


def error(reason: str) -> RemoteError:
    return RemoteError(SERVICE, "organization", ErrorClass.TERMINAL, reason, "no", advice="do that")


def org(type_: str = "production", edition: str = "enterprise") -> dict[str, Any]:
    """What Zoho tells of an organization."""
    fields = {"id": "1", "zgid": "2", "company_name": "Nordlicht", "type": type_}
    return {"org": [{**fields, "license_details": {"paid_type": edition}}]}


ORG = org()
ORGANIZATION = Organization("1", "2", "Nordlicht", "production", "enterprise")
USER = {
    "users": [
        {
            "id": "3",
            "email": "data@example.com",
            "full_name": "Data Pipeline",
            "status": "active",
            "profile": {"name": "Integration"},
        }
    ]
}
REJECTED = error("TokenRejected")


class Api(CrmApi):
    """Answers with what it knows, by operations."""

    def __init__(self, answers: Mapping[str, dict[str, Any] | RemoteError]) -> None:
        self._answers = answers

    async def send(self, operation: str, method: str, path: str, **_: Any) -> Answer:
        found = self._answers[operation]
        if isinstance(found, RemoteError):
            raise found
        return Answer(Call(SERVICE, operation, method), 200, {}, json.dumps(found).encode())


class Crm(ZohoCRM):
    """Knows the organization of each environment, or why not."""

    def __init__(
        self,
        production: dict[str, Any] | RemoteError = ORG,
        sandbox: dict[str, Any] | RemoteError = REJECTED,
        user: dict[str, Any] | RemoteError = USER,
    ) -> None:
        self._organizations = {
            Environment.PRODUCTION: production,
            Environment.SANDBOX: sandbox,
            Environment.DEVELOPER: REJECTED,
        }
        self._user = user

    def api(self, data_center: DataCenter, environment: Environment, token: SecretStr, *_: Any) -> CrmApi:
        return Api({"organization": self._organizations[environment], "currentUser": self._user})


async def verified(
    crm: ZohoCRM | None = None,
    scopes: tuple[str, ...] = DEFAULT_SCOPES,
    connection: Connection = CONNECTION,
    needed: tuple[str, ...] = DEFAULT_SCOPES,
) -> Verified:
    token = ZohoToken(SecretStr("1000.aaaa.bbbb"), 0, 0, scopes, None)
    return await verify(crm or Crm(), connection, token, needed)


async def test_a_grant_that_fits() -> None:
    found = await verified()
    user = User("3", "data@example.com", "Data Pipeline", "active", "Integration")
    assert (found.organization, found.user, found.warnings) == (ORGANIZATION, user, ())
    assert found.summary == (
        "Zoho CRM organization Nordlicht (production, enterprise) is authorized as Data Pipeline "
        "(data@example.com)."
    )


async def test_each_missing_scope_is_named() -> None:
    with pytest.raises(Problem) as caught:
        await verified(scopes=("ZohoCRM.modules.READ",))
    assert (
        "ZohoCRM.settings.modules.READ, ZohoCRM.settings.fields.READ, ZohoCRM.coql.READ"
        in caught.value.message
    )
    assert ",".join(DEFAULT_SCOPES) in caught.value.advice


async def test_missing_scopes_for_checks_warn() -> None:
    assert (await verified(scopes=(*SOURCE_SCOPES, *LANDING_ZONE_SCOPES))).warnings == (
        "Not granted, and needed for checks only: ZohoCRM.org.READ, ZohoCRM.users.READ.",
    )


async def test_what_was_asked_for_is_what_is_needed() -> None:
    with pytest.raises(Problem, match=r"ZohoCRM\.settings\.READ"):
        await verified(needed=(*DEFAULT_SCOPES, "ZohoCRM.settings.READ"))
    only_contacts = ("ZohoCRM.modules.contacts.READ",)
    assert (await verified(scopes=only_contacts, needed=only_contacts)).warnings == ()


async def test_an_answer_without_scopes_is_said() -> None:
    assert (await verified(scopes=())).warnings == ("Zoho did not say which scopes it granted.",)


@pytest.mark.parametrize("kind", ["sandbox", "developer", "bigin"])
async def test_another_type_of_organization(kind: str) -> None:
    with pytest.raises(Problem, match=f"belongs to a {kind} organization"):
        await verified(Crm(org(kind, "")))


async def test_a_token_that_only_another_environment_knows() -> None:
    with pytest.raises(Problem, match="belongs to a sandbox organization"):
        await verified(Crm(REJECTED, org("sandbox")))


async def test_a_token_that_no_environment_knows_warns() -> None:
    """That is what a refused address looks like, and the operator's may be allowed."""
    found = await verified(Crm(REJECTED, user=REJECTED))
    assert found.warnings == ("The organization could not be verified from here. No. Do that.",)
    assert found.summary == "Zoho CRM is authorized."


@pytest.mark.parametrize("reason", ["ApiAccessDisabled", "AccessRefused", "Unavailable", "Timeout"])
async def test_what_may_be_cured_later_warns(reason: str) -> None:
    found = await verified(Crm(error(reason), org("sandbox")))
    assert (found.organization, len(found.warnings)) == (None, 1)


async def test_another_organization_than_the_pinned_one() -> None:
    pinned = connection({"zohoOrganization": {"id": "77"}})
    with pytest.raises(Problem, match=r"Nordlicht \(1\).*organization 77"):
        await verified(connection=pinned)
    same = connection({"zohoOrganization": {"id": "1"}})
    assert (await verified(connection=same)).organization == ORGANIZATION
