"""``Last-Modified`` on the emulators' clock, in the place of what Azurite has written by its own."""

from __future__ import annotations

import re
from collections.abc import Callable
from email.utils import formatdate
from xml.sax.saxutils import unescape

Changed = Callable[[str], int | None]
"""When a blob was last changed; None for one that is not known."""

_LISTED = re.compile(
    r"(<Blob><Name>(?P<name>[^<]*)</Name>.*?<Last-Modified>)[^<]*(?=</Last-Modified>)", re.DOTALL
)


def http_date(at: int) -> str:
    """As a header has it."""
    return formatdate(at, usegmt=True)


def listing_with(body: bytes, changed: Changed) -> bytes:
    """A listing with the times that ``changed`` tells."""

    def replaced(match: re.Match[str]) -> str:
        at = changed(unescape(match["name"]))
        return match[0] if at is None else match[1] + http_date(at)

    return _LISTED.sub(replaced, body.decode()).encode()
