"""Listings as the inventory reads them: what is asked for, page by page, and what counts as listed."""

from __future__ import annotations

from typing import Any

import pytest

from crmflow.aep.collection import AnyCollection, Named, OfSpec, Selection, WithIds
from crmflow.aep.data_prep import MAPPING_SETS
from crmflow.aep.flow_service import (
    CONNECTIONS,
    FLOWS,
    IDS_PER_REQUEST,
    SOURCE_CONNECTIONS,
    TARGET_CONNECTIONS,
)
from crmflow.aep.models import Created, Listed, MappingSetRef, PatchOperation, Run, Sandbox
from crmflow.aep.sandboxes import SANDBOXES
from crmflow.http.errors import ErrorClass, RemoteError
from tests.unit.aep.fake import Fake, error

FS = "/data/foundation/flowservice"
ETAG = '"1a0037e4-0000-0200-0000-602e06f60000"'


def page(*items: dict[str, Any], following: str | None = None) -> dict[str, Any]:
    """A page, and the reference to the one after it."""
    return {"items": list(items), "_links": {"next": {"href": following}} if following else {}}


@pytest.mark.parametrize(
    ("collection", "field"),
    [
        (CONNECTIONS, "connectionSpec.id"),
        (SOURCE_CONNECTIONS, "connectionSpec.id"),
        (TARGET_CONNECTIONS, "connectionSpec.id"),
        (FLOWS, "flowSpec.id"),
    ],
)
async def test_a_listing_asks_for_one_specification_in_one_order(
    collection: AnyCollection, field: str
) -> None:
    fake = Fake(page())
    assert await fake.client.list(collection, OfSpec("spec-1")) == ()
    assert fake.request.url.path == f"{FS}/{collection}"
    assert dict(fake.request.url.params) == {
        "property": f"{field}==spec-1",
        "orderby": "createdAt",
        "limit": "100",
    }


FLOW = {
    "id": "f1",
    "etag": ETAG,
    "name": "Contacts [crmflow:prod:0123456789abcdef]",
    "description": "All\nmanaged by crmflow prod crm/contacts uid-1",
    "state": "enabled",
    "createdAt": 1_612_310_475_905,
    "sourceConnectionIds": ["s1"],
    "targetConnectionIds": ["t1"],
    "lastRunDetails": {
        "id": "r1",
        "state": "SUCCESS",
        "startedAtUTC": 1_612_310_500_000,
        "completedAtUTC": 1_612_310_560_000,
    },
}


async def test_a_flow_is_listed_with_what_it_is_built_on_and_its_last_run() -> None:
    [item] = await Fake(page(FLOW)).client.list(FLOWS, OfSpec("spec-1"))
    assert item == Listed(
        id="f1",
        etag=ETAG,
        name="Contacts [crmflow:prod:0123456789abcdef]",
        description="All\nmanaged by crmflow prod crm/contacts uid-1",
        state="enabled",
        created_at=1_612_310_475.905,
        parents=("s1", "t1"),
        last_run=Run("r1", "f1", "success", 1_612_310_500.0, 1_612_310_560.0),
    )


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        pytest.param(
            {"id": "s1", "etag": "e", "baseConnectionId": "b1", "createdAt": "1000"},
            Listed("s1", "e", "", "", "", 1.0, ("b1",)),
            id="source connection",
        ),
        pytest.param({"id": "b1", "version": "v"}, Listed("b1", "v", "", "", "", 0.0), id="version for etag"),
        pytest.param(
            {"id": "b1", "name": None, "description": 7, "createdAt": "soon", "lastRunDetails": {}},
            Listed("b1", "", "", "7", "", 0.0),
            id="odd values",
        ),
    ],
)
async def test_what_a_listing_lacks_is_empty(raw: dict[str, Any], expected: Listed) -> None:
    assert await Fake(page(raw)).client.list(CONNECTIONS, OfSpec("x")) == (expected,)


@pytest.mark.parametrize("state", ["deleted", "Deleted", "DELETED"])
async def test_what_was_deleted_is_not_listed_any_more(state: str) -> None:
    fake = Fake(page({**FLOW, "state": state}, {**FLOW, "id": "f2", "state": "deleting"}))
    assert [item.id for item in await fake.client.list(FLOWS, OfSpec("x"))] == ["f2"]


async def test_every_page_is_read_by_its_own_reference() -> None:
    """And what the reference leaves out is asked for again, as Adobe's own client does: a service whose
    token is only a place in the listing would forget filter and order.
    """
    asked = {"property": "flowSpec.id==x", "orderby": "createdAt"}
    fake = Fake(
        page({**FLOW, "id": "1"}, following="/flows?continuationToken=a%2Bb&limit=100"),
        page({**FLOW, "id": "2"}, following="/flows?continuationToken=c"),
        page({**FLOW, "id": "3"}),
    )
    assert [item.id for item in await fake.client.list(FLOWS, OfSpec("x"))] == ["1", "2", "3"]
    _, second, third = fake.requests
    assert second.url.path == third.url.path == f"{FS}/flows"
    assert dict(second.url.params) == {"continuationToken": "a+b", "limit": "100", **asked}
    assert dict(third.url.params) == {"continuationToken": "c", "limit": "100", **asked}
    assert len(fake.requests) == 3


async def test_a_next_link_does_not_lead_elsewhere() -> None:
    fake = Fake(page(following="https://elsewhere.example/x?continuationToken=t"), page())
    assert await fake.client.list(FLOWS, OfSpec("x")) == ()
    assert str(fake.requests[1].url).startswith(f"https://platform.example{FS}/flows?continuationToken=t&")


async def test_filters_of_the_reference_take_the_place_of_the_first() -> None:
    fake = Fake(page(following="/flows?property=a==1&property=b==2&continuationToken=t"), page())
    await fake.client.list(FLOWS, OfSpec("x"))
    assert fake.requests[1].url.params.get_list("property") == ["a==1", "b==2"]


@pytest.mark.parametrize("following", ["/flows?continuationToken=t", {"href": "/flows?continuationToken=t"}])
async def test_a_next_link_may_be_a_text(following: Any) -> None:
    fake = Fake({"items": [{**FLOW, "id": "1"}], "_links": {"next": following}}, page({**FLOW, "id": "2"}))
    assert [item.id for item in await fake.client.list(FLOWS, OfSpec("x"))] == ["1", "2"]


@pytest.mark.parametrize(
    "links", [None, {}, {"next": None}, {"next": {}}, {"next": {"href": ""}}, {"next": ""}]
)
async def test_the_last_page_has_no_next_link(links: Any) -> None:
    fake = Fake({"items": [FLOW], "_links": links})
    assert len(await fake.client.list(FLOWS, OfSpec("x"))) == 1


@pytest.mark.parametrize("following", ["/flows/page/2", {"href": "/flows/page/2"}, {"href": 5}, 5, ["x"]])
async def test_a_next_link_that_cannot_be_followed_is_not_the_end(following: Any) -> None:
    """What it leads to would be taken for gone."""
    with pytest.raises(RemoteError) as raised:
        await Fake({"items": [FLOW], "_links": {"next": following}}).client.list(FLOWS, OfSpec("x"))
    assert raised.value.reason == "UnreadableAnswer"


NEXT = "/flows?continuationToken=t"


@pytest.mark.parametrize(
    "second",
    [
        pytest.param(error("FLOW-1400-500"), id="refused"),
        pytest.param((200, {}), id="no listing"),
        pytest.param((200, "<html>"), id="no JSON"),
        pytest.param((200, None), id="empty"),
        pytest.param(page(FLOW, following=NEXT), id="the same page again"),
    ],
)
@pytest.mark.parametrize("selection", [OfSpec("x"), WithIds(("f1",))], ids=str)
async def test_a_failed_page_fails_the_listing(second: Any, selection: Selection) -> None:
    with pytest.raises(RemoteError) as raised:
        await Fake(page(FLOW, following=NEXT), second).client.list(FLOWS, selection)
    assert raised.value.error_class is ErrorClass.TRANSIENT


@pytest.mark.parametrize("count", [0, 1, IDS_PER_REQUEST, IDS_PER_REQUEST + 1, 2 * IDS_PER_REQUEST + 7])
async def test_ids_are_asked_for_in_portions(count: int) -> None:
    ids = tuple(f"id-{number}" for number in range(count))
    portions = [ids[start : start + IDS_PER_REQUEST] for start in range(0, count, IDS_PER_REQUEST)]
    fake = Fake(*(page({"id": portion[0]}) for portion in portions))
    found = await fake.client.list(TARGET_CONNECTIONS, WithIds(ids))
    assert [item.id for item in found] == [portion[0] for portion in portions]
    assert [request.url.params["property"] for request in fake.requests] == [
        f"id=={','.join(portion)}" for portion in portions
    ]
    assert {request.url.path for request in fake.requests} <= {f"{FS}/targetConnections"}


async def test_an_id_that_was_deleted_does_not_exist() -> None:
    assert await Fake(page({**FLOW, "state": "deleted"})).client.list(FLOWS, WithIds(("f1",))) == ()


# What is known of versions, and what it costs


RENAME = [PatchOperation("replace", "/name", "n")]


@pytest.mark.parametrize(
    ("answer", "call", "arguments", "seen"),
    [
        (page(FLOW), "get", (FLOWS, "f1"), [("f1", ETAG)]),
        ({"id": "f1", "etag": "e2"}, "patch", (FLOWS, "f1", ETAG, RENAME), [("f1", "e2")]),
        ({"items": [{"id": "f1", "etag": "e2"}]}, "patch", (FLOWS, "f1", ETAG, RENAME), [("f1", "e2")]),
        ({"id": "f1", "etag": "e2"}, "set_flow_state", ("f1", True, ETAG), [("f1", "e2")]),
        ((201, {"id": "t1", "etag": "e1"}), "create", (TARGET_CONNECTIONS, {}), [("t1", "e1")]),
        ({"id": "f1"}, "patch", (FLOWS, "f1", ETAG, RENAME), []),
        (page(FLOW), "list", (FLOWS, WithIds(("f1",))), []),
        ((204, None), "delete", (FLOWS, "f1"), []),
    ],
    ids=[
        "read",
        "patched",
        "patched, in an envelope",
        "state set",
        "created",
        "no etag",
        "listed",
        "deleted",
    ],
)
async def test_versions_that_were_read_or_written_by_id_are_known(
    answer: Any, call: str, arguments: tuple[Any, ...], seen: list[tuple[str, str]]
) -> None:
    fake = Fake(answer)
    await getattr(fake.client, call)(*arguments)
    assert fake.versions == seen


# Mapping sets by name

NAME = "crmflow:prod:0a1b2c3d"


@pytest.mark.parametrize(
    ("data", "found"),
    [
        pytest.param([{"id": "m1", "name": NAME, "version": 0}], [MappingSetRef("m1", 0)], id="one"),
        pytest.param(
            [{"id": "m1", "name": NAME, "version": 3}, {"id": "m2", "name": NAME}],
            [MappingSetRef("m1", 3), MappingSetRef("m2", 0)],
            id="the oldest first",
        ),
        pytest.param(
            [{"id": "m0", "name": f"{NAME}4"}, {"id": "m1", "name": NAME}],
            [MappingSetRef("m1", 0)],
            id="the name is compared, whatever the filter found",
        ),
        pytest.param([{"id": "m0", "name": NAME.upper()}], [], id="another case"),
        pytest.param([{"name": NAME}], [], id="without id"),
        pytest.param([], [], id="none"),
    ],
)
async def test_a_mapping_set_is_found_by_its_exact_name(data: list[Any], found: list[Any]) -> None:
    fake = Fake({"data": data, "_page": {}})
    assert await fake.client.list(MAPPING_SETS, Named(NAME)) == tuple(found)
    assert fake.request.url.path == "/data/foundation/conversion/mappingSets"
    assert dict(fake.request.url.params) == {
        "name": NAME,
        "limit": "20",
        "start": "0",
        "orderBy": "+createdDate",
    }


@pytest.mark.parametrize("answer", [{}, [], (200, None), (200, "<html>"), (500, None)])
async def test_what_is_no_listing_is_not_taken_for_no_mapping_set(answer: Any) -> None:
    with pytest.raises(RemoteError):
        await Fake(answer).client.list(MAPPING_SETS, Named(NAME))


async def test_a_mapping_set_without_a_version_is_at_its_first() -> None:
    assert await Fake({"id": "m"}).client.create(MAPPING_SETS, {}) == Created("m", version=0)


# Sandboxes


@pytest.mark.parametrize(
    ("date", "modified_at"),
    [
        ("2026-01-31T08:00:00.000Z", 1_769_846_400.0),
        ("2026-01-31T08:00:00Z", 1_769_846_400.0),
        ("2026-01-31 08:00:00", 1_769_846_400.0),
        ("2026-01-31T09:30:00+01:30", 1_769_846_400.0),
        ("soon", None),
        ("", None),
        (None, None),
        (1_769_846_400, None),
    ],
)
async def test_when_a_sandbox_was_changed(date: Any, modified_at: float | None) -> None:
    raw = {"name": "prod", "state": "active", "type": "production", "region": "VA7", "lastModifiedDate": date}
    assert await Fake({"sandboxes": [raw]}).client.list(SANDBOXES) == (
        Sandbox("prod", "active", "production", "VA7", modified_at),
    )
