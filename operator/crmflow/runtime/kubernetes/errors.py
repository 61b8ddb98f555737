"""What the API server's answers mean: the one place where one that is no success is given a meaning.

A status code has several causes: a 403 comes of missing rights, of a quota, of a policy and of a namespace
that is being deleted. What tells them apart are the API server's words, which every error carries.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from typing import Any

import aiohttp

from crmflow.http.errors import ErrorClass, RemoteError
from crmflow.observability.redaction import sanitize

_WORDS_LENGTH = 512
"""An admission policy's message is written by the cluster's administrators, for those whom it refuses."""
_LONGEST_RETRY_AFTER = 300.0

# 'secrets "x" is forbidden: User "y" cannot get resource "secrets" in API group "" in the namespace "z"'
_LACKS_RIGHTS = re.compile(r'\bUser "[^"]*" cannot \S+ (?:resource|path) "')
# What the API server says of a JSON patch whose test failed, and of nothing else.
_FAILED_TEST = "the server rejected our request due to an error in our request"
# What it says of an apply with a field that the CustomResourceDefinition does not declare.
_UNDECLARED = "failed to create typed patch object"


class Refusal(StrEnum):
    """Why the API server does not do what it was asked, although it works: what a person has to change."""

    RIGHTS = "Give the operator's ServiceAccount the rights that come with the installation."
    POLICY = (
        "An admission policy, a webhook or a quota of the cluster says so: whoever runs the cluster can "
        "exempt the operator from it, or widen it."
    )
    DEFINITION = (
        "The CustomResourceDefinitions are not those of this version of the operator: apply the ones that "
        "come with it."
    )


class KubernetesError(Exception):
    """A call to the API server that failed; the text is safe to log and to show.

    ``words`` are what the API server itself said, ``refusal`` is what they mean where no repetition alone can
    help, and ``retry_after`` the seconds that it asks to wait.
    """

    def __init__(
        self,
        message: str,
        status: int | None = None,
        *,
        words: str = "",
        refusal: Refusal | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.words = words or message
        self.refusal = refusal
        self.retry_after = retry_after

    def explain(self, what: str) -> str:
        """Sentences for a person: ``what`` failed, the API server's words, and what to do."""
        said = f"{what}: {self.words.rstrip('.')}."
        return f"{said} {self.refusal}" if self.refusal else said

    @property
    def may_be_a_failed_test(self) -> bool:
        """True if a test of a JSON patch may have failed. An admission policy answers with the same code, and
        could with the same words.
        """
        return self.status == 422 and (self.words in ("", str(self)) or _FAILED_TEST in self.words)


class NotFoundError(KubernetesError):
    """There is no such object."""


class KindNotServedError(KubernetesError):
    """The API server does not know the kind: its CustomResourceDefinition is missing. That says nothing of
    objects.
    """


class StaleError(KubernetesError):
    """The object has changed since it was read: read it again."""


class ExistsError(StaleError):
    """There is an object of that name already."""


class ExpiredError(KubernetesError):
    """The resource version of a watch is too old: list again."""


def error_of(
    code: int | None, reason: object, status: Mapping[str, Any], headers: Mapping[str, str] | None = None
) -> KubernetesError:
    """The meaning of an answer. ``status`` is its body, a ``Status`` unless something between us and the API
    server wrote it.
    """
    words = sanitize(str(status.get("message") or ""), _WORDS_LENGTH)
    message = f"{code} {sanitize(str(reason or ''))}: {words}"
    kind: type[KubernetesError] = KubernetesError
    refusal = None
    match code:
        case 404:
            kind = NotFoundError if status.get("kind") == "Status" else KindNotServedError
        case 409 if status.get("reason") == "AlreadyExists":
            kind = ExistsError
        case 409 if "FieldManagerConflict" in _causes(status):
            refusal = Refusal.POLICY
        case 409:
            kind = StaleError
        case 410:
            kind = ExpiredError
        case 403 if _LACKS_RIGHTS.search(words):
            refusal = Refusal.RIGHTS
        case 401 if "denied" not in words:  # else a policy's: it may choose this code, too
            pass
        case 500 if _UNDECLARED in words:
            refusal = Refusal.DEFINITION
        case 400 | 401 | 403 | 405 | 413 | 422:
            refusal = Refusal.POLICY
    return kind(message, code, words=words, refusal=refusal, retry_after=_retry_after(status, headers or {}))


@contextmanager
def reaching() -> Iterator[None]:
    """Raises KubernetesError for whatever goes wrong on the way to the API server."""
    try:
        yield
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise KubernetesError(f"the API server can't be reached: {_cause(error)}") from None


def remote_error(
    error: KubernetesError, operation: str, reason: str, what: str, otherwise: str
) -> RemoteError:
    """An answer about a Secret as steps understand it: ``what``, under ``reason``, where the call is refused;
    ``otherwise`` where the API server is the trouble. The cure of a refusal, such as a binding or a wider
    quota, sends no event.
    """
    if error.refusal is None and error.status != 403:
        return RemoteError(
            "Kubernetes",
            operation,
            ErrorClass.TRANSIENT,
            "KubernetesUnavailable",
            otherwise,
            status=error.status,
            retry_after=error.retry_after,
        )
    return RemoteError(
        "Kubernetes",
        operation,
        ErrorClass.TERMINAL,
        reason,
        f"{what}: {error.words}",
        advice=error.refusal or Refusal.RIGHTS,
        status=error.status,
        cure_is_silent=True,
    )


def _cause(error: Exception) -> str:
    """Which part of the way failed; nothing of a proxy's URL, which may hold a password."""
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return f"its certificate is not trusted: {sanitize(str(error.certificate_error))}"
        case aiohttp.ClientHttpProxyError():
            return f"the proxy answers {error.status}"
        case aiohttp.ClientConnectorError():
            what = "the proxy" if isinstance(error, aiohttp.ClientProxyConnectionError) else "connecting"
            return f"{what} to {error.host}:{error.port} failed: {_words(error.os_error)}"
        case TimeoutError():
            return "no answer in time"
        case _:
            return type(error).__name__


def _words(error: OSError) -> str:
    """The system's words for a failure, or those of the name resolution."""
    if error.errno is not None and error.errno > 0:
        return os.strerror(error.errno)
    return sanitize(error.strerror or type(error).__name__)


def _causes(status: Mapping[str, Any]) -> set[str]:
    causes = _details(status).get("causes")
    return {str(cause.get("reason")) for cause in causes or () if isinstance(cause, dict)}


def _details(status: Mapping[str, Any]) -> Mapping[str, Any]:
    details = status.get("details")
    return details if isinstance(details, dict) else {}


def _retry_after(status: Mapping[str, Any], headers: Mapping[str, str]) -> float | None:
    """Seconds that an overloaded API server asks to wait."""
    asked = headers.get("Retry-After") or _details(status).get("retryAfterSeconds") or 0
    try:
        return min(float(asked), _LONGEST_RETRY_AFTER) or None
    except (TypeError, ValueError):  # a date
        return None
