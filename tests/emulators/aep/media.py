"""XDM media types carry the version of a schema (platform.md 9, 10 and 16.1.20)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tests.emulators.aep.numbers import whole

_ACCEPT = re.compile(
    r"^application/vnd\.adobe\.(?P<family>xed|xdm)(?P<variant>(-[a-z0-9]+)*)\+json\s*"
    r"(;\s*version\s*=\s*(?P<version>\d{1,9}(\.\d{1,9})*))?\s*$"
)
_VERSION = re.compile(r"version\s*=\s*(\d+)")


@dataclass(frozen=True)
class XdmMediaType:
    """A parsed Schema Registry media type."""

    family: str
    variant: str
    version: str | None


def parse(text: str) -> XdmMediaType | None:
    """The parts of ``application/vnd.adobe.xed-full+json; version=1`` and the like, None for any other."""
    match = _ACCEPT.match(text.strip().lower())
    return None if match is None else XdmMediaType(match["family"], match["variant"], match["version"])


def major_version(text: object) -> int | None:
    """The major version that a media type or plain version like ``1.0`` names."""
    if not isinstance(text, str):
        return None
    found = _VERSION.search(text)
    digits = found[1] if found else text.split(".")[0].strip()
    return whole(digits)
