"""The listener that stands for ``https://{account}.blob.core.windows.net``: a proxy before Azurite.

Bytes pass as they are, both ways, but for ``Last-Modified``: Azurite stamps real time, and everybody else
lives on the emulators' clock. The proxy ends signatures and blobs by that clock, notes when blobs change, and
refuses what Azurite takes and the real service does not.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING

import aiohttp
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from tests.emulators.blob import times
from tests.emulators.blob.azurite import CONTAINER
from tests.emulators.blob.errors import refusal
from tests.emulators.blob.state import BlobState
from tests.emulators.core.recorder import FAULT

if TYPE_CHECKING:
    from tests.emulators.blob.container import Container

_HOP_BY_HOP = frozenset(
    ["connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"]
)
_CHANGES = {"", "blocklist", "appendblock", "page", "metadata", "properties"}
"""``comp`` of a PUT that moves a blob's last-modified time."""
_PIECE_BYTES = 256 * 1024
_PUT_BLOB_LIMITS = (("2019-12-12", 5000 << 20), ("2016-05-31", 256 << 20), ("", 64 << 20))
"""The largest Put Blob from a service version on."""


def blob_app(state: BlobState) -> web.Application:
    """The application of the blob listener."""
    application = web.Application(client_max_size=0)
    proxy = _Proxy(state)
    application.router.add_route("*", "/{account}/{path:.*}", proxy.handle)
    application.cleanup_ctx.append(proxy.session)
    return application


class _Proxy:
    def __init__(self, state: BlobState) -> None:
        self._state = state
        self._http: aiohttp.ClientSession

    async def session(self, application: web.Application) -> AsyncIterator[None]:
        """Connections to Azurite, for as long as the listener lives."""
        async with aiohttp.ClientSession(
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=("Accept", "Accept-Encoding", "User-Agent", "Content-Type"),
            timeout=aiohttp.ClientTimeout(total=None),
        ) as self._http:
            yield

    async def handle(self, request: web.Request) -> web.StreamResponse:
        container = self._state.of_account(request.match_info["account"])
        version = request.headers.get("x-ms-version")
        if container is None:
            return refusal("AuthenticationFailed", version)
        if "sig" in request.query and container.has_ended(request.query.get("si", "")):
            return refusal(self._state.switches.endedSasCode, version)
        if self._too_large(request):
            return refusal("RequestBodyTooLarge", version)
        await self._state.before_request()
        await container.expire()
        return await self._forward(request, container)

    async def _forward(self, request: web.Request, container: Container) -> web.StreamResponse:
        url = URL(container.account.server + request.raw_path, encoded=True)
        body = request.content.iter_chunked(_PIECE_BYTES) if request.body_exists else None
        async with self._http.request(
            request.method, url, data=body, headers=_end_to_end(request.headers), allow_redirects=False
        ) as answer:
            if answer.status < 300:
                _note(request, container)
            elif code := self._other_words(request, answer):
                return refusal(code, request.headers.get("x-ms-version"))
            return await _passed_on(request, answer, container)

    def _other_words(self, request: web.Request, answer: aiohttp.ClientResponse) -> str | None:
        """What the real service may say instead, when a blob that must not exist does."""
        commits = request.query.get("comp") == "blocklist" and "If-None-Match" in request.headers
        exists = answer.headers.get("x-ms-error-code") == "BlobAlreadyExists"
        wanted = self._state.switches.existingBlob
        return wanted if commits and exists and wanted != "BlobAlreadyExists" else None

    def _too_large(self, request: web.Request) -> bool:
        if request.method != "PUT" or "comp" in request.query or request.content_length is None:
            return False
        version = request.headers.get("x-ms-version", "")
        by_version = next(limit for since, limit in _PUT_BLOB_LIMITS if version >= since)
        return request.content_length > (self._state.switches.largestPutBlob or by_version)


def _note(request: web.Request, container: Container) -> None:
    name = _blob(request)
    if name and request.method == "PUT" and request.query.get("comp", "") in _CHANGES:
        container.note_change(name)


def _blob(request: web.Request) -> str:
    """The blob that is asked for; nothing if it is the container."""
    folder, _, name = request.match_info["path"].partition("/")
    return name if folder == CONTAINER else ""


def _end_to_end(headers: Mapping[str, str]) -> CIMultiDict[str]:
    """The headers that a proxy passes on."""
    return CIMultiDict((name, value) for name, value in headers.items() if name.lower() not in _HOP_BY_HOP)


async def _passed_on(
    request: web.Request, answer: aiohttp.ClientResponse, container: Container
) -> web.StreamResponse:
    headers = _end_to_end(answer.headers)
    changed = container.changed(_blob(request))
    if changed is not None and "Last-Modified" in headers:
        headers["Last-Modified"] = times.http_date(changed)
    if request.query.get("comp") == "list" and answer.status == 200:
        headers.popall("Content-Length", None)
        body = times.listing_with(await answer.read(), container.changed)
        return web.Response(status=answer.status, body=body, headers=headers)
    if FAULT in request:  # the answer may have to be lost: nothing of it is sent from here
        return web.Response(status=answer.status, body=await answer.read(), headers=headers)
    response = web.StreamResponse(status=answer.status, reason=answer.reason, headers=headers)
    await response.prepare(request)
    if request.method != "HEAD":
        async for piece in answer.content.iter_chunked(_PIECE_BYTES):
            await response.write(piece)
    await response.write_eof()
    return response
