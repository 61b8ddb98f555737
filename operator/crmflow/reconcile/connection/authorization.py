"""The steps of a ZohoSourceConnection that speak about its way in: Secrets, grant, organization, sandbox."""

from __future__ import annotations

from collections.abc import Sequence

from crmflow.api.zohosourceconnection import IpAllowList, ZohoOrganization
from crmflow.reconcile import reach
from crmflow.reconcile.conditions import SUCCEEDED, TRUE
from crmflow.reconcile.connection.conditions import AUTHORIZED
from crmflow.reconcile.connection.state import ConnectionPass
from crmflow.reconcile.credentials import ZohoCredentials
from crmflow.reconcile.outcome import DONE, Outcome, stalled, waiting
from crmflow.reconcile.ports import Zoho
from crmflow.transport.errors import RemoteError
from crmflow.zoho.scopes import SOURCE_SCOPES, VERIFICATION_SCOPES, missing_scopes


async def check_tenancy(pass_: ConnectionPass) -> Outcome:
    """The namespace may use the sandbox."""
    return reach.refusal(pass_, pass_.spec) or DONE


async def read_secrets(pass_: ConnectionPass) -> Outcome:
    """Both Secrets exist and hold what is needed."""
    zoho = await reach.read_secret(
        pass_,
        pass_.spec.zoho.credentials_secret_ref.name,
        "spec.zoho.credentialsSecretRef",
        "clientId, clientSecret and refreshToken (or grantToken)",
        ZohoCredentials.from_secret,
    )
    if isinstance(zoho, Outcome):
        return zoho
    platform = await reach.platform_credentials(pass_, pass_.spec)
    if isinstance(platform, Outcome):
        return platform
    pass_.zoho_credentials, pass_.platform_credentials = zoho, platform
    return DONE


async def authorize_at_zoho(pass_: ConnectionPass) -> Outcome:
    """Zoho gives an access token for the grant, and the grant has the scopes that data needs."""
    if pass_.zoho_credentials is None:
        raise RuntimeError("the Secrets are read first")
    who = reach.holder(pass_.identity.namespace, pass_.identity.name)
    pass_.zoho = pass_.services.access.zoho(who, pass_.spec.zoho.data_center, pass_.zoho_credentials)
    await pass_.zoho.access_token()
    granted = await pass_.zoho.scopes()
    lacking = missing_scopes(pass_.spec.zoho.scopes or SOURCE_SCOPES, granted) if granted else ()
    if lacking:
        return stalled(
            "ScopeMissing",
            f"The grant lacks {_scopes(lacking)}. Authorize again with kubectl crmflow authorize "
            f"{pass_.identity.name}, or consent to these scopes and store the new refresh token.",
        )
    return DONE


async def verify_organization(pass_: ConnectionPass) -> Outcome:
    """The grant belongs to the environment that the spec names, and still to the organization it first
    belonged to. A grant that does not let us look is used unverified.
    """
    try:
        organization = await _zoho(pass_).organization(pass_.spec.zoho.environment)
    except RemoteError as error:
        if error.reason != "ScopeMissing":
            raise
        pass_.find(
            AUTHORIZED,
            TRUE,
            SUCCEEDED,
            f"{AUTHORIZED.description} To which organization the grant belongs was not verified: it lacks "
            f"{_scopes(missing_scopes(VERIFICATION_SCOPES[:1], await _zoho(pass_).scopes()))}.",
        )
        return DONE
    pinned = pass_.status.zoho_organization
    if pinned is not None and pinned.id != organization.id:
        return stalled(
            "OrganizationChanged",
            f"The grant now belongs to Zoho organization {organization.id}, not to {pinned.id} as before. "
            "Restore a grant of "
            "that organization, or create another ZohoSourceConnection for the other one.",
        )
    wanted = pass_.spec.zoho.environment
    if organization.type and organization.type.casefold() != wanted.casefold():
        return stalled(
            "EnvironmentMismatch",
            f"spec.zoho.environment is {wanted}, but the grant belongs to a {organization.type} "
            "organization of Zoho CRM. "
            f"Authorize again and choose the {wanted} environment, or create a ZohoSourceConnection with "
            "the other environment.",
        )
    pass_.record(
        zoho_organization=ZohoOrganization(
            id=organization.id, name=organization.name, type=organization.type, edition=organization.edition
        )
    )
    return DONE


async def authorize_at_adobe(pass_: ConnectionPass) -> Outcome:
    """IMS gives a token for the credential."""
    return await reach.reach_platform(pass_, pass_.identity.name, pass_.spec)


async def verify_sandbox(pass_: ConnectionPass) -> Outcome:
    """The sandbox exists for this credential, and is active."""
    name = pass_.spec.platform.sandbox
    sandboxes = await pass_.platform.sandboxes()
    sandbox = next((sandbox for sandbox in sandboxes if sandbox.name == name), None)
    if sandbox is None:
        return stalled(
            "SandboxNotFound",
            f'Sandbox "{name}" does not exist in {pass_.spec.platform.organization}, or the credential\'s '
            "role does not include "
            "it. Check the name (not the title), and add the sandbox to the role of the technical account.",
        )
    pass_.record(ip_allow_list=_allow_list(pass_, sandbox.region))
    if (sandbox.state or "active") != "active":
        return waiting(
            "SandboxNotActive", f'Sandbox "{name}" is {sandbox.state}; waiting until it is active.'
        )
    return DONE


def _allow_list(pass_: ConnectionPass, region: str) -> IpAllowList | None:
    if not region:
        return None
    return IpAllowList(region=region, ranges=pass_.services.allow_list().ranges_of(region) or None)


def _scopes(names: Sequence[str]) -> str:
    return ("the scope " if len(names) == 1 else "the scopes ") + ", ".join(names)


def _zoho(pass_: ConnectionPass) -> Zoho:
    if pass_.zoho is None:
        raise RuntimeError("Zoho is reached first")
    return pass_.zoho
