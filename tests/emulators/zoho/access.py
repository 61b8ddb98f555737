"""Who may call the CRM API: Zoho's checks (zoho.md 9.9), for the API itself and for AEP's connector."""

from __future__ import annotations

from .data_centers import DATA_CENTERS
from .errors import CrmError, invalid_host
from .model import AccessToken, Organization, User
from .scopes import covers
from .state import ZohoState

BARE_HOST = "bare"
HOST_ENVIRONMENTS = ("production", "sandbox", "developer", BARE_HOST)
_SCHEMES = ("zoho-oauthtoken", "bearer")


def check_host(state: ZohoState, dc: str, environment: str) -> None:
    """Raise INVALID_HOST where no API host exists."""
    data_center = DATA_CENTERS.get(dc)
    if data_center is None or environment not in HOST_ENVIRONMENTS:
        raise invalid_host()
    if environment == BARE_HOST and state.switches.bare_api_host == "refused":
        raise invalid_host()
    if not data_center.listed and state.switches.unlisted_data_centers == "refused":
        raise invalid_host()


def check_token(state: ZohoState, dc: str, environment: str, authorization: str | None) -> AccessToken:
    """The live access token of an Authorization header, if it belongs at this host."""
    if not authorization:
        raise CrmError(401, state.switches.missing_token_code, "Authentication failed")
    scheme, _, value = authorization.partition(" ")
    known_scheme = scheme.lower() in _SCHEMES and (
        scheme.lower() != "bearer" or state.switches.bearer_accepted
    )
    token = state.tokens.access_token(value.strip()) if known_scheme else None
    host_environment = "production" if environment == BARE_HOST else environment
    if token is None or (token.grant.data_center, token.grant.environment) != (dc, host_environment):
        raise invalid_token(state)
    return token


def identify(state: ZohoState, token: AccessToken) -> tuple[Organization, User]:
    """Organization and user of a token; a token of people who are gone is invalid."""
    organization = state.organizations.get(token.grant.zgid)
    user = organization.users.get(token.grant.user_id) if organization else None
    if organization is None or user is None:
        raise invalid_token(state)
    if not user.active:
        if state.switches.inactive_user == "no_permission":
            raise CrmError(state.switches.no_permission_status, "NO_PERMISSION", "permission denied")
        raise invalid_token(state)
    return organization, user


def check_profile(state: ZohoState, user: User) -> None:
    """The profile's "Zoho CRM API Access" (zoho.md 4)."""
    if not user.profile.api_access:
        raise _no_permission(state, "Crm_Implied_Api_Access")


def check_scopes(state: ZohoState, token: AccessToken, needed: str) -> None:
    """What the person agreed to."""
    if not covers(token.grant.scopes, needed):
        status = state.switches.scope_mismatch_status
        raise CrmError(status, state.switches.scope_mismatch_code, "invalid oauth scope to access this URL")


def check_org(state: ZohoState) -> None:
    """Whether the organization may be read at all."""
    if state.switches.org_refusal == "no_permission":
        raise _no_permission(state, "Crm_Implied_View_Organization")


def check_module(state: ZohoState, organization: Organization, user: User, module: str | None) -> None:
    """The profile's permission on a module that exists."""
    if module in organization.modules and not user.profile.may_view(module):
        raise _no_permission(state, f"Crm_Implied_View_{module}")


def invalid_token(state: ZohoState) -> CrmError:
    """Expired, revoked, evicted, or of another data center or environment."""
    return CrmError(401, state.switches.invalid_token_code, "invalid oauth token")


def _no_permission(state: ZohoState, permission: str) -> CrmError:
    status = state.switches.no_permission_status
    return CrmError(status, "NO_PERMISSION", "permission denied", {"permissions": [permission]})
