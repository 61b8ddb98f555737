"""One authenticated call of the CRM API."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .errors import invalid_data
from .model import AccessToken, Organization, User

if TYPE_CHECKING:
    from .state import ZohoState


@dataclass(frozen=True)
class Call:
    """What an operation may look at: who calls, and what was asked."""

    state: ZohoState
    token: AccessToken
    organization: Organization
    user: User
    path: Mapping[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Any = None
    """The JSON of the request; None without one."""


@dataclass(frozen=True)
class File:
    """An answer that is not JSON."""

    name: str
    content_type: str
    content: Callable[[], bytes]
    """Makes the content, which may take seconds: it is called in a thread."""


def integer(query: Mapping[str, str], name: str, default: int, highest: int | None = None) -> int:
    """A query parameter that is a whole number from 1 to ``highest``; raises INVALID_DATA."""
    text = query.get(name)
    if text is None:
        return default
    if (
        not (text.isascii() and text.isdigit())
        or int(text) < 1
        or (highest is not None and int(text) > highest)
    ):
        raise invalid_data(name)
    return int(text)
