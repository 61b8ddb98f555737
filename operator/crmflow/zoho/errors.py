"""What Zoho's errors mean (zoho.md 1.4, 4, 6, 7).

Zoho Accounts answers most errors with HTTP 200, and the CRM API sends some codes with different statuses: so
the code in the body decides, the status only where there is none that is known. A meaning is ours: each
message also quotes Zoho's own words, and names the host that said them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from crmflow.api.zohosourceconnection import DataCenter
from crmflow.http.client import Answer
from crmflow.http.error_bodies import Said, said_by
from crmflow.http.errors import ErrorClass, RemoteError
from crmflow.observability.redaction import sanitize
from crmflow.sentences import some

THROTTLE_WINDOW = 600.0
"""Seconds for which Zoho issues no more tokens once ten were asked for (zoho.md 1.5)."""


@dataclass(frozen=True, slots=True)
class Treatment:
    """One row: how the operator takes an error, and what it tells the user."""

    error_class: ErrorClass
    reason: str
    message: str
    advice: str = ""
    retry_after: float | None = None


_THROTTLED = Treatment(
    ErrorClass.TRANSIENT,
    "TokenThrottled",
    "Zoho issues no more tokens for the rest of its ten-minute window",
    "Nothing to do. If it comes back, look for another program that uses the same refresh token.",
    retry_after=THROTTLE_WINDOW,
)
_REFRESH_TOKEN_REJECTED = Treatment(
    ErrorClass.TERMINAL,
    "RefreshTokenRejected",
    "Zoho does not accept the refresh token, which is wrong, revoked, or evicted by a newer one of the same "
    "user",
    "Check that it was granted to this client in this data center; if so, consent again: kubectl crmflow "
    "authorize puts the new one into the Secret.",
)
_RATE_LIMITED = Treatment(
    ErrorClass.TRANSIENT,
    "RateLimited",
    "the API credits of the last 24 hours are used up, or too many calls run at once",
    "Nothing to do. If it stays, look at the API usage of the organization in Zoho CRM.",
)
_UNAVAILABLE = Treatment(ErrorClass.TRANSIENT, "Unavailable", "Zoho is not available at the moment")
_UNKNOWN = Treatment(
    ErrorClass.TRANSIENT,
    "UnexpectedAnswer",
    "Zoho gives an answer that is not known",
    "The call is repeated. If it stays, look the answer up in Zoho's documentation, or ask Zoho; a page may "
    "also come from what stands between Zoho and the operator, such as a proxy.",
)

_ACCOUNTS: Mapping[str, Treatment] = {
    "invalid_client": Treatment(
        ErrorClass.TERMINAL,
        "InvalidClient",
        "Zoho does not know the client in this data center",
        "Check clientId, that spec.zoho.dataCenter is where the user's account lives, and that the client is "
        "enabled for that data center in Zoho's API console. dataCenter cannot change after creation: for "
        "another one delete this ZohoSourceConnection and create it anew.",
    ),
    "invalid_client_secret": Treatment(
        ErrorClass.TERMINAL,
        "InvalidClientSecret",
        "the client secret is wrong",
        "Check clientSecret and spec.zoho.dataCenter, which cannot change after creation: by default each "
        "data center has a secret of its own.",
    ),
    "invalid_redirect_uri": Treatment(
        ErrorClass.TERMINAL,
        "InvalidRedirectUri",
        "the redirect URI is missing or not registered for the client",
        "Give exactly the URI that is registered; a self client has none.",
    ),
    "invalid_code": _REFRESH_TOKEN_REJECTED,
    "invalid_grant": _REFRESH_TOKEN_REJECTED,
    "missing_org_info": Treatment(
        ErrorClass.TERMINAL,
        "OrganizationMissing",
        "Zoho does not know which organization the token is for",
        "Give the organization as soid=ZohoCRM.{zgid}.",
    ),
    "access_denied": _THROTTLED,
}

_GRANT_REJECTED = Treatment(
    ErrorClass.TERMINAL,
    "GrantRejected",
    "Zoho does not accept the grant token, which was used before, has expired (it lives about a minute), or "
    "belongs to another client",
    "Authorize anew.",
)
_GRANT_THROTTLED = Treatment(
    ErrorClass.TERMINAL,
    "GrantThrottled",
    "Zoho exchanges no more grant tokens of this client or user for the rest of its ten-minute window",
    "Wait ten minutes, then authorize anew.",
)
# What means something else when a grant token is exchanged than when a token is refreshed.
_EXCHANGE: Mapping[str, Treatment] = {
    **_ACCOUNTS,
    "invalid_code": _GRANT_REJECTED,
    "invalid_grant": _GRANT_REJECTED,
    "access_denied": _GRANT_THROTTLED,
}
_MALFORMED = Treatment(
    ErrorClass.BUG, "RequestRefused", "the token request is malformed", "Please report this."
)
_REVOCATION_REFUSED = Treatment(
    ErrorClass.TERMINAL,
    "RevocationRefused",
    "Zoho did not revoke the refresh token, which is wrong or was revoked before",
    "Look under Connected Apps in the user's Zoho account.",
)

_TOKEN_REJECTED = Treatment(
    ErrorClass.TERMINAL,
    "TokenRejected",
    "the CRM API does not accept the access token",
    "Check spec.zoho.dataCenter and spec.zoho.environment against the grant (neither can change after "
    "creation: another one takes another ZohoSourceConnection), that the user who consented is active, and "
    "Zoho's Allowed IPs.",
)
_API_ACCESS_DISABLED = Treatment(
    ErrorClass.TERMINAL,
    "ApiAccessDisabled",
    "the user's profile has no access to the CRM API",
    "Switch on Zoho CRM API Access in Setup, Security Control, Profiles, Developer Permissions.",
)
_PERMISSION_DENIED = Treatment(
    ErrorClass.TERMINAL,
    "PermissionDenied",
    "the user may not read this in Zoho CRM",
    "Grant the permission to the user's profile, or use a grant of another user.",
)
_FEATURE_MISSING = Treatment(
    ErrorClass.TERMINAL,
    "FeatureNotEnabled",
    "the organization does not have this feature",
    "Enable the feature, or check the edition of the organization.",
)
_SCOPE_MISSING = Treatment(
    ErrorClass.TERMINAL,
    "ScopeMissing",
    "the grant lacks a scope that this call needs",
    "Consent again with the scopes that the documentation lists: kubectl crmflow authorize asks for them and "
    "stores the new refresh token.",
)
_BAD_REQUEST = Treatment(
    ErrorClass.BUG, "RequestRefused", "the CRM API does not understand the request", "Please report this."
)
_MODULE_NOT_READABLE = Treatment(
    ErrorClass.TERMINAL,
    "ModuleNotReadable",
    "Zoho CRM has no such module, or none that its API reads",
    "Name a module by its API name, as kubectl crmflow explore lists them. A module that the user's profile "
    "hides can't be read either.",
)
_COLUMN_NOT_READABLE = Treatment(
    ErrorClass.TERMINAL,
    "ColumnNotReadable",
    "the module has no such field, or none that this API reads",
    "Name a field by its API name, as kubectl crmflow explore lists them, or leave it out.",
)
_LIMIT_EXCEEDED = Treatment(
    ErrorClass.BUG, "LimitExceeded", "the request asks for more than one call may have", "Please report this."
)
_PAGE_TOKEN_EXPIRED = Treatment(
    ErrorClass.TRANSIENT,
    "PageTokenExpired",
    "the place from which to read on is forgotten: Zoho keeps it for a day",
    "Nothing to do: it is read from the beginning.",
)

_CRM: Mapping[str, Treatment] = {
    "INVALID_TOKEN": _TOKEN_REJECTED,
    "INVALID_OAUTHTOKEN": _TOKEN_REJECTED,
    "AUTHENTICATION_FAILURE": _TOKEN_REJECTED,
    "AUTHENTICATION_FAILED": _TOKEN_REJECTED,
    "UNAUTHORIZED": _TOKEN_REJECTED,
    "OAUTH_SCOPE_MISMATCH": _SCOPE_MISSING,
    "INVALID_OAUTHSCOPE": _SCOPE_MISSING,
    "INVALID_OAUTH_SCOPE": _SCOPE_MISSING,
    "INVALID_SCOPE": _SCOPE_MISSING,
    "NO_PERMISSION": _PERMISSION_DENIED,
    "FEATURE_NOT_ENABLED": _FEATURE_MISSING,
    "FEATURE_NOT_SUPPORTED": _FEATURE_MISSING,
    "INVALID_HOST": Treatment(
        ErrorClass.TERMINAL,
        "WrongHost",
        "this host does not serve the API of the organization",
        "Check spec.zoho.dataCenter and spec.zoho.environment; neither can change after creation.",
    ),
    "INVALID_MODULE": _MODULE_NOT_READABLE,
    "MODULE_NOT_AVAILABLE": _MODULE_NOT_READABLE,
    "NOT_SUPPORTED": _MODULE_NOT_READABLE,
    "JOB_NOT_SUPPORTED": _MODULE_NOT_READABLE,
    "FIELD_NOT_AVAILABLE": _COLUMN_NOT_READABLE,
    "LIMIT_EXCEEDED": _LIMIT_EXCEEDED,
    "EXPIRED_VALUE": _PAGE_TOKEN_EXPIRED,
    "TOKEN_BOUND_DATA_MISMATCH": _PAGE_TOKEN_EXPIRED,
    "RESOURCE_NOT_FOUND": Treatment(ErrorClass.NOT_FOUND, "NotFound", "Zoho CRM does not know it (any more)"),
    "INVALID_URL_PATTERN": _BAD_REQUEST,
    "API_NOT_SUPPORTED": _BAD_REQUEST,
    "INVALID_DATA": _BAD_REQUEST,
    "INVALID_REQUEST": _BAD_REQUEST,
    "REQUIRED_PARAM_MISSING": _BAD_REQUEST,
    "INVALID_REQUEST_METHOD": _BAD_REQUEST,
    "AMBIGUITY_DURING_PROCESSING": _BAD_REQUEST,
    "INVALID_QUERY": _BAD_REQUEST,
    "SYNTAX_ERROR": _BAD_REQUEST,
    "MANDATORY_NOT_FOUND": _BAD_REQUEST,
    "REQUEST_BODY_IS_EMPTY": _BAD_REQUEST,
    "CRITERIA_LIMIT_EXCEEDED": _BAD_REQUEST,
    "TOO_MANY_REQUESTS": _RATE_LIMITED,
    "RATE_LIMIT_EXCEEDED": _RATE_LIMITED,
    "LIMIT_REACHED": _RATE_LIMITED,
    "API_LIMIT_EXCEEDED": _RATE_LIMITED,
    "ALREADY_MODIFIED": Treatment(
        ErrorClass.CONFLICT, "AlreadyModified", "the record was modified meanwhile"
    ),
    "INTERNAL_ERROR": _UNAVAILABLE,
    "INTERNAL_SERVER_ERROR": _UNAVAILABLE,
    "BAD_GATEWAY": _UNAVAILABLE,
    "SERVICE_UNAVAILABLE": _UNAVAILABLE,
}

# Which part of a query COQL refuses, by the key of ``details`` (zoho.md 3.7).
_QUERY_DETAILS = {
    "column_name": _COLUMN_NOT_READABLE,
    "module": _MODULE_NOT_READABLE,
    "limit": _LIMIT_EXCEEDED,
}

# A refused address has no documented body (zoho.md 6): a refusal that no row knows is most likely that.
_ACCESS_REFUSED = Treatment(
    ErrorClass.TERMINAL,
    "AccessRefused",
    "Zoho CRM refuses the call for a reason it does not name",
    "Check Zoho's Allowed IPs: they must contain AEP's addresses, and the operator's if it is to verify "
    "organization and environment. Then check that the user who consented is active.",
)
_REFUSED_WITH_WORDS = replace(
    _ACCESS_REFUSED,
    message="Zoho CRM refuses the call",
    advice=f"If its answer does not name the cause: {_ACCESS_REFUSED.advice}",
)


_NO_CODE: Mapping[str, Treatment] = {
    "429": _RATE_LIMITED,
    "500 and above": _UNAVAILABLE,
    "401 or 403 of the CRM API, its words name a scope": _SCOPE_MISSING,
    "401 or 403 of the CRM API": _ACCESS_REFUSED,
}
TABLES: Mapping[str, Mapping[str, Treatment]] = {
    "Asked for an access token": _ACCOUNTS,
    "Asked to exchange a grant token": {
        code: meaning for code, meaning in _EXCHANGE.items() if meaning is not _ACCOUNTS.get(code)
    },
    "Asked for data": _CRM,
    "With a status and no code that is known": _NO_CODE,
}
"""What was asked, and what Zoho's codes mean then; for the documentation."""


def accounts_error(answer: Answer, asked: str) -> RemoteError:
    """The error in an answer of the token endpoint that carries no token; ``asked`` names the host."""
    said = said_by(answer)
    return _error(answer, asked, said, _accounts_meaning(answer, said, _ACCOUNTS))


def exchange_error(answer: Answer, asked: str) -> RemoteError:
    """The same when a grant token was exchanged.

    ``maybe_applied`` is True unless the answer says that nothing was granted: a busy or puzzling service may
    have used the grant token up.
    """
    said = said_by(answer)
    meaning = _accounts_meaning(answer, said, _EXCHANGE)
    if meaning is _THROTTLED:
        meaning = _GRANT_THROTTLED
    unclear = meaning is None or meaning.error_class is ErrorClass.TRANSIENT
    return _error(answer, asked, said, meaning, maybe_applied=unclear)


def revocation_error(answer: Answer, asked: str) -> RemoteError:
    """The error in an answer that does not confirm a revocation (zoho.md 1.6)."""
    return _error(answer, asked, said_by(answer), _by_status(answer.status) or _REVOCATION_REFUSED)


def crm_error(answer: Answer, asked: str) -> RemoteError:
    """The error in an answer of the CRM API, whatever its status; ``asked`` names the host."""
    said = said_by(answer)
    details = said.fields.get("details")
    meaning = _crm_meaning(answer.status, said)
    if meaning is _PERMISSION_DENIED:
        meaning = _denied(_permissions(details), said.text)
    if said.code.upper() == "INVALID_QUERY" and isinstance(details, dict):
        meaning = next((meant for key, meant in _QUERY_DETAILS.items() if key in details), meaning)
    if meaning is not None and (wait := _seconds(details)) is not None:
        meaning = replace(meaning, retry_after=wait)
    return _error(answer, asked, said, meaning)


def wrong_data_center(service: str, operation: str, found: DataCenter, expected: DataCenter) -> RemoteError:
    """The grant belongs to an account of another data center than the resource names (zoho.md 7)."""
    return RemoteError(
        service,
        operation,
        ErrorClass.TERMINAL,
        "WrongDataCenter",
        f"this Zoho account lives in data center {found} ({found.place}), but spec.zoho.dataCenter is "
        f"{expected} ({expected.place})",
        advice=f"Consent with an account of {expected}, or create another ZohoSourceConnection with "
        f"dataCenter {found}; it cannot change after creation.",
    )


def _accounts_meaning(answer: Answer, said: Said, rows: Mapping[str, Treatment]) -> Treatment | None:
    meaning = rows.get(said.code.lower())
    if meaning is None and _is_throttle(said):
        meaning = _THROTTLED
    if meaning is None:
        meaning = _by_status(answer.status)
    if meaning is None and answer.status == 400 and not said.code:
        # Zoho's plain 400: wrong method, or no grant_type (zoho.md 1.4).
        meaning = _MALFORMED
    return meaning


def _crm_meaning(status: int, said: Said) -> Treatment | None:
    refused = status in (401, 403)
    if refused and ("SCOPE" in said.code.upper() or "oauth scope" in said.text.lower()):
        return _SCOPE_MISSING  # whatever the code is called (zoho.md 4; 10, row 13)
    meaning = _CRM.get(said.code.upper()) or _by_status(status)
    if meaning is None and refused:
        return _REFUSED_WITH_WORDS if said.code or said.text else _ACCESS_REFUSED
    return meaning


def _denied(permissions: tuple[str, ...], text: str) -> Treatment:
    """What NO_PERMISSION means: one code for the profile, a module and the edition (zoho.md 4)."""
    if any(permission.casefold() == "crm_implied_api_access" for permission in permissions):
        return _API_ACCESS_DISABLED
    if not permissions:
        return _FEATURE_MISSING if "edition" in text.lower() else _PERMISSION_DENIED
    noun, them = ("permission", "it") if len(permissions) == 1 else ("permissions", "them")
    return replace(
        _PERMISSION_DENIED,
        message=f"{_PERMISSION_DENIED.message}: the user's profile lacks the {noun} {some(permissions)}",
        advice=f"Grant {them} to the profile in Zoho under Setup, Users & Control, Security Control, "
        "Profiles, or use a grant of another user.",
    )


def _is_throttle(said: Said) -> bool:
    """The throttle's text follows the client's language; its ``status`` does not, and is only there."""
    if not said.fields:
        return False  # a page, of whoever stands in between
    texts = f"{said.code} {said.text}".lower()
    return said.fields.get("status") == "failure" or "access denied" in texts or "too many requests" in texts


def _by_status(status: int) -> Treatment | None:
    if status == 429:
        return _RATE_LIMITED
    return _UNAVAILABLE if status >= 500 else None


def _seconds(details: Any) -> float | None:
    """``retry_after``, as a number or as the text of one."""
    value = details.get("retry_after") if isinstance(details, dict) else None
    try:
        seconds = float(value) if isinstance(value, int | float | str) else 0.0
    except ValueError:
        return None
    return seconds if 0 < seconds < float("inf") else None


def _permissions(details: Any) -> tuple[str, ...]:
    permissions = details.get("permissions") if isinstance(details, dict) else None
    listed = [permissions] if isinstance(permissions, str) else permissions
    names = (
        [sanitize(name, 80) for name in listed if isinstance(name, str)] if isinstance(listed, list) else []
    )
    return tuple(name for name in names if name)


def _error(
    answer: Answer, asked: str, said: Said, meaning: Treatment | None, *, maybe_applied: bool = False
) -> RemoteError:
    """A refusal changes nothing, and neither do reads; a refresh or a revocation may be repeated."""
    meaning = meaning or _UNKNOWN
    return RemoteError(
        answer.call.service,
        answer.call.operation,
        meaning.error_class,
        meaning.reason,
        f"{meaning.message}; {asked} answered {said.quoted}",
        advice=meaning.advice,
        status=answer.status,
        code=said.code or None,
        retry_after=meaning.retry_after if answer.retry_after is None else answer.retry_after,
        maybe_applied=maybe_applied,
    )
