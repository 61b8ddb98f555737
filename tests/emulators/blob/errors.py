"""Refusals in the words of Azure Blob Storage (landing-zone.md E.5, K.2)."""

from __future__ import annotations

import uuid
from xml.sax.saxutils import escape

from aiohttp import web

MESSAGES: dict[str, tuple[int, str]] = {
    "AuthenticationFailed": (
        403,
        "Server failed to authenticate the request. Make sure the value of Authorization header is formed "
        "correctly including the signature.",
    ),
    "AuthorizationFailure": (
        403,
        "Server failed to authenticate the request. Make sure the value of the Authorization header is "
        "formed correctly including the signature.",
    ),
    "AuthorizationPermissionMismatch": (
        403,
        "This request is not authorized to perform this operation using this permission.",
    ),
    "BlobAlreadyExists": (409, "The specified blob already exists."),
    "ConditionNotMet": (412, "The condition specified using HTTP conditional header(s) is not met."),
    "InvalidBlockList": (400, "The specified block list is invalid."),
    "RequestBodyTooLarge": (
        413,
        "The request body is too large and exceeds the maximum permissible limit.",
    ),
    "BlobNotFound": (404, "The specified blob does not exist."),
    "InternalError": (500, "Server encountered an internal error. Please try again after some time."),
    "OperationTimedOut": (500, "Operation could not be completed within the specified time."),
    "ServerBusy": (503, "The server is busy."),
}


def refusal(code: str, version: str | None = None) -> web.Response:
    """The answer with that error code."""
    status, message = MESSAGES[code]
    body = (
        '<?xml version="1.0" encoding="utf-8"?>'
        f"<Error><Code>{code}</Code><Message>{escape(message)}</Message></Error>"
    )
    headers = {"x-ms-error-code": code, "x-ms-request-id": str(uuid.uuid4())}
    if version:
        headers["x-ms-version"] = version
    return web.Response(
        status=status, body=body.encode(), headers=headers, content_type="application/xml", charset="utf-8"
    )
