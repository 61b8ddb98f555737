"""Error bodies of the gateway and of each service (platform.md 2.1)."""

from __future__ import annotations

import itertools
import re
import time
import uuid
from typing import Any

from aiohttp import web

from tests.emulators.core.web import ServiceError

_ADOBE = "https://ns.adobe.com/aep/errors/"
_XDM = "http://ns.adobe.com/aep/errors/"
_CODE = re.compile(r"-(\d{3})$")

_TITLES = {
    400: "BadRequestError",
    403: "ForbiddenError",
    404: "NotFoundError",
    405: "MethodNotAllowedError",
    413: "PayloadTooLargeError",
    415: "UnsupportedMediaTypeError",
    500: "InternalServerError",
}

_requests = itertools.count(1)


def gateway(status: int, code: str, message: str) -> ServiceError:
    """Refused by the API gateway (platform.md 2.2)."""
    return ServiceError(status, {"error_code": code, "message": message})


def flow(
    code: str, title: str, detail: str, *, resource: str | None = None, id: str | None = None
) -> ServiceError:
    """Refused by Flow Service; ``code`` ends in the HTTP status: ``FLOW-1404-412``."""
    found = _CODE.search(code)
    if found is None:
        raise ValueError(f"no HTTP status in {code}")
    status = int(found[1])
    report: dict[str, Any] = {"detailed-message": detail, "request-id": str(uuid.uuid4())}
    if id is not None:
        report["id"] = id
    if resource is not None:
        report["type"] = resource
    body = {
        "type": _ADOBE + code,
        "title": title,
        "status": status,
        "report": report,
        "errorMessage": title,
        "errorDetails": detail,
    }
    return ServiceError(status, body, {"x-request-id": report["request-id"]})


def flow_http(request: web.Request, status: int, reason: str) -> ServiceError:
    """An HTTP-level failure in Flow Service's shape."""
    detail = f"{request.method} {request.path}: {reason}"
    if status == 500:
        return flow("FLOW-1400-500", "Internal error", detail)
    return generic(status, _TITLES.get(status, "Error"), detail)


def xdm(code: str, title: str, detail: str) -> ServiceError:
    """Refused by the Schema Registry, ``code`` for example ``XDM-1012-404``."""
    status = int(code.rsplit("-", 1)[1])
    report = {
        "registryRequestId": str(uuid.uuid4()),
        "timestamp": time.strftime("%m-%d-%Y %H:%M:%S", time.gmtime()),
        "detailed-message": detail,
        "sub-errors": [],
    }
    return ServiceError(
        status,
        {"type": _XDM + code, "title": title, "status": status, "report": report, "detail": detail},
    )


def generic(status: int, title: str, detail: str) -> ServiceError:
    """The shape that the other services share."""
    return ServiceError(
        status,
        {
            "type": f"{_ADOBE}{title}",
            "status": status,
            "title": title,
            "detail": detail,
            "requestId": f"r{next(_requests)}",
        },
    )


def generic_http(request: web.Request, status: int, reason: str) -> ServiceError:
    """An HTTP-level failure in the shared shape."""
    return generic(status, _TITLES.get(status, "Error"), f"{request.method} {request.path}: {reason}")


def gateway_http(request: web.Request, status: int, reason: str) -> ServiceError:
    """An HTTP-level failure that no service saw."""
    return gateway(status, str(status), f"{reason}. Check your URI and try again.")


def xdm_http(request: web.Request, status: int, reason: str) -> ServiceError:
    """An HTTP-level failure in the Schema Registry's shape."""
    code = {404: "XDM-1012-404", 500: "XDM-1000-500"}.get(status, f"XDM-1011-{status}")
    return xdm(code, _TITLES.get(status, "Error"), f"{request.method} {request.path}: {reason}")
