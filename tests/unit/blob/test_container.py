"""Listing and deleting on the wire (landing-zone.md K.2)."""

from __future__ import annotations

from datetime import UTC, datetime

import httpx
import pytest

from crmflow.blob.container import Container, ListedBlob
from crmflow.http.errors import ErrorClass, RemoteError
from tests.unit.blob.service import SAS, FakeService, error

FOLDER = "crmflow/eu/sales/contacts/0-d55ebbf0"
MODIFIED = "<Properties><Last-Modified>Wed, 04 Nov 2026 10:15:02 GMT</Last-Modified></Properties>"
COMMITTED = datetime(2026, 11, 4, 10, 15, 2, tzinfo=UTC)


def page(*blobs: str, marker: str = "") -> httpx.Response:
    """A page of a listing, with the byte order mark that the real service sends."""
    found = "".join(f"<Blob>{blob}</Blob>" for blob in blobs)
    body = (
        '<?xml version="1.0" encoding="utf-8"?><EnumerationResults ContainerName="c">'
        f"<Blobs>{found}<BlobPrefix><Name>{FOLDER}/deeper/</Name></BlobPrefix></Blobs>"
        f"<NextMarker>{marker}</NextMarker></EnumerationResults>"
    )
    return httpx.Response(200, content=b"\xef\xbb\xbf" + body.encode())


async def test_the_blobs_of_a_folder_page_by_page() -> None:
    metadata = "<Metadata><Rows>7</Rows><windowBegin>x &amp; y</windowBegin><empty/></Metadata>"
    service = FakeService(
        page(f"<Name>{FOLDER}/1.csv</Name>{MODIFIED}{metadata}", marker="2!76!"),
        page(f'<Name Encoded="true">{FOLDER}/a%EF%BF%BE.csv</Name>{MODIFIED}'),
    )
    found = await Container(service.service).list(FOLDER)
    assert found == (
        ListedBlob(f"{FOLDER}/1.csv", COMMITTED, {"rows": "7", "windowbegin": "x & y", "empty": ""}),
        ListedBlob(f"{FOLDER}/a\ufffe.csv", COMMITTED, {}),
    )
    first, second = service.requests
    assert str(first.url).startswith(SAS)
    added = dict(first.url.params.multi_items()[5:])
    assert added == {
        "restype": "container",
        "comp": "list",
        "prefix": f"{FOLDER}/",
        "delimiter": "/",
        "include": "metadata",
        "maxresults": "1000",
    }
    assert second.url.params["marker"] == "2!76!"


async def test_a_folder_that_is_not_there() -> None:
    assert await Container(FakeService(page()).service).list(FOLDER) == ()


@pytest.mark.parametrize(
    "body",
    [
        "",
        "<EnumerationResults>",
        "not XML",
        f"<EnumerationResults><Blobs><Blob>{MODIFIED}</Blob></Blobs></EnumerationResults>",
        "<EnumerationResults><Blobs><Blob><Name>a</Name></Blob></Blobs></EnumerationResults>",
        '<!DOCTYPE x [<!ENTITY a "b">]><EnumerationResults>&a;</EnumerationResults>',
    ],
)
async def test_what_is_no_listing(body: str) -> None:
    with pytest.raises(RemoteError) as raised:
        await Container(FakeService(httpx.Response(200, text=body)).service).list(FOLDER)
    assert (raised.value.error_class, raised.value.reason) == (ErrorClass.TRANSIENT, "UnreadableAnswer")


async def test_a_listing_that_does_not_end() -> None:
    with pytest.raises(RemoteError) as raised:
        await Container(FakeService(page(marker="same")).service).list(FOLDER)
    assert raised.value.reason == "UnreadableAnswer"


async def test_a_listing_that_is_refused_changed_nothing() -> None:
    with pytest.raises(RemoteError) as raised:
        await Container(FakeService(error(503, "ServerBusy")).service).list(FOLDER)
    assert (raised.value.reason, raised.value.maybe_applied) == ("Unavailable", False)


@pytest.mark.parametrize("answer", [httpx.Response(202), error(404, "BlobNotFound"), httpx.Response(404)])
async def test_a_blob_is_gone_after_its_deletion(answer: httpx.Response) -> None:
    service = FakeService(answer)
    await Container(service.service).delete(f"{FOLDER}/1.csv")
    (request,) = service.requests
    assert (request.method, request.url.path) == ("DELETE", f"/dlz-user-container/{FOLDER}/1.csv")


async def test_a_container_that_is_gone() -> None:
    with pytest.raises(RemoteError) as raised:
        await Container(FakeService(error(404, "ContainerNotFound")).service).delete(f"{FOLDER}/1.csv")
    assert (raised.value.error_class, raised.value.reason) == (ErrorClass.TERMINAL, "LandingZoneNotFound")
