"""One call of the API server, and what went wrong with it, as the person reads it."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable
from typing import TypeVar

import aiohttp
from kubernetes.aio.client.exceptions import ApiException

from crmflow.cli.problem import Problem
from crmflow.observability.redaction import sanitize

REQUEST_SECONDS = 30.0
"""How long one request may take."""

# What stands between the rights and the storage: quotas, Pod Security and such; policies and webhooks.
_ADMISSION = re.compile(r'is forbidden: (?!User ")|denied (?:the )?request')

T = TypeVar("T")


class ForbiddenError(Problem):
    """The person's rights do not allow it."""


class ConflictError(Problem):
    """Somebody else changed the object since it was read."""


class InvalidError(Problem):
    """The object is not as its kind has to be."""


class UnansweredError(Problem):
    """The API server did not answer: a write may have been carried out or not."""


async def call(request: Awaitable[T], what: str) -> T | None:
    """The answer, None for a 404; raises Problem for every other failure, ``what`` being its object."""
    try:
        return await request
    except ApiException as error:
        if error.status == 404:
            return None
        raise _refusal(error, what) from None
    except (aiohttp.ClientError, TimeoutError) as error:
        raise UnansweredError(
            f"the API server did not answer ({type(error).__name__})", "Check it with `kubectl cluster-info`"
        ) from None


def _refusal(error: ApiException, what: str) -> Problem:
    """A status code has several causes, which the API server's words tell apart."""
    words = _message(error)
    message = f"the API server refused {what}: {words}"
    if error.status == 409:
        return ConflictError(message, "Try again")
    if error.status == 403 and not _ADMISSION.search(words):
        return ForbiddenError(message, "Ask whoever manages the namespace for this right")
    if error.status == 401 and not _ADMISSION.search(words):
        return Problem(
            message, "Log in to the cluster again: it does not accept the kubeconfig's credentials"
        )
    if error.status in (400, 401, 403, 413, 422):
        advice = "A policy, a webhook or a quota says so: ask whoever runs the cluster"
        return InvalidError(message, advice) if error.status == 422 else Problem(message, advice)
    return Problem(message)


def _message(error: ApiException) -> str:
    try:
        status = json.loads(error.body or "")
        text = str(status["message"])
    except (TypeError, ValueError, KeyError):
        text = str(error.reason or "")
    return f"{error.status} {sanitize(text, 512, keep_end=True)}"
