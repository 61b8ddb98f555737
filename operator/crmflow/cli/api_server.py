"""One call of the API server, and what went wrong with it, as the person reads it."""

from __future__ import annotations

import json
from collections.abc import Awaitable
from typing import TypeVar

import aiohttp
from kubernetes.aio.client.exceptions import ApiException

from crmflow.cli.problem import Problem
from crmflow.observability.redaction import sanitise

REQUEST_SECONDS = 30.0
"""How long one request may take."""

T = TypeVar("T")


class ForbiddenError(Problem):
    """The person's rights do not allow it."""


class UnansweredError(Problem):
    """The API server did not answer: a write may have been carried out or not."""


async def call(request: Awaitable[T], what: str) -> T | None:
    """The answer, None for a 404; raises Problem for every other failure, ``what`` being its object."""
    try:
        return await request
    except ApiException as error:
        if error.status == 404:
            return None
        message = f"the API server refused {what}: {_message(error)}"
        if error.status in (401, 403):
            raise ForbiddenError(message, "Ask whoever manages the namespace for this right") from None
        raise Problem(message) from None
    except (aiohttp.ClientError, TimeoutError) as error:
        raise UnansweredError(
            f"the API server did not answer ({type(error).__name__})", "Check it with `kubectl cluster-info`"
        ) from None


def _message(error: ApiException) -> str:
    try:
        status = json.loads(error.body or "")
        text = str(status["message"])
    except (TypeError, ValueError, KeyError):
        text = str(error.reason or "")
    return f"{error.status} {sanitise(text)}"
