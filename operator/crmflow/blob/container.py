"""What is in a container (landing-zone.md K.2)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import NoReturn
from urllib.parse import unquote, urlencode
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from crmflow.blob.errors import NOT_FOUND
from crmflow.blob.service import BlobService
from crmflow.http.client import Answer
from crmflow.http.errors import RemoteError

_PAGE = 1000
"""Blobs of one page: far below what an answer may have in bytes."""


@dataclass(frozen=True, slots=True)
class ListedBlob:
    """A blob as a listing shows it."""

    path: str
    """Below the container."""
    last_modified: datetime
    """In whole seconds of the service's clock."""
    metadata: Mapping[str, str]
    """By names in lower case."""


class Container:
    """The container that the SAS is for."""

    def __init__(self, service: BlobService, page_size: int = _PAGE) -> None:
        self._service = service
        self._page_size = page_size

    async def list(self, folder: str) -> tuple[ListedBlob, ...]:
        """The blobs directly in ``folder``; none if it does not exist. Raises RemoteError."""
        query = {
            "restype": "container",
            "comp": "list",
            "prefix": f"{folder}/",
            "delimiter": "/",
            "include": "metadata",
            "maxresults": str(self._page_size),
        }
        found: list[ListedBlob] = []
        while True:
            answer = await self._service.send("listBlobs", "GET", "", urlencode(query), expected=200)
            page = _parsed(answer)
            found.extend(_blobs(page, answer))
            marker = page.findtext("NextMarker", "")
            if not marker:
                return tuple(found)
            if marker == query.get("marker"):
                raise answer.unreadable("a next page that was there before")
            query["marker"] = marker

    async def delete(self, path: str) -> None:
        """Delete a blob; one that is gone is no error. Raises RemoteError."""
        try:
            await self._service.send("deleteBlob", "DELETE", path, expected=202)
        except RemoteError as error:
            if error.reason != NOT_FOUND:
                raise


def _blobs(page: Element, answer: Answer) -> Iterator[ListedBlob]:
    for blob in page.iterfind("Blobs/Blob"):
        name = blob.find("Name")
        modified = _instant(blob.findtext("Properties/Last-Modified", ""))
        if name is None or not name.text or modified is None:
            raise answer.unreadable("a blob without name or time")
        # A name that XML can't take comes with percent signs.
        path = unquote(name.text) if name.get("Encoded") == "true" else name.text
        metadata = {entry.tag.lower(): entry.text or "" for entry in blob.iterfind("Metadata/*")}
        yield ListedBlob(path, modified, metadata)


def _instant(text: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(text)
    except ValueError:
        return None
    return found if found.tzinfo is not None else None


def _parsed(answer: Answer) -> Element:
    """By the standard library's parser, without what makes others' XML dangerous: the size is bounded, and no
    entity can be declared where there is no document type.
    """
    tree = TreeBuilder()
    parser = expat.ParserCreate()
    parser.StartElementHandler = tree.start
    parser.EndElementHandler = tree.end
    parser.CharacterDataHandler = tree.data
    parser.StartDoctypeDeclHandler = _refuse
    try:
        parser.Parse(answer.body, True)
        return tree.close()
    except (expat.ExpatError, AssertionError) as error:
        raise answer.unreadable("a body that is not XML") from error


def _refuse(*_: object) -> NoReturn:
    raise expat.ExpatError("a document type")
