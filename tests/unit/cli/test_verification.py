"""Whether a grant fits its connection: what refuses it, and what only warns."""

from __future__ import annotations

from typing import TypeVar

import pytest
from pydantic import SecretStr

from crmflow.api.zohosourceconnection import DataCenter, Environment
from crmflow.cli.connection import Connection
from crmflow.cli.problem import Problem
from crmflow.cli.verification import Verified, verify
from crmflow.http.errors import ErrorClass, RemoteError
from crmflow.zoho.accounts import ZohoToken
from crmflow.zoho.crm import Organization, User, ZohoCRM
from crmflow.zoho.scopes import DEFAULT_SCOPES, SOURCE_SCOPES
from tests.unit.cli.connections import connection

T = TypeVar("T")

CONNECTION = connection()
ORGANIZATION = Organization("1", "2", "Nordlicht", "production", "enterprise")
USER = User("3", "data@example.com", "Data Pipeline", "active", "Integration")


def error(reason: str) -> RemoteError:
    return RemoteError("ZohoCRM", "organization", ErrorClass.TERMINAL, reason, "no", advice="do that")


def _or_raise(found: T | RemoteError) -> T:
    if isinstance(found, RemoteError):
        raise found
    return found


class Crm(ZohoCRM):
    """Knows the organization of each environment, or why not."""

    def __init__(
        self,
        production: Organization | RemoteError = ORGANIZATION,
        sandbox: Organization | RemoteError | None = None,
        user: User | RemoteError = USER,
    ) -> None:
        self._organizations = {
            Environment.PRODUCTION: production,
            Environment.SANDBOX: sandbox or error("TokenRejected"),
            Environment.DEVELOPER: error("TokenRejected"),
        }
        self._user = user

    async def organization(
        self, data_center: DataCenter, environment: Environment, token: SecretStr
    ) -> Organization:
        return _or_raise(self._organizations[environment])

    async def current_user(self, data_center: DataCenter, environment: Environment, token: SecretStr) -> User:
        return _or_raise(self._user)


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
    assert (found.organization, found.user, found.warnings) == (ORGANIZATION, USER, ())
    assert found.summary == (
        "Zoho CRM organization Nordlicht (production, enterprise) is authorized as Data Pipeline "
        "(data@example.com)."
    )


async def test_each_missing_scope_is_named() -> None:
    with pytest.raises(Problem) as caught:
        await verified(scopes=("ZohoCRM.modules.READ",))
    assert "ZohoCRM.settings.modules.READ, ZohoCRM.settings.fields.READ." in caught.value.message
    assert ",".join(DEFAULT_SCOPES) in caught.value.advice


async def test_missing_scopes_for_checks_warn() -> None:
    assert (await verified(scopes=SOURCE_SCOPES)).warnings == (
        "Not granted, and needed for checks only: ZohoCRM.org.READ, ZohoCRM.users.READ.",
    )


async def test_what_was_asked_for_is_what_is_needed() -> None:
    with pytest.raises(Problem, match=r"ZohoCRM\.coql\.READ"):
        await verified(needed=(*DEFAULT_SCOPES, "ZohoCRM.coql.READ"))
    only_contacts = ("ZohoCRM.modules.contacts.READ",)
    assert (await verified(scopes=only_contacts, needed=only_contacts)).warnings == ()


async def test_an_answer_without_scopes_is_said() -> None:
    assert (await verified(scopes=())).warnings == ("Zoho did not say which scopes it granted.",)


@pytest.mark.parametrize("kind", ["sandbox", "developer", "bigin"])
async def test_another_type_of_organization(kind: str) -> None:
    with pytest.raises(Problem, match=f"belongs to a {kind} organization"):
        await verified(Crm(Organization("1", "2", "Nordlicht", kind, "")))


async def test_a_token_that_only_another_environment_knows() -> None:
    sandbox = Organization("5", "6", "Nordlicht", "sandbox", "enterprise")
    with pytest.raises(Problem, match="belongs to a sandbox organization"):
        await verified(Crm(error("TokenRejected"), sandbox))


async def test_a_token_that_no_environment_knows_warns() -> None:
    """That is what a refused address looks like, and the operator's may be allowed."""
    found = await verified(Crm(error("TokenRejected"), user=error("TokenRejected")))
    assert found.warnings == ("The organization could not be verified from here. No. Do that.",)
    assert found.summary == "Zoho CRM is authorized."


@pytest.mark.parametrize("reason", ["ApiAccessDisabled", "AccessRefused", "Unavailable", "Timeout"])
async def test_what_may_be_cured_later_warns(reason: str) -> None:
    sandbox = Organization("5", "6", "Nordlicht", "sandbox", "enterprise")
    found = await verified(Crm(error(reason), sandbox))
    assert (found.organization, len(found.warnings)) == (None, 1)


async def test_another_organization_than_the_pinned_one() -> None:
    pinned = connection({"zohoOrganization": {"id": "77"}})
    with pytest.raises(Problem, match=r"Nordlicht \(1\).*organization 77"):
        await verified(connection=pinned)
    same = connection({"zohoOrganization": {"id": "1"}})
    assert (await verified(connection=same)).organization == ORGANIZATION
