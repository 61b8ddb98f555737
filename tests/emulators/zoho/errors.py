"""How Zoho says no: the accounts server's answers and the CRM API's envelope (zoho.md 1.4, 4)."""

from __future__ import annotations

from typing import Any

THROTTLE_TEXTS = {
    "en": (
        "Access Denied",
        "You have made too many requests continuously. Please try again after some time.",
    ),
    "zh": ("拒绝访问", "您连续发出的请求过多，请过一段时间再试。"),
}


class OAuthError(Exception):
    """A refusal of the accounts server; most have HTTP status 200 (zoho.md 1.4)."""

    def __init__(self, error: str, http_status: int = 200, **more: str) -> None:
        super().__init__(error)
        self.http_status = http_status
        self.body = {"error": error, **more}


def throttled(http_status: int, locale: str) -> OAuthError:
    """The three-field answer to more than ten tokens in ten minutes."""
    error, description = THROTTLE_TEXTS[locale]
    return OAuthError(error, http_status, error_description=description, status="failure")


class CrmError(Exception):
    """A refusal of the CRM API."""

    def __init__(
        self, http_status: int, code: str, message: str, details: dict[str, Any] | None = None
    ) -> None:
        super().__init__(code)
        self.http_status = http_status
        self.body = {"code": code, "details": details or {}, "message": message, "status": "error"}


class NotModified(Exception):
    """Nothing changed since the caller's If-Modified-Since."""


def invalid_url_pattern() -> CrmError:
    """The path exists nowhere in the API."""
    return CrmError(404, "INVALID_URL_PATTERN", "Please check if the URL trying to access is a correct one")


def invalid_request_method() -> CrmError:
    """The path exists, the method does not."""
    return CrmError(400, "INVALID_REQUEST_METHOD", "The http request method type is not a valid one")


def invalid_host() -> CrmError:
    """Not an API host from v2.1 on (zoho.md 2)."""
    return CrmError(400, "INVALID_HOST", "the API host is not valid for this version")


def api_not_supported(supported_version: float) -> CrmError:
    """The version is too old for this (zoho.md 3.10)."""
    return CrmError(
        400,
        "API_NOT_SUPPORTED",
        "the API is not supported in this version",
        {"supported_version": supported_version},
    )


def invalid_module(**details: int) -> CrmError:
    """No such module in this organization."""
    return CrmError(400, "INVALID_MODULE", "the module name given seems to be invalid", dict(details))


def module_not_supported(**details: int) -> CrmError:
    """The module exists, but not for the API."""
    return CrmError(400, "NOT_SUPPORTED", "the given module is not supported in api", dict(details))


def required_param_missing(name: str) -> CrmError:
    """A mandatory query parameter is not there."""
    return CrmError(
        400, "REQUIRED_PARAM_MISSING", "One of the expected parameter is missing", {"param_name": name}
    )


def mandatory_not_found(name: str) -> CrmError:
    """A mandatory member of the body is not there."""
    details = {"api_name": name, "json_path": f"$.{name}"}
    return CrmError(400, "MANDATORY_NOT_FOUND", "required field not found", details)


def invalid_data(name: str, **details: Any) -> CrmError:
    """A query parameter has an impossible value."""
    return CrmError(400, "INVALID_DATA", "invalid data", {"param_name": name, **details})
