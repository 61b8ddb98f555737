"""How the wrapper takes answers that are not what they should be, over a loopback server that says them byte
by byte. What the real API server answers is tested on a real one.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from kubernetes.aio import client

from crmflow.api.kinds import CRM_DATAFLOW
from crmflow.runtime.kube import (
    ExpiredError,
    Kubernetes,
    KubernetesError,
    NotFoundError,
    StaleError,
)
from crmflow.runtime.leader import NotLeadingError
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


async def test_a_failed_test_of_a_patch_means_that_the_object_has_changed(
    kubernetes: Kubernetes, answers: Answers
) -> None:
    answers.say({"kind": "Status"}, 422)
    with pytest.raises(StaleError):
        await kubernetes.add_finalizer(CRM_DATAFLOW, make_object())


async def test_an_api_server_that_can_not_be_reached() -> None:
    kubernetes = Kubernetes(client.ApiClient(client.Configuration(host="http://127.0.0.1:1")))
    try:
        with pytest.raises(KubernetesError, match="can't be reached") as raised:
            await kubernetes.get(CRM_DATAFLOW, "crm", "contacts")
        assert raised.value.status is None
    finally:
        await kubernetes.close()


WRITES = {
    "status": lambda kubernetes: kubernetes.apply_status(CRM_DATAFLOW, make_object(), {}),
    "finalizer": lambda kubernetes: kubernetes.add_finalizer(CRM_DATAFLOW, make_object()),
    "no finalizer": lambda kubernetes: kubernetes.remove_finalizer(
        CRM_DATAFLOW, make_object(finalizers=["crmflow.io/finalizer"])
    ),
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
