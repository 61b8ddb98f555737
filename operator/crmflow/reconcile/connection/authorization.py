"""The steps of a ZohoSourceConnection that speak about its way in: Secrets, grant, organization, sandbox."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from crmflow.aep.sandboxes import SANDBOXES
from crmflow.api.zohosourceconnection import IpAllowListStatus, ZohoOrganization
from crmflow.http.errors import ErrorClass, RemoteError
from crmflow.reconcile.connection.conditions import AUTHORIZED
from crmflow.reconcile.connection.state import ConnectionPass
from crmflow.reconcile.core import platform_access
from crmflow.reconcile.core.conditions import SUCCEEDED, TRUE
from crmflow.reconcile.core.engine import step
from crmflow.reconcile.core.outcome import StalledError, WaitingError
from crmflow.reconcile.core.refusals import OPTIONAL_REFUSALS, Proved
from crmflow.reconcile.core.sandbox import SandboxClient
from crmflow.reconcile.credentials import PlatformCredentials, ZohoCredentials
from crmflow.reconcile.ports import Platform, Zoho
from crmflow.reconcile.secret_values import Flaw
from crmflow.sentences import every, naming, sentence
from crmflow.zoho.crm import Organization
from crmflow.zoho.scopes import LANDING_ZONE_SCOPES, SOURCE_SCOPES, VERIFICATION_SCOPES, missing_scopes


@step(AUTHORIZED)
async def check_tenancy(pass_: ConnectionPass) -> None:
    """The namespace may use the sandbox."""
    platform_access.check_tenancy(pass_, pass_.spec)


@step(AUTHORIZED)
async def read_secrets(pass_: ConnectionPass) -> tuple[ZohoCredentials, PlatformCredentials]:
    """Both Secrets exist and hold what is needed."""
    zoho = await platform_access.zoho_credentials(pass_, pass_.spec)
    return zoho, await platform_access.platform_credentials(pass_, pass_.spec)


@step(AUTHORIZED)
async def authorize_at_zoho(pass_: ConnectionPass, credentials: ZohoCredentials) -> Zoho:
    """Zoho gives an access token for the grant, and the grant has the scopes that data needs."""
    who = platform_access.connection_key(pass_.identity.namespace, pass_.identity.name)
    zoho = pass_.services.access.zoho(who, pass_.spec.zoho.data_center, credentials)
    with _advice(pass_, pass_.spec.zoho.credentials_secret_ref.name, credentials.suspicions):
        await zoho.access_token()
    await _check_scopes(
        pass_,
        zoho,
        pass_.spec.zoho.scopes or SOURCE_SCOPES,
        "Where narrower ones are enough, name them in spec.zoho.scopes.",
    )
    return zoho


@step(AUTHORIZED)
async def check_reading_scopes(pass_: ConnectionPass, zoho: Zoho) -> None:
    """The grant has the scopes that our own reads need, where records are read by us. No narrower ones do."""
    named = pass_.spec.zoho.scopes is not None
    await _check_scopes(
        pass_,
        zoho,
        LANDING_ZONE_SCOPES,
        "spec.zoho.scopes, which is what a consent is asked for, has to have them too." if named else "",
    )


async def _check_scopes(pass_: ConnectionPass, zoho: Zoho, needed: Sequence[str], advice: str) -> None:
    granted = await zoho.scopes()
    lacking = missing_scopes(needed, granted) if granted else ()
    if lacking:
        raise StalledError(
            "ScopeMissing",
            f"The grant lacks {_scopes(lacking)}. Authorize again with "
            f'"{pass_.advisor.authorize}", or consent to these scopes and store the new refresh token. '
            f"{advice}".rstrip(),
        )


@step(AUTHORIZED)
async def verify_organization(pass_: ConnectionPass, credentials: ZohoCredentials, zoho: Zoho) -> None:
    """The grant belongs to the environment that the spec names, and still to the organization it first
    belonged to. Where Zoho does not let us look the grant is used unverified: data needs none of it.
    """
    try:
        with _advice(pass_):
            organization = await _organization(pass_, zoho)
    except RemoteError as error:
        if not _is_optional(pass_, credentials, error):
            raise
        pass_.unverified["To which organization the grant belongs"] = await _why(zoho, error)
        return
    pinned = pass_.status.zoho_organization
    if pinned is not None and pinned.id != organization.id:
        raise StalledError(
            "OrganizationChanged",
            f"The grant now belongs to Zoho organization {organization.id}, not to {pinned.id} as "
            "before. Restore a grant of that organization, or create another ZohoSourceConnection for "
            "the other one.",
        )
    wanted = pass_.spec.zoho.environment
    if organization.type and organization.type.casefold() != wanted.casefold():
        raise StalledError(
            "EnvironmentMismatch",
            f"spec.zoho.environment is {wanted}, but the grant belongs to a {organization.type} "
            f"organization of Zoho CRM. Authorize again and choose the {wanted} environment, or create "
            "a ZohoSourceConnection with the other environment.",
        )
    pass_.record(
        zoho_organization=ZohoOrganization(
            id=organization.id,
            name=organization.name,
            type=organization.type,
            edition=organization.edition,
            time_zone=organization.time_zone or None,
        )
    )


async def _organization(pass_: ConnectionPass, zoho: Zoho) -> Organization:
    """What Zoho CRM tells of the grant's organization; that it answers is evidence for the rest of the pass.
    Raises RemoteError.
    """
    try:
        organization = await zoho.organization(pass_.spec.zoho.environment)
    except RemoteError as error:
        if error.reason != "ScopeMissing":  # Zoho accepts the grant, and says nothing of the source's scopes
            pass_.own_call = error
        raise
    pass_.own_call = True
    return organization


def _is_optional(pass_: ConnectionPass, credentials: ZohoCredentials, error: RemoteError) -> bool:
    """Whether the connection goes on without having looked. Before the first look an outage is waited for;
    later on, the organization of the same grant is the same.
    """
    if error.error_class is not ErrorClass.TRANSIENT:
        return error.reason in OPTIONAL_REFUSALS
    return pass_.status.zoho_organization is not None and pass_.was_sent(credentials)


async def _why(zoho: Zoho, error: RemoteError) -> str:
    lacking = missing_scopes(VERIFICATION_SCOPES[:1], await zoho.scopes())
    if error.reason == "ScopeMissing" and lacking:
        return f"the grant lacks {_scopes(lacking)}."
    return sentence(error.message)


@step(AUTHORIZED)
async def authorize_at_adobe(pass_: ConnectionPass, credentials: PlatformCredentials) -> SandboxClient:
    """IMS gives a token for the credential."""
    secret = pass_.spec.platform.credentials_secret_ref.name
    with _advice(pass_, secret, credentials.suspicions):
        return await platform_access.reach_platform(pass_, pass_.identity.name, pass_.spec, credentials)


@step(AUTHORIZED)
async def verify_sandbox(pass_: ConnectionPass, sandbox: SandboxClient) -> None:
    """The sandbox exists for this credential, and is active. A credential that may not list sandboxes is used
    all the same: each call names the sandbox.
    """
    try:
        with _advice(pass_):
            await _look_at_sandbox(pass_, sandbox.platform)
    except RemoteError as error:
        if error.reason not in OPTIONAL_REFUSALS:
            raise
        pass_.unverified["Whether the sandbox exists and is active"] = sentence(error.message)
    if pass_.unverified:
        not_known = " ".join(f"{what} was not verified: {why}" for what, why in pass_.unverified.items())
        pass_.set_condition(
            AUTHORIZED,
            TRUE,
            SUCCEEDED,
            f"Zoho and Adobe accept the credentials. {not_known} Data needs none of it.",
        )


async def _look_at_sandbox(pass_: ConnectionPass, client: Platform) -> None:
    platform = pass_.spec.platform
    sandboxes = await client.list(SANDBOXES)
    sandbox = next((sandbox for sandbox in sandboxes if sandbox.name == platform.sandbox), None)
    if sandbox is None:
        others = [sandbox.name for sandbox in sandboxes]
        raise StalledError("SandboxNotFound", _no_sandbox(pass_, others))
    pass_.record(ip_allow_list=_allow_list(pass_, sandbox.region))
    if (sandbox.state or "active") != "active":
        text = f'Sandbox "{platform.sandbox}" is {sandbox.state}; waiting until it is active.'
        raise WaitingError("SandboxNotActive", text)


def _no_sandbox(pass_: ConnectionPass, others: Sequence[str]) -> str:
    platform = pass_.spec.platform
    if Proved.by(pass_.status).sandbox:
        return (
            f'Sandbox "{platform.sandbox}" no longer exists in {platform.organization}, or the role of the '
            "technical account no longer includes it. Add it to the role; if it was deleted, have it made "
            "again, or delete this resource."
        )
    listed = naming("It includes {}.", others, none="It includes no sandbox at all.")
    return (
        f'Sandbox "{platform.sandbox}" does not exist in {platform.organization}, or the credential\'s role '
        f"does not include it. {listed} Check the name (not the title), and add the sandbox to the role of "
        "the technical account. spec.platform.sandbox cannot change after creation: to name another one, "
        "delete this resource and create it anew."
    )


@contextmanager
def _advice(pass_: ConnectionPass, secret: str = "", suspicions: Sequence[Flaw] = ()) -> Iterator[None]:
    """What is refused within is told with the advice that fits this connection."""
    try:
        yield
    except RemoteError as error:
        raise pass_.advisor.advised(error, secret, suspicions) from error


def _allow_list(pass_: ConnectionPass, region: str) -> IpAllowListStatus | None:
    if not region:
        return None
    return IpAllowListStatus(region=region, ranges=pass_.services.allow_list().ranges_of(region) or None)


def _scopes(names: Sequence[str]) -> str:
    return ("the scope " if len(names) == 1 else "the scopes ") + every(names)
