"""How the wrapper takes answers that are not what they should be, over a loopback server that says them byte
by byte. What the real API server answers is tested on a real one.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from kubernetes.aio import client

from crmflow.api.kinds import CRM_DATAFLOW
from crmflow.runtime.kubernetes.client import Kubernetes
from crmflow.runtime.kubernetes.errors import (
    ExistsError,
    ExpiredError,
    KindNotServedError,
    KubernetesError,
    NotFoundError,
    Refusal,
    StaleError,
)
from crmflow.runtime.kubernetes.leader import NotLeadingError
from tests.unit.runtime.fakes import make_object

PARTIAL = "application/json;as=PartialObjectMetadata"


class Answers:
    """What the server says next, and what it was asked."""

    def __init__(self) -> None:
        self.next: list[tuple[int, bytes]] = []
        self.requests: list[web.Request] = []

    async def handle(self, request: web.Request) -> web.Response:
        self.requests.append(request)
        status, body = self.next.pop(0)
        return web.Response(status=status, body=body, content_type="application/json")

    def say(self, body: Any, status: int = 200) -> None:
        """Have the next request answered with ``body``."""
        self.next.append((status, body if isinstance(body, bytes) else json.dumps(body).encode()))


@pytest.fixture
def answers() -> Answers:
    return Answers()


@pytest.fixture
async def kubernetes(answers: Answers) -> AsyncIterator[Kubernetes]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answers.handle)
    async with TestServer(app) as server:
        kubernetes = Kubernetes(client.ApiClient(client.Configuration(host=str(server.make_url("")))))
        yield kubernetes
        await kubernetes.close()


def page(*names: str, more: str = "") -> dict[str, Any]:
    return {
        "kind": "PartialObjectMetadataList",
        "metadata": {"resourceVersion": "7", "continue": more},
        "items": [{"metadata": {"name": name}} for name in names],
    }


def line(kind: str, **metadata: Any) -> bytes:
    return json.dumps({"type": kind, "object": {"metadata": metadata}}).encode() + b"\n"


async def changes(kubernetes: Kubernetes) -> list[tuple[str, str]]:
    connected: list[None] = []
    watch = kubernetes.watch_secret_metadata("crm", "7", 5, lambda: connected.append(None))
    found = [(kind, metadata["name"]) async for kind, metadata in watch]
    assert len(connected) == 1
    return found


async def test_secrets_are_listed_page_by_page_and_without_data(
    kubernetes: Kubernetes, answers: Answers
) -> None:
    answers.say(page("a", "b", more="next"))
    answers.say(page("c"))
    version, items = await kubernetes.list_secret_metadata(None)
    assert (version, [item["name"] for item in items]) == ("7", ["a", "b", "c"])
    assert [request.query.get("continue") for request in answers.requests] == [None, "next"]
    for request in answers.requests:
        assert request.headers["Accept"].startswith(PARTIAL + "List;")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param({"kind": "Status", "message": "no"}, 403, id="refused"),
        pytest.param({"kind": "SecretList", "items": [], "metadata": {}}, 200, id="with data"),
        pytest.param(b"<html>bad gateway</html>", 502, id="no JSON"),
        pytest.param(b'{"kind": "PartialObj', 200, id="cut off"),
        pytest.param(b"", 200, id="empty"),
    ],
)
async def test_an_odd_listing_is_an_error_and_never_an_empty_one(
    kubernetes: Kubernetes, answers: Answers, body: Any, status: int
) -> None:
    answers.say(body, status)
    with pytest.raises(KubernetesError) as raised:
        await kubernetes.list_secret_metadata("crm")
    assert raised.value.status == status


async def test_an_empty_listing_may_have_null_items(kubernetes: Kubernetes, answers: Answers) -> None:
    answers.say({**page(), "items": None})
    assert await kubernetes.list_secret_metadata("crm") == ("7", [])


async def test_changes_are_watched_without_data(kubernetes: Kubernetes, answers: Answers) -> None:
    answers.say(line("ADDED", name="a") + line("DELETED", name="b"))
    assert await changes(kubernetes) == [("ADDED", "a"), ("DELETED", "b")]
    [request] = answers.requests
    assert request.headers["Accept"].startswith(PARTIAL + ";")
    assert (request.query["watch"], request.query["resourceVersion"]) == ("true", "7")


async def test_a_secret_with_long_annotations_does_not_end_the_watch(
    kubernetes: Kubernetes, answers: Answers
) -> None:
    answers.say(line("ADDED", name="big", annotations={"a": "x" * 600_000}) + line("ADDED", name="next"))
    assert await changes(kubernetes) == [("ADDED", "big"), ("ADDED", "next")]


async def test_a_line_that_was_cut_off_is_an_error(kubernetes: Kubernetes, answers: Answers) -> None:
    answers.say(line("ADDED", name="a") + line("ADDED", name="b")[:20])
    with pytest.raises(KubernetesError, match="in the middle of a line"):
        await changes(kubernetes)


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        pytest.param(
            {"type": "ERROR", "object": {"code": 410, "message": "old"}},
            200,
            ExpiredError,
            id="line 410",
        ),
        pytest.param(
            {"type": "ERROR", "object": {"code": 500, "message": "x"}},
            200,
            KubernetesError,
            id="line 500",
        ),
        pytest.param({}, 410, ExpiredError, id="410"),
        pytest.param({}, 403, KubernetesError, id="403"),
    ],
)
async def test_how_a_watch_ends_in_an_error(
    kubernetes: Kubernetes, answers: Answers, body: Any, status: int, error: type[KubernetesError]
) -> None:
    answers.say(body, status)
    with pytest.raises(KubernetesError) as raised:
        await changes(kubernetes)
    assert type(raised.value) is error


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (404, NotFoundError),
        (409, StaleError),
        (410, ExpiredError),
        (403, KubernetesError),
        (500, KubernetesError),
    ],
)
async def test_refusals_by_their_status(
    kubernetes: Kubernetes, answers: Answers, status: int, error: type[KubernetesError]
) -> None:
    answers.say({"kind": "Status", "message": "it is <b>refused</b>: Bearer abc.def"}, status)
    with pytest.raises(KubernetesError) as raised:
        await kubernetes.get(CRM_DATAFLOW, "crm", "contacts")
    assert type(raised.value) is error
    assert raised.value.status == status
    assert "it is refused : Bearer ***" in str(raised.value)


async def test_of_a_long_refusal_the_cause_at_its_end_is_kept(
    kubernetes: Kubernetes, answers: Answers
) -> None:
    message = f'admission webhook "{"w" * 300}.example.com" denied the request: no label team'
    answers.say({"kind": "Status", "message": message}, 403)
    with pytest.raises(KubernetesError, match=r"admission webhook .*denied the request: no label team"):
        await kubernetes.get(CRM_DATAFLOW, "crm", "contacts")


async def test_a_failed_test_of_a_patch_means_that_the_object_has_changed(
    kubernetes: Kubernetes, answers: Answers
) -> None:
    answers.say({"kind": "Status"}, 422)
    with pytest.raises(StaleError):
        await kubernetes.add_finalizer(CRM_DATAFLOW, make_object())


FAILED_TEST = "the server rejected our request due to an error in our request"
POLICY = (
    "crmdataflows.crmflow.io \"contacts\" is forbidden: ValidatingAdmissionPolicy 'metadata' with binding "
    "'all' denied request: finalizers are set by the platform team alone"
)


def refusal(code: int, message: str, reason: str = "", **details: Any) -> dict[str, Any]:
    return {
        "kind": "Status",
        "status": "Failure",
        "message": message,
        "reason": reason,
        "code": code,
        "details": details,
    }


def cause(reason: str) -> dict[str, Any]:
    return {"causes": [{"reason": reason, "message": "m", "field": "f"}]}


@pytest.mark.parametrize(
    ("body", "error", "meaning"),
    [
        pytest.param(
            refusal(
                403,
                'secrets "t" is forbidden: User "system:serviceaccount:a:b" cannot patch resource "secrets" '
                'in API group "" in the namespace "a"',
                "Forbidden",
            ),
            KubernetesError,
            Refusal.RIGHTS,
            id="rights",
        ),
        pytest.param(
            refusal(
                403,
                'secrets "t" is forbidden: exceeded quota: small, requested: count/secrets=1, used: '
                "count/secrets=5, limited: count/secrets=5",
                "Forbidden",
            ),
            KubernetesError,
            Refusal.POLICY,
            id="quota",
        ),
        pytest.param(
            refusal(
                403,
                'secrets "t" is forbidden: unable to create new content in namespace a because it is being '
                "terminated",
                "Forbidden",
                **cause("NamespaceTerminating"),
            ),
            KubernetesError,
            Refusal.POLICY,
            id="the namespace ends",
        ),
        pytest.param(
            refusal(422, POLICY, "Invalid", **cause("Invalid")), KubernetesError, Refusal.POLICY, id="policy"
        ),
        pytest.param(
            refusal(401, POLICY, "Unauthorized"), KubernetesError, Refusal.POLICY, id="policy with a 401"
        ),
        pytest.param(
            refusal(400, 'admission webhook "v.example.com" denied the request: no'),
            KubernetesError,
            Refusal.POLICY,
            id="webhook",
        ),
        pytest.param(
            refusal(
                500,
                'Internal error occurred: failed calling webhook "v.example.com": refused',
                "InternalError",
            ),
            KubernetesError,
            None,
            id="a webhook that does not answer",
        ),
        pytest.param(
            refusal(413, "Request entity too large: limit is 3145728", "RequestEntityTooLarge"),
            KubernetesError,
            Refusal.POLICY,
            id="too large",
        ),
        pytest.param(
            refusal(
                500,
                "failed to create typed patch object (a/b; crmflow.io/v1alpha1, Kind=CRMDataflow): "
                ".status.new: field not declared in schema",
            ),
            KubernetesError,
            Refusal.DEFINITION,
            id="older kinds",
        ),
        pytest.param(refusal(401, "Unauthorized", "Unauthorized"), KubernetesError, None, id="an old token"),
        pytest.param(
            refusal(409, 'secrets "t" already exists', "AlreadyExists"), ExistsError, None, id="it exists"
        ),
        pytest.param(
            refusal(409, "the object has been modified", "Conflict"), StaleError, None, id="it has changed"
        ),
        pytest.param(
            refusal(409, "Apply failed with 1 conflict", "Conflict", **cause("FieldManagerConflict")),
            KubernetesError,
            Refusal.POLICY,
            id="another manager",
        ),
        pytest.param(
            refusal(404, 'crmdataflows.crmflow.io "contacts" not found', "NotFound", name="contacts"),
            NotFoundError,
            None,
            id="no object",
        ),
        pytest.param(b"404 page not found\n", KindNotServedError, None, id="no kind"),
    ],
)
async def test_one_status_code_has_several_causes(
    kubernetes: Kubernetes, answers: Answers, body: Any, error: type[KubernetesError], meaning: Refusal | None
) -> None:
    answers.say(body, 404 if isinstance(body, bytes) else body["code"])
    with pytest.raises(KubernetesError) as raised:
        await kubernetes.apply_status(CRM_DATAFLOW, make_object(), {})
    assert (type(raised.value), raised.value.refusal) == (error, meaning)
    if isinstance(body, dict):
        assert raised.value.words == body["message"]


async def test_without_the_kind_nothing_is_said_of_the_object(
    kubernetes: Kubernetes, answers: Answers
) -> None:
    """Else a definition that is installed anew would have every resource forgotten."""
    answers.say(b"404 page not found\n", 404)
    with pytest.raises(KubernetesError) as raised:
        await kubernetes.get(CRM_DATAFLOW, "crm", "contacts")
    assert not isinstance(raised.value, NotFoundError)


async def test_an_overloaded_api_server_says_when_to_come_back(
    kubernetes: Kubernetes, answers: Answers
) -> None:
    answers.say(refusal(429, "too many requests", "TooManyRequests", retryAfterSeconds=7), 429)
    with pytest.raises(KubernetesError) as raised:
        await kubernetes.get(CRM_DATAFLOW, "crm", "contacts")
    assert raised.value.retry_after == 7.0


@pytest.mark.parametrize(
    "body", [{"kind": "Status", "details": "x"}, {"details": {"causes": ["x"]}}, [], b"<p>"]
)
async def test_a_body_of_another_shape_is_no_mistake_of_ours(
    kubernetes: Kubernetes, answers: Answers, body: Any
) -> None:
    answers.say(body, 409)
    with pytest.raises(StaleError):
        await kubernetes.get(CRM_DATAFLOW, "crm", "contacts")


async def test_a_policy_is_not_taken_for_a_failed_test(kubernetes: Kubernetes, answers: Answers) -> None:
    answers.say(refusal(422, POLICY, "Invalid", **cause("Invalid")), 422)
    with pytest.raises(KubernetesError) as raised:
        await kubernetes.add_finalizer(CRM_DATAFLOW, make_object())
    assert (type(raised.value), raised.value.refusal) == (KubernetesError, Refusal.POLICY)
    assert "set by the platform team alone" in raised.value.explain("It can't be held")


@pytest.mark.parametrize(
    ("now", "error"),
    [
        pytest.param(make_object(version=2), StaleError, id="it has changed"),
        pytest.param(make_object(uid="uid-2"), StaleError, id="it is another one"),
        pytest.param(make_object(), KubernetesError, id="it is what it was"),
    ],
)
async def test_the_object_decides_whether_a_test_failed(
    kubernetes: Kubernetes, answers: Answers, now: dict[str, Any], error: type[KubernetesError]
) -> None:
    answers.say(refusal(422, FAILED_TEST, "Invalid"), 422)
    answers.say(now)
    with pytest.raises(KubernetesError) as raised:
        await kubernetes.add_finalizer(CRM_DATAFLOW, make_object())
    assert type(raised.value) is error


async def test_an_object_that_is_gone_is_not_found(kubernetes: Kubernetes, answers: Answers) -> None:
    answers.say(refusal(422, FAILED_TEST, "Invalid"), 422)
    answers.say(refusal(404, 'crmdataflows.crmflow.io "contacts" not found', "NotFound"), 404)
    with pytest.raises(NotFoundError):
        await kubernetes.add_finalizer(CRM_DATAFLOW, make_object())


async def test_the_watch_of_secrets_keeps_the_words(kubernetes: Kubernetes, answers: Answers) -> None:
    answers.say(
        refusal(403, 'secrets is forbidden: User "a" cannot watch resource "secrets" in API group ""'), 403
    )
    with pytest.raises(KubernetesError, match="cannot watch") as raised:
        await changes(kubernetes)
    assert raised.value.refusal is Refusal.RIGHTS


async def test_an_api_server_that_can_not_be_reached() -> None:
    kubernetes = Kubernetes(client.ApiClient(client.Configuration(host="http://127.0.0.1:1")))
    try:
        with pytest.raises(KubernetesError, match="can't be reached") as raised:
            await kubernetes.get(CRM_DATAFLOW, "crm", "contacts")
        assert raised.value.status is None
        assert str(raised.value).endswith("connecting to 127.0.0.1:1 failed: Connection refused")
    finally:
        await kubernetes.close()


async def test_a_proxy_that_does_not_answer_is_named_without_its_password() -> None:
    configuration = client.Configuration(host="https://kubernetes.invalid")
    configuration.proxy = "http://user:hunter2@127.0.0.1:1"
    kubernetes = Kubernetes(client.ApiClient(configuration))
    try:
        with pytest.raises(KubernetesError) as raised:
            await kubernetes.get(CRM_DATAFLOW, "crm", "contacts")
        assert str(raised.value).endswith("the proxy to 127.0.0.1:1 failed: Connection refused")
    finally:
        await kubernetes.close()


WRITES = {
    "status": lambda kubernetes: kubernetes.apply_status(CRM_DATAFLOW, make_object(), {}),
    "finalizer": lambda kubernetes: kubernetes.add_finalizer(CRM_DATAFLOW, make_object()),
    "no finalizer": lambda kubernetes: kubernetes.remove_finalizer(
        CRM_DATAFLOW, make_object(finalizers=["crmflow.io/finalizer"])
    ),
    "deletion": lambda kubernetes: kubernetes.delete(CRM_DATAFLOW, make_object()),
    "event": lambda kubernetes: kubernetes.apply_event("crm", "contacts.1", {}),
}


@pytest.mark.parametrize("write", WRITES)
async def test_who_may_not_write_writes_nothing_and_still_reads(answers: Answers, write: str) -> None:
    def refuse() -> None:
        raise NotLeadingError("another replica leads")

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answers.handle)
    async with TestServer(app) as server:
        api = client.ApiClient(client.Configuration(host=str(server.make_url(""))))
        kubernetes = Kubernetes(api, refuse)
        with pytest.raises(NotLeadingError):
            await WRITES[write](kubernetes)
        assert answers.requests == []
        answers.say(make_object())
        assert (await kubernetes.get(CRM_DATAFLOW, "crm", "contacts"))["kind"] == "CRMDataflow"
        await kubernetes.close()


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param(lambda kubernetes: kubernetes.list_one(CRM_DATAFLOW, "crm"), id="the right to list"),
        pytest.param(lambda kubernetes: kubernetes.read_lease("theirs", "crmflow"), id="another's Lease"),
        pytest.param(lambda kubernetes: kubernetes.get(CRM_DATAFLOW, "crm", "contacts"), id="an object"),
        pytest.param(lambda kubernetes: kubernetes.served_kinds(), id="the kinds"),
        pytest.param(lambda kubernetes: kubernetes.namespace_uid("kube-system"), id="a namespace"),
    ],
)
async def test_each_request_may_take_as_long_as_the_setting_says(
    request_: Callable[[Kubernetes], Awaitable[object]],
) -> None:
    silence = asyncio.Event()

    async def never(_: web.Request) -> web.Response:
        await silence.wait()
        return web.Response()

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", never)
    async with TestServer(app) as server:
        api = client.ApiClient(client.Configuration(host=str(server.make_url(""))))
        kubernetes = Kubernetes(api, request_seconds=0.01)
        with pytest.raises(KubernetesError, match="no answer in time"):
            await asyncio.wait_for(request_(kubernetes), 5)
        silence.set()
        await kubernetes.close()
