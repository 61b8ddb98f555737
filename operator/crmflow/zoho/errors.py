"""What Zoho's errors mean (zoho.md 1.4, 4, 6, 7).

Zoho Accounts answers most errors with HTTP 200, and the CRM API sends some codes with different statuses: so
the code in the body decides, the status only where there is none that is known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from crmflow.api.zohosourceconnection import DataCenter
from crmflow.observability.redaction import sanitise
from crmflow.transport.errors import ErrorClass, RemoteError
from crmflow.transport.http import Answer

THROTTLE_WINDOW = 600.0
"""Seconds for which Zoho issues no more tokens once ten were asked for (zoho.md 1.5)."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """One row: how the operator takes an error, and what it tells the user."""

    error_class: ErrorClass
    reason: str
    message: str
    advice: str = ""
    retry_after: float | None = None


_THROTTLED = Meaning(
    ErrorClass.TRANSIENT,
    "TokenThrottled",
    "Zoho issues no more tokens for the rest of its ten-minute window",
    "Nothing to do. If it comes back, look for another program that uses the same refresh token.",
    retry_after=THROTTLE_WINDOW,
)
_REFRESH_TOKEN_REJECTED = Meaning(
    ErrorClass.TERMINAL,
    "RefreshTokenRejected",
    "Zoho does not accept the refresh token, which is wrong, revoked, or evicted by a newer one of the same "
    "user",
    "Check that it was granted to this client in this data centre; if so, consent again.",
)
_RATE_LIMITED = Meaning(
    ErrorClass.TRANSIENT,
    "RateLimited",
    "the API credits of the last 24 hours are used up, or too many calls run at once",
    "Nothing to do. If it stays, look at the API usage of the organisation in Zoho CRM.",
)
_UNAVAILABLE = Meaning(ErrorClass.TRANSIENT, "Unavailable", "Zoho is not available at the moment")

_ACCOUNTS: Mapping[str, Meaning] = {
    "invalid_client": Meaning(
        ErrorClass.TERMINAL,
        "InvalidClient",
        "Zoho does not know the client in this data centre",
        "Check clientId, that spec.zoho.dataCenter is where the user's account lives, and that the client is "
        "enabled for that data centre in Zoho's API console.",
    ),
    "invalid_client_secret": Meaning(
        ErrorClass.TERMINAL,
        "InvalidClientSecret",
        "the client secret is wrong",
        "Check clientSecret and spec.zoho.dataCenter: by default each data centre has a secret of its own.",
    ),
    "invalid_redirect_uri": Meaning(
        ErrorClass.TERMINAL,
        "InvalidRedirectUri",
        "the redirect URI is missing or not registered for the client",
        "Give exactly the URI that is registered; a self client has none.",
    ),
    "invalid_code": _REFRESH_TOKEN_REJECTED,
    "invalid_grant": _REFRESH_TOKEN_REJECTED,
    "missing_org_info": Meaning(
        ErrorClass.TERMINAL,
        "OrganizationMissing",
        "Zoho does not know which organisation the token is for",
        "Give the organisation as soid=ZohoCRM.{zgid}.",
    ),
    "access_denied": _THROTTLED,
}

_GRANT_REJECTED = Meaning(
    ErrorClass.TERMINAL,
    "GrantRejected",
    "Zoho does not accept the grant token, which was used before, has expired (it lives about a minute), or "
    "belongs to another client",
    "Authorize anew.",
)
_GRANT_THROTTLED = Meaning(
    ErrorClass.TERMINAL,
    "GrantThrottled",
    "Zoho exchanges no more grant tokens of this client or user for the rest of its ten-minute window",
    "Wait ten minutes, then authorize anew.",
)
# What means something else when a grant token is exchanged than when a token is refreshed.
_EXCHANGE: Mapping[str, Meaning] = {
    **_ACCOUNTS,
    "invalid_code": _GRANT_REJECTED,
    "invalid_grant": _GRANT_REJECTED,
    "access_denied": _GRANT_THROTTLED,
}
_MALFORMED = Meaning(
    ErrorClass.BUG, "RequestRefused", "the token request is malformed", "Please report this."
)
_REVOCATION_REFUSED = Meaning(
    ErrorClass.TERMINAL,
    "RevocationRefused",
    "Zoho did not revoke the refresh token, which is wrong or was revoked before",
    "Look under Connected Apps in the user's Zoho account.",
)

_TOKEN_REJECTED = Meaning(
    ErrorClass.TERMINAL,
    "TokenRejected",
    "the CRM API does not accept the access token",
    "Check spec.zoho.dataCenter and spec.zoho.environment against the grant, and Zoho's Allowed IPs.",
)
_API_ACCESS_DISABLED = Meaning(
    ErrorClass.TERMINAL,
    "ApiAccessDisabled",
    "the user's profile has no access to the CRM API",
    "Switch on Zoho CRM API Access in Setup, Security Control, Profiles, Developer Permissions.",
)
_PERMISSION_DENIED = Meaning(
    ErrorClass.TERMINAL,
    "PermissionDenied",
    "the user may not read this in Zoho CRM",
    "Grant the permission to the user's profile, or use a grant of another user.",
)
_FEATURE_MISSING = Meaning(
    ErrorClass.TERMINAL,
    "FeatureNotEnabled",
    "the organisation does not have this feature",
    "Enable the feature, or check the edition of the organisation.",
)
_BAD_REQUEST = Meaning(
    ErrorClass.BUG, "RequestRefused", "the CRM API does not understand the request", "Please report this."
)

_CRM: Mapping[str, Meaning] = {
    "INVALID_TOKEN": _TOKEN_REJECTED,
    "INVALID_OAUTHTOKEN": _TOKEN_REJECTED,
    "AUTHENTICATION_FAILURE": _TOKEN_REJECTED,
    "AUTHENTICATION_FAILED": _TOKEN_REJECTED,
    "UNAUTHORIZED": _TOKEN_REJECTED,
    "OAUTH_SCOPE_MISMATCH": Meaning(
        ErrorClass.TERMINAL,
        "ScopeMissing",
        "the grant lacks a scope that this call needs",
        "Consent again with the scopes that the documentation lists, and store the new refresh token.",
    ),
    "NO_PERMISSION": _PERMISSION_DENIED,
    "FEATURE_NOT_ENABLED": _FEATURE_MISSING,
    "FEATURE_NOT_SUPPORTED": _FEATURE_MISSING,
    "INVALID_HOST": Meaning(
        ErrorClass.TERMINAL,
        "WrongHost",
        "this host does not serve the API of the organisation",
        "Check spec.zoho.dataCenter and spec.zoho.environment.",
    ),
    "INVALID_URL_PATTERN": _BAD_REQUEST,
    "INVALID_MODULE": _BAD_REQUEST,
    "NOT_SUPPORTED": _BAD_REQUEST,
    "API_NOT_SUPPORTED": _BAD_REQUEST,
    "INVALID_DATA": _BAD_REQUEST,
    "INVALID_REQUEST": _BAD_REQUEST,
    "REQUIRED_PARAM_MISSING": _BAD_REQUEST,
    "INVALID_REQUEST_METHOD": _BAD_REQUEST,
    "AMBIGUITY_DURING_PROCESSING": _BAD_REQUEST,
    "TOO_MANY_REQUESTS": _RATE_LIMITED,
    "RATE_LIMIT_EXCEEDED": _RATE_LIMITED,
    "LIMIT_REACHED": _RATE_LIMITED,
    "API_LIMIT_EXCEEDED": _RATE_LIMITED,
    "ALREADY_MODIFIED": Meaning(ErrorClass.CONFLICT, "AlreadyModified", "the record was modified meanwhile"),
    "INTERNAL_ERROR": _UNAVAILABLE,
    "INTERNAL_SERVER_ERROR": _UNAVAILABLE,
    "BAD_GATEWAY": _UNAVAILABLE,
    "SERVICE_UNAVAILABLE": _UNAVAILABLE,
}

# A refused address has no documented body (zoho.md 6): a refusal that no row knows is most likely that.
_ACCESS_REFUSED = Meaning(
    ErrorClass.TERMINAL,
    "AccessRefused",
    "Zoho CRM refuses the call for a reason it does not name",
    "Check Zoho's Allowed IPs: they must contain the operator's address, and AEP's too.",
)


_NO_CODE: Mapping[str, Meaning] = {
    "429": _RATE_LIMITED,
    "500 and above": _UNAVAILABLE,
    "401 or 403 of the CRM API": _ACCESS_REFUSED,
}
TABLES: Mapping[str, Mapping[str, Meaning]] = {
    "Asked for an access token": _ACCOUNTS,
    "Asked to exchange a grant token": {
        code: meaning for code, meaning in _EXCHANGE.items() if meaning is not _ACCOUNTS.get(code)
    },
    "Asked for data": _CRM,
    "With a status and no code that is known": _NO_CODE,
}
"""What was asked, and what Zoho's codes mean then; for the documentation."""


def accounts_error(answer: Answer) -> RemoteError:
    """The error in an answer of the token endpoint that carries no token."""
    fields, code = _accounts_code(answer)
    meaning = _accounts_meaning(answer, fields, code, _ACCOUNTS)
    return _error(answer, meaning or _unknown(code, _text(fields.get("error_description"))), code)


def exchange_error(answer: Answer) -> RemoteError:
    """The same when a grant token was exchanged.

    ``maybe_applied`` is True unless the answer says that nothing was granted: a busy or puzzling service may
    have used the grant token up.
    """
    fields, code = _accounts_code(answer)
    meaning = _accounts_meaning(answer, fields, code, _EXCHANGE)
    if meaning is _THROTTLED:
        meaning = _GRANT_THROTTLED
    unclear = meaning is None or meaning.error_class is ErrorClass.TRANSIENT
    known = meaning or _unknown(code, _text(fields.get("error_description")))
    return _error(answer, known, code, maybe_applied=unclear)


def revocation_error(answer: Answer) -> RemoteError:
    """The error in an answer that does not confirm a revocation (zoho.md 1.6)."""
    _, code = _accounts_code(answer)
    return _error(answer, _by_status(answer.status) or _REVOCATION_REFUSED, code)


def _accounts_code(answer: Answer) -> tuple[Mapping[str, Any], str]:
    body = answer.json_or_none()
    fields: Mapping[str, Any] = body if isinstance(body, dict) else {}
    return fields, _text(fields.get("error"))


def _accounts_meaning(
    answer: Answer, fields: Mapping[str, Any], code: str, rows: Mapping[str, Meaning]
) -> Meaning | None:
    meaning = rows.get(code.lower())
    if meaning is None and _is_throttle(fields):
        meaning = _THROTTLED
    if meaning is None:
        meaning = _by_status(answer.status)
    if meaning is None and answer.status == 400 and not code:
        # Zoho's plain 400: wrong method, or no grant_type (zoho.md 1.4).
        meaning = _MALFORMED
    return meaning


def wrong_data_center(service: str, operation: str, found: DataCenter, expected: DataCenter) -> RemoteError:
    """The grant belongs to an account of another data centre than the resource names (zoho.md 7)."""
    return RemoteError(
        service,
        operation,
        ErrorClass.TERMINAL,
        "WrongDataCenter",
        f"this Zoho account lives in data centre {found}, but spec.zoho.dataCenter is {expected}",
        advice=f"Consent with an account of {expected}, or create another ZohoSourceConnection with "
        f"dataCenter {found}; it cannot change after creation.",
    )


def crm_error(answer: Answer) -> RemoteError:
    """The error in an answer of the CRM API, whatever its status."""
    body = answer.json_or_none()
    fields: Mapping[str, Any] = body if isinstance(body, dict) else {}
    code = _text(fields.get("code"))
    details = fields.get("details")
    meaning = _CRM.get(code.upper()) or _by_status(answer.status)
    if meaning is _PERMISSION_DENIED and "Crm_Implied_Api_Access" in _permissions(details):
        meaning = _API_ACCESS_DISABLED
    if meaning is None and answer.status in (401, 403):
        meaning = _ACCESS_REFUSED
    if meaning is None:
        meaning = _unknown(code, _text(fields.get("message")))
    if (wait := _seconds(details)) is not None:
        meaning = replace(meaning, retry_after=wait)
    return _error(answer, meaning, code)


def _is_throttle(fields: Mapping[str, Any]) -> bool:
    """The throttle's text follows the client's language; its ``status`` does not, and is only there."""
    texts = f"{_text(fields.get('error'))} {_text(fields.get('error_description'))}".lower()
    return fields.get("status") == "failure" or "access denied" in texts or "too many requests" in texts


def _by_status(status: int) -> Meaning | None:
    if status == 429:
        return _RATE_LIMITED
    return _UNAVAILABLE if status >= 500 else None


def _unknown(code: str, text: str) -> Meaning:
    said = ": ".join(part for part in (code, text) if part) or "nothing that is known"
    return Meaning(ErrorClass.TRANSIENT, "UnexpectedAnswer", f"Zoho answered {said}")


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
    return tuple(map(str, permissions)) if isinstance(permissions, list) else ()


def _error(answer: Answer, meaning: Meaning, code: str, *, maybe_applied: bool = False) -> RemoteError:
    """A refusal changes nothing, and neither do reads; a refresh or a revocation may be repeated."""
    return RemoteError(
        answer.call.service,
        answer.call.operation,
        meaning.error_class,
        meaning.reason,
        meaning.message,
        advice=meaning.advice,
        status=answer.status,
        code=code or None,
        retry_after=meaning.retry_after if answer.retry_after is None else answer.retry_after,
        maybe_applied=maybe_applied,
    )


def _text(value: Any) -> str:
    return sanitise(value, 120) if isinstance(value, str) else ""
