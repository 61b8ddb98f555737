"""What the person reads of a refusal: the API server's words, and advice that fits them."""

from __future__ import annotations

import json

import pytest
from kubernetes.aio.client.exceptions import ApiException

from crmflow.cli.api_server import ForbiddenError, InvalidError, call
from crmflow.cli.problem import Problem


def answer(status: int, message: str) -> ApiException:
    error = ApiException(status=status, reason="Refused")
    error.body = json.dumps({"kind": "Status", "message": message})
    return error


async def refused(error: ApiException) -> None:
    raise error


@pytest.mark.parametrize(
    ("status", "words", "kind", "advice"),
    [
        (
            403,
            'secrets "a" is forbidden: User "me" cannot patch resource "secrets" in API group ""',
            ForbiddenError,
            "this right",
        ),
        (403, 'secrets "a" is forbidden: exceeded quota: few, requested: count/secrets=1', Problem, "quota"),
        (422, "ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no", InvalidError, "policy"),
        (401, "ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no", Problem, "policy"),
        (400, 'admission webhook "w" denied the request: no', Problem, "webhook"),
        (401, "Unauthorized", Problem, "Log in"),
        (500, "etcdserver: request timed out", Problem, ""),
    ],
)
async def test_the_advice_fits_the_words(status: int, words: str, kind: type[Problem], advice: str) -> None:
    with pytest.raises(Problem) as raised:
        await call(refused(answer(status, words)), 'Secret "a"')
    assert type(raised.value) is kind
    assert words in raised.value.message
    assert advice in raised.value.advice
    assert bool(advice) is bool(raised.value.advice)
