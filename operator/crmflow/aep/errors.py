"""What AEP's errors mean (platform.md 2), for the gateway and all five services.

Codes are numbers with an HTTP status, as in ``FLOW-1404-412``. The catalogues of Flow Service and of the
source providers overlap in one code, so each has its own table, and the prefix says which one to look into
first. A status alone decides only where no row knows the code.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from crmflow.aep import fields
from crmflow.observability.redaction import sanitise
from crmflow.transport.errors import ErrorClass, RemoteError
from crmflow.transport.http import Answer


@dataclass(frozen=True, slots=True)
class Meaning:
    """One row: how an error is taken. The message is AEP's own, as it names the field or the object."""

    error_class: ErrorClass
    reason: str
    advice: str = ""


def _terminal(reason: str, advice: str) -> Meaning:
    return Meaning(ErrorClass.TERMINAL, reason, advice)


# The row of a request that the operator must not have sent.
BUG = Meaning(ErrorClass.BUG, "RequestRefused", "Please report this.")
UNAVAILABLE = Meaning(ErrorClass.TRANSIENT, "Unavailable")
RATE_LIMITED = Meaning(ErrorClass.TRANSIENT, "RateLimited")
NOT_FOUND = Meaning(ErrorClass.NOT_FOUND, "NotFound")
STALE_ETAG = Meaning(ErrorClass.CONFLICT, "VersionConflict")
IN_TRANSITION = Meaning(ErrorClass.WAIT, "InTransition")
IN_USE = Meaning(ErrorClass.IN_USE, "InUse", "Delete the dataflows that use it first.")

TOKEN_REJECTED_CODE = "401013"  # noqa: S105 - an error code
"""The gateway's code for a token that is no longer valid: get a new one and repeat once (platform.md 2.2)."""

_TOKEN_REJECTED = _terminal(
    "PlatformTokenRejected", "Check that the credential in the Secret belongs to spec.platform.organization."
)
_API_KEY_REJECTED = _terminal(
    "ApiKeyRejected",
    "Check clientId in the platform Secret, and that its project has the Experience Platform API.",
)
_ORGANIZATION_REJECTED = _terminal(
    "OrganizationRejected", "Check spec.platform.organization against the organisation of the credential."
)
_PERMISSION_DENIED = _terminal(
    "PermissionDenied",
    "Give the technical account a role in this sandbox with Manage Sources, View Schemas and View Datasets.",
)
_SANDBOX_NOT_FOUND = _terminal(
    "SandboxNotFound", "Check spec.platform.sandbox, and that the technical account's role contains it."
)
_SOURCE_NOT_OFFERED = _terminal(
    "SourceNotOffered", "Adobe may have withdrawn the Zoho CRM source; ask Adobe before changing anything."
)
_SOURCE_REFUSED = _terminal(
    "SourceRefused",
    "AEP could not use Zoho CRM: check the grant, the data centre and the Allowed IPs in Zoho.",
)
_MAPPING_INVALID = _terminal(
    "MappingInvalid",
    "Check spec.mapping against schema and columns, and the account's access to the mapped fields.",
)
_SCHEMA_MISMATCH = _terminal(
    "SchemaMismatch",
    "Dataset, mapping and target must name the same schema and version: choose a fitting dataset.",
)
_SCHEDULE_INVALID = _terminal("ScheduleInvalid", "Correct spec.schedule.")
_SCHEDULE_LOCKED = _terminal(
    "ScheduleLocked", "The flow has started: this part of the schedule can't be changed any more."
)
_DELTA_COLUMN_INVALID = _terminal(
    "DeltaColumnInvalid", "A recurring flow needs a delta column, a flow that runs once must have none."
)
_PATCH_NOT_SUPPORTED = _terminal(
    "PatchNotSupported", "This connection can't be changed in place: delete it and let it be created anew."
)

_GATEWAY: Mapping[str, Meaning] = {
    "403010": BUG,
    TOKEN_REJECTED_CODE: _TOKEN_REJECTED,
    "403000": _API_KEY_REJECTED,
    "403003": _API_KEY_REJECTED,
    "400003": _ORGANIZATION_REJECTED,
    "403025": _ORGANIZATION_REJECTED,
    "403027": _terminal(
        "ProductProfileMissing",
        "Give the credential the product profile AEP-Default-All-Users in the Developer Console.",
    ),
}

_FLOW_SERVICE: Mapping[str, Meaning] = {
    "1100-400": _PERMISSION_DENIED,
    "1101-404": NOT_FOUND,
    "1102-500": UNAVAILABLE,
    "1103-503": UNAVAILABLE,
    "1104-504": UNAVAILABLE,
    "1400-500": UNAVAILABLE,
    "1401-400": BUG,
    "1402-400": BUG,
    "1403-400": BUG,
    "1404-412": STALE_ETAG,
    "1405-400": BUG,
    "1409-400": IN_TRANSITION,
    "1410-400": BUG,
    "1412-400": Meaning(ErrorClass.CONFLICT, "MappingVersionConflict"),
    "1413-400": _SOURCE_NOT_OFFERED,
    "1414-400": _PATCH_NOT_SUPPORTED,
    "1415-400": _SOURCE_NOT_OFFERED,
    "1416-400": IN_TRANSITION,
    "1417-400": IN_TRANSITION,
    "1418-400": IN_USE,
    "1419-400": _MAPPING_INVALID,
    "1420-400": IN_TRANSITION,
    "1421-400": IN_TRANSITION,
    "1422-400": IN_TRANSITION,
    "1425-400": _SCHEMA_MISMATCH,
    "1427-400": _PERMISSION_DENIED,
    "1430-400": NOT_FOUND,
    "1434-400": BUG,
    "1439-400": NOT_FOUND,
    "1439-404": NOT_FOUND,
    "1440-400": BUG,
    "1443-400": BUG,
    "1445-400": _PATCH_NOT_SUPPORTED,
    "1447-400": IN_USE,
    **{f"{number}-400": BUG for number in range(1448, 1456)},
    "1456-400": IN_TRANSITION,
    "1457-400": IN_TRANSITION,
    "1458-400": IN_TRANSITION,
    "2000-401": _TOKEN_REJECTED,
    "2001-401": _ORGANIZATION_REJECTED,
    "2002-401": _ORGANIZATION_REJECTED,
    "2105-400": BUG,
    "2110-400": BUG,
    "2111-403": BUG,
    "2117-500": UNAVAILABLE,
    "2118-403": _PERMISSION_DENIED,
    "2120-403": _PERMISSION_DENIED,
    "2121-403": _PERMISSION_DENIED,
    "2200-500": UNAVAILABLE,
    "2250-500": UNAVAILABLE,
}

_SOURCES: Mapping[str, Meaning] = {
    "1300-400": _PATCH_NOT_SUPPORTED,
    "1302-400": _SOURCE_NOT_OFFERED,
    "1304-400": BUG,
    "1305-400": _SOURCE_NOT_OFFERED,
    "1307-400": BUG,
    "1308-400": _SOURCE_REFUSED,
    "1321-400": BUG,
    "1325-400": _terminal(
        "DatasetNotFound", "Check spec.target.dataset; the dataset may have expired or been deleted."
    ),
    "1327-400": BUG,
    "1328-400": _terminal(
        "MappingMissing", "Give spec.mapping: the columns of this source can't be derived."
    ),
    "1330-400": _terminal(
        "ColumnsNotFound", "Check spec.source.table: Zoho shows no columns of it to this grant."
    ),
    "1336-400": BUG,
    "1337-400": BUG,
    "1353-400": BUG,
    "1358-400": BUG,
    # The clock moved past the start while the request was under way; the next pass computes a later one.
    "1360-400": Meaning(ErrorClass.TRANSIENT, "StartTimePassed"),
    "1361-400": _SCHEDULE_INVALID,
    "1362-400": _SCHEDULE_INVALID,
    "1363-400": _SCHEDULE_INVALID,
    "1364-400": _SCHEDULE_INVALID,
    "1365-400": BUG,
    "1366-400": _SCHEDULE_LOCKED,
    "1367-400": _DELTA_COLUMN_INVALID,
    "1368-400": BUG,
    "1369-400": _DELTA_COLUMN_INVALID,
    "1370-400": _terminal(
        "MappingMissing", "Give spec.mapping: the columns of this source can't be derived."
    ),
    "1397-400": _SCHEDULE_INVALID,
    "1403-400": _SCHEDULE_LOCKED,
    "1404-400": _SCHEDULE_LOCKED,
}

_SCHEMA_REGISTRY: Mapping[str, Meaning] = {
    "1006-400": BUG,
    "1007-400": BUG,
    "1008-400": BUG,
    "1012-404": NOT_FOUND,
}

# Every service looks for the sandbox first. Without these a misspelt one would make everything in it look
# deleted.
_ANY_SERVICE: Mapping[str, Meaning] = {
    "2100-404": _SANDBOX_NOT_FOUND,
    "2101-404": _SANDBOX_NOT_FOUND,
    "2103-404": _SANDBOX_NOT_FOUND,
}

_TABLES_BY_PREFIX: Mapping[str, tuple[Mapping[str, Meaning], ...]] = {
    "XDM": (_SCHEMA_REGISTRY,),
    "FLOW": (_FLOW_SERVICE, _SOURCES),
    "": (_FLOW_SERVICE, _SOURCES),
}
# The prefix of the source providers' codes is not documented (platform.md 16.3): any other one may be theirs.
_OTHER_TABLES = (_SOURCES, _FLOW_SERVICE)

_BY_STATUS: Mapping[int, Meaning] = {
    401: _TOKEN_REJECTED,
    403: _PERMISSION_DENIED,
    404: NOT_FOUND,
    406: Meaning(ErrorClass.NOT_FOUND, "VersionNotFound"),
    408: UNAVAILABLE,
    409: Meaning(ErrorClass.CONFLICT, "Conflict"),
    412: STALE_ETAG,
    429: RATE_LIMITED,
}
_REFUSED = _terminal(
    "RequestRefused", "AEP refuses what the resource asks for: compare its message with the spec."
)
_UNEXPECTED = Meaning(
    ErrorClass.TRANSIENT,
    "UnexpectedAnswer",
    "Check the configured address of AEP and what stands between it and the operator.",
)

_CODE = re.compile(r"(?:([A-Za-z]+)-)?([0-9]{4}-[0-9]{3})$")
_REQUEST_ID = re.compile(r"[\w.:-]{1,80}")


def platform_error(answer: Answer) -> RemoteError:
    """The error in an answer that is not 2xx, in any shape of platform.md 2.1, HTML and nothing included."""
    body = answer.json_or_none()
    report = fields.obj(body, "report")
    code = _code(body)
    meaning = _UNEXPECTED if _is_page(answer, body) else meaning_of(code, answer.status)
    return RemoteError(
        answer.call.service,
        answer.call.operation,
        meaning.error_class,
        meaning.reason,
        _message(body, report, answer.status),
        advice=meaning.advice,
        status=answer.status,
        code=code,
        request_id=_request_id(answer, report),
        retry_after=answer.retry_after,
        # A gateway's 5xx says nothing about what the service behind it has done.
        maybe_applied=answer.call.changes and (answer.status >= 500 or answer.status == 408),
    )


def meaning_of(code: str | None, status: int) -> Meaning:
    """The row for a code such as ``FLOW-1404-412`` or ``401013``, else the one for the status."""
    if code is not None:
        if code in _GATEWAY:
            return _GATEWAY[code]
        prefix, number = _split(code)
        for table in (_ANY_SERVICE, *_TABLES_BY_PREFIX.get(prefix, _OTHER_TABLES)):
            if number in table:
                return table[number]
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if status >= 500:
        return UNAVAILABLE
    return _REFUSED if 400 <= status < 500 else _UNEXPECTED


def _is_page(answer: Answer, body: Any) -> bool:
    """Whether a 404 is the page of something that stands between: every service of AEP answers in JSON, or
    with no body at all, and only a service knows that an object is gone.
    """
    return answer.status == 404 and body is None and bool(answer.body.strip()) and answer.body != b"null"


def _split(code: str) -> tuple[str, str]:
    match = _CODE.search(code)
    return ((match[1] or "").upper(), match[2]) if match else ("", code)


def _code(body: Any) -> str | None:
    gateway = fields.text(body, "error_code")
    if re.fullmatch(r"[0-9]{6}", gateway):
        return gateway
    for value in (fields.text(body, "type"), gateway, fields.text(body, "code")):
        if match := _CODE.search(value):
            return match[0]
    return None


def _message(body: Any, report: Mapping[str, Any], status: int) -> str:
    """AEP's title and its most detailed text."""
    title = sanitise(fields.text(body, "title"), 120)
    detail = sanitise(
        fields.text(report, "detailed-message")
        or fields.text(body, "errorDetails", "detail", "errorMessage", "message"),
    )
    parts = [title, "" if detail.casefold() == title.casefold() else detail]
    return ": ".join(part for part in parts if part) or f"answered {status} without saying why"


def _request_id(answer: Answer, report: Mapping[str, Any]) -> str | None:
    value = fields.text(report, "request-id", "registryRequestId") or answer.headers.get("x-request-id", "")
    return value if _REQUEST_ID.fullmatch(value) else None
