"""What AEP's errors mean (platform.md 2), for the gateway and all five services.

Codes are numbers with an HTTP status, as in ``FLOW-1404-412``. The catalogs of Flow Service and of the
source providers overlap in one code, so each has its own table, and the prefix says which one to look into
first. A status alone decides only where no row knows the code.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from crmflow.aep import fields
from crmflow.http.client import Answer
from crmflow.http.error_bodies import envelope, page_text
from crmflow.http.errors import ErrorClass, RemoteError
from crmflow.observability.redaction import sanitize

T = TypeVar("T")


async def found(read: Awaitable[T]) -> T | None:
    """The answer to a read, None if there is no such object. That it exists in another version is an error:
    raises RemoteError.
    """
    try:
        return await read
    except RemoteError as error:
        if error.error_class is ErrorClass.NOT_FOUND and error.reason != "VersionNotFound":
            return None
        raise


@dataclass(frozen=True, slots=True)
class Meaning:
    """One row: how an error is taken. The message is AEP's own, as it names the field or the object."""

    error_class: ErrorClass
    reason: str
    advice: str = ""
    cure_is_silent: bool = False


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
    "OrganizationRejected", "Check spec.platform.organization against the organization of the credential."
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
_SOURCE_REFUSED = Meaning(
    ErrorClass.TERMINAL,
    "SourceRefused",
    "Zoho CRM or its connector refused, not Platform: the condition Tested of the ZohoSourceConnection tells "
    "more.",
    cure_is_silent=True,  # it may pass, and is cured at Zoho, which sends no event
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
_RUN_REFUSED = _terminal(
    "RunRefused", "Platform runs only one-time flows of a batch source on demand; wait for the schedule."
)
_RUN_COLUMN_REFUSED = _terminal(
    "DeltaColumnInvalid", "The flow was run on demand by another column before, and keeps that one."
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
    "2114-400": _TOKEN_REJECTED,
    "2115-400": _TOKEN_REJECTED,
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
    "1001-401": _PERMISSION_DENIED,
    "1009-403": _ORGANIZATION_REJECTED,
    "1300-400": _PATCH_NOT_SUPPORTED,
    "1302-400": _SOURCE_NOT_OFFERED,
    "1304-400": BUG,
    "1305-400": _SOURCE_NOT_OFFERED,
    "1307-400": BUG,
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
    "1380-400": _RUN_REFUSED,
    "1381-400": BUG,
    "1382-400": _RUN_COLUMN_REFUSED,
    "1383-400": _RUN_COLUMN_REFUSED,
    "1384-400": BUG,
    "1385-400": _RUN_REFUSED,
    "1386-400": _RUN_REFUSED,
    "1387-400": Meaning(ErrorClass.CONFLICT, "RunNotRetryable"),
    "1388-400": Meaning(ErrorClass.CONFLICT, "FlowNotEnabled"),
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

# Every service looks for the sandbox first. Without these a misspelled one would make everything in it look
# deleted.
_ANY_SERVICE: Mapping[str, Meaning] = {
    "2100-404": _SANDBOX_NOT_FOUND,
    "2101-404": _SANDBOX_NOT_FOUND,
    "2103-404": _SANDBOX_NOT_FOUND,
    "2106-404": _SANDBOX_NOT_FOUND,
}

# The codes that wrap what a source's provider says (platform.md 2.3, 2.4): what they mean stands in the text.
_WRAPPERS = frozenset({"1014", "1100", "1105", "1106", "1308"})
_NOT_ENTITLED = re.compile(r"\bnot entitled to th(?:is|e) operation\b", re.I)
"""The one text of Platform's own among them."""
_NO_WORDS = re.compile(r"(?:the user is unauthorized|the requested operation is forbidden)?[\s.]*", re.I)
"""What 1105 and 1106 say before the provider's text; alone, it is Platform that refuses."""

_SAYS_SOMETHING = (
    *("type", "title", "report", "detail", "message", "errorMessage", "errorDetails"),
    *("error_code", "errorCode", "code"),
)
"""The fields of which an error has at least one (platform.md 2.1)."""
_PAGES = frozenset({403, 404})
"""Statuses that mean something else on the page of what stands between: every service of AEP answers in JSON,
or with no body at all, and only a service knows of permissions and objects.
"""

_SPEAKS_FOR_ITSELF = frozenset({"1105-401", "1106-403"})

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
    406: Meaning(
        ErrorClass.NOT_FOUND, "VersionNotFound", "It exists, but not in this version: name another one."
    ),
    408: UNAVAILABLE,
    409: Meaning(ErrorClass.CONFLICT, "Conflict"),
    412: STALE_ETAG,
    429: RATE_LIMITED,
}
_REFUSED = _terminal(
    "RequestRefused", "AEP refuses what the resource asks for: compare its message with the spec."
)
_REFUSED_WITHOUT_WORDS = _terminal(
    "RequestRefused",
    "AEP refuses what the resource asks for. Look at what was changed last; if it stays, ask Adobe, with the "
    "request id that the operator logs.",
)
_UNEXPECTED = Meaning(
    ErrorClass.TRANSIENT,
    "UnexpectedAnswer",
    "Check the configured address of AEP and what stands between it and the operator.",
)

_CODE = re.compile(r"(?:([A-Za-z]+)-)?([0-9]{4}-[0-9]{3})$")
_DETAIL_LENGTH = 384
_REQUEST_ID = re.compile(r"[\w.:-]{1,80}")


def platform_error(answer: Answer) -> RemoteError:
    """The error in an answer that is not 2xx, in any shape of platform.md 2.1, HTML and nothing included."""
    body = envelope(answer.json_or_none(), _SAYS_SOMETHING)
    report = fields.obj(body, "report")
    code = _code(body)
    texts = _texts(body, report)
    page = "" if answer.json_or_none() is not None else page_text(answer)
    meaning = _UNEXPECTED if page and answer.status in _PAGES else meaning_of(code, answer.status, texts)
    message = _message(*texts)
    if meaning is _REFUSED and not (message or page):
        meaning = _REFUSED_WITHOUT_WORDS
    return RemoteError(
        answer.call.service,
        answer.call.operation,
        meaning.error_class,
        meaning.reason,
        message or _without_words(answer.status, page),
        advice=meaning.advice,
        status=answer.status,
        code=code,
        request_id=_request_id(answer, report),
        retry_after=answer.retry_after,
        # A gateway's 5xx says nothing about what the service behind it has done.
        maybe_applied=answer.call.changes and (answer.status >= 500 or answer.status == 408),
        cure_is_silent=meaning.cure_is_silent,
    )


def meaning_of(code: str | None, status: int, texts: Sequence[str] = ()) -> Meaning:
    """The row for a code such as ``FLOW-1404-412`` or ``401013``, else the one for the status. A code that
    wraps what somebody else says is judged by the ``texts`` of the answer.
    """
    if code is not None:
        if code in _GATEWAY:
            return _GATEWAY[code]
        prefix, number = _split(code)
        if (
            number.partition("-")[0] in _WRAPPERS
            and _is_refusal(status)
            and (wrapped := _wrapped(number, texts))
        ):
            return wrapped
        for table in (_ANY_SERVICE, *_TABLES_BY_PREFIX.get(prefix, _OTHER_TABLES)):
            if number in table:
                return table[number]
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if status >= 500:
        return UNAVAILABLE
    return _REFUSED if 400 <= status < 500 else _UNEXPECTED


def _wrapped(number: str, texts: Sequence[str]) -> Meaning | None:
    """What a wrapper of this number means; None where it wraps nothing, and its status decides."""
    if any(map(_NOT_ENTITLED.search, texts)):
        return _PERMISSION_DENIED
    if number in _SPEAKS_FOR_ITSELF and all(map(_NO_WORDS.fullmatch, texts[1:] or texts)):
        return None
    return _SOURCE_REFUSED


def _is_refusal(status: int) -> bool:
    """Whether a status is a final refusal; with others Platform may not have asked the provider at all."""
    return status < 500 and status not in (408, 429)


def _split(code: str) -> tuple[str, str]:
    match = _CODE.search(code)
    return ((match[1] or "").upper(), match[2]) if match else ("", code)


def _code(body: Any) -> str | None:
    gateway = fields.text(body, "error_code")
    if re.fullmatch(r"[0-9]{6}", gateway):
        return gateway
    for value in (fields.text(body, name) for name in ("type", "error_code", "errorCode", "code")):
        if match := _CODE.search(value):
            return match[0]
    return None


def _texts(body: Any, report: Mapping[str, Any]) -> list[str]:
    """The title, and every text beside it, the most detailed one first."""
    details = [
        fields.text(report, "detailed-message"),
        *(fields.text(body, name) for name in ("errorDetails", "detail", "errorMessage", "message")),
    ]
    return [fields.text(body, "title"), *filter(None, details)]


def _message(title: str, *details: str) -> str:
    """AEP's title and its most detailed text, of which the end is the cause."""
    title, detail = sanitize(title, 120), sanitize("".join(details[:1]), _DETAIL_LENGTH, keep_end=True)
    parts = [title, "" if _bare(detail) == _bare(title) else detail]
    return ": ".join(part for part in parts if part)


def _bare(text: str) -> str:
    return text.rstrip(". ").casefold()


def _without_words(status: int, page: str) -> str:
    return f'answered {status} with a page: "{page}"' if page else f"answered {status} without saying why"


def _request_id(answer: Answer, report: Mapping[str, Any]) -> str | None:
    value = fields.text(report, "request-id", "registryRequestId") or answer.headers.get("x-request-id", "")
    return value if _REQUEST_ID.fullmatch(value) else None
