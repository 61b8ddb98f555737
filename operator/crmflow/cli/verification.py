"""Whether a new grant is the one that the connection needs: scopes, environment, organization.

What is certainly wrong refuses the grant. What can't be found out from here only warns: the person's machine
may be kept out by Zoho's Allowed IPs where the operator is not, and a right that is missing now may be given
later without another consent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import SecretStr

from crmflow.api.zohosourceconnection import Environment
from crmflow.cli.connection import Connection
from crmflow.cli.problem import Problem, sentence
from crmflow.http.errors import RemoteError
from crmflow.sentences import every, naming
from crmflow.zoho import crm as zoho
from crmflow.zoho.accounts import ZohoToken
from crmflow.zoho.crm import Organization, User, ZohoCRM
from crmflow.zoho.scopes import VERIFICATION_SCOPES, missing_scopes


@dataclass(frozen=True)
class Verified:
    """What was found out, and what was not."""

    organization: Organization | None
    user: User | None
    warnings: tuple[str, ...]

    @property
    def summary(self) -> str:
        """Whose grant it is, in a sentence."""
        who = f" as {self.user.name} ({self.user.email})" if self.user else ""
        if self.organization is None:
            return f"Zoho CRM is authorized{who}."
        traits = naming(" ({})", self.organization.traits, none="")
        return f"Zoho CRM organization {self.organization.name}{traits} is authorized{who}."


async def verify(crm: ZohoCRM, connection: Connection, token: ZohoToken, needed: Sequence[str]) -> Verified:
    """Raises Problem if the grant is of no use to ``connection``."""
    warnings: list[str] = []
    # An answer without scopes says nothing about them (zoho.md 1.3).
    missing = missing_scopes(needed, token.scopes) if token.scopes else ()
    _require(missing, needed)
    if not token.scopes:
        warnings.append("Zoho did not say which scopes it granted.")
    if missing:
        warnings.append(f"Not granted, and needed for checks only: {every(missing)}.")
    organization: Organization | None = None
    try:
        organization = await matching_organization(crm, connection, token.value)
    except RemoteError as error:
        cause = f"{sentence(error.message)} {sentence(error.advice)}".strip()
        warnings.append(f"The organization could not be verified from here. {cause}")
    return Verified(organization, await _user(crm, connection, token.value), tuple(warnings))


def _require(missing: Sequence[str], needed: Sequence[str]) -> None:
    lacking = [scope for scope in missing if scope not in VERIFICATION_SCOPES]
    if lacking:
        raise Problem(
            f"the grant lacks these scopes: {every(lacking)}",
            f"Authorize anew with all of them: {','.join(needed)}",
        )


async def matching_organization(crm: ZohoCRM, connection: Connection, token: SecretStr) -> Organization:
    """The connection's; raises Problem if the grant belongs to another, RemoteError if it can't be read."""
    try:
        organization = await zoho.organization(crm.api(connection.data_center, connection.environment, token))
    except RemoteError as error:
        # The API of one environment does not know the tokens of another (zoho.md 1.2).
        if error.reason == "TokenRejected" and (other := await _other_environment(crm, connection, token)):
            raise _wrong_environment(connection, other.type) from error
        raise
    if organization.type and organization.type != connection.environment.lower():
        raise _wrong_environment(connection, organization.type)
    if connection.organization_id not in (None, organization.id):
        raise Problem(
            f"the grant belongs to organization {organization.name} ({organization.id}), but this connection "
            f"reads from organization {connection.organization_id}",
            "Consent as a user of that organization, or create another ZohoSourceConnection",
        )
    return organization


async def _other_environment(crm: ZohoCRM, connection: Connection, token: SecretStr) -> Organization | None:
    for environment in Environment:
        if environment is not connection.environment:
            try:
                return await zoho.organization(crm.api(connection.data_center, environment, token))
            except RemoteError:
                continue
    return None


def _wrong_environment(connection: Connection, found: str) -> Problem:
    return Problem(
        f"the grant belongs to a {found} organization, but spec.zoho.environment is {connection.environment}",
        f"Consent again and choose the {connection.environment} environment, or create another "
        "ZohoSourceConnection for the other one; environment cannot change after creation",
    )


async def _user(crm: ZohoCRM, connection: Connection, token: SecretStr) -> User | None:
    try:
        return await zoho.current_user(crm.api(connection.data_center, connection.environment, token))
    except RemoteError:
        return None  # only names who consented; what keeps it away has shown with the organization
