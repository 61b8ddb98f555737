"""``page_token``: where a listing goes on, for whom, and until when (zoho.md 3.6)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from .errors import CrmError, invalid_data
from .limits import DAY_SECONDS

# Everything of a query that a page token holds fast.
BoundQuery = tuple[str, ...]


@dataclass(frozen=True)
class PageToken:
    """The place ``start`` of one user's listing."""

    user_id: str
    query: BoundQuery
    start: int
    expires_at: float


class PageTokens:
    """All page tokens that were given out."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._tokens: dict[str, PageToken] = {}

    def give(self, user_id: str, query: BoundQuery, start: int) -> str:
        """A token for the page that begins at ``start``; it lives 24 hours."""
        token = PageToken(user_id, query, start, self._now() + DAY_SECONDS)
        value = hashlib.sha256(repr(token).encode()).hexdigest()
        self._tokens[value] = token
        return value

    def start(self, value: str, user_id: str, query: BoundQuery) -> int:
        """Where the page of this token begins; raises :class:`CrmError` if it is not for this query."""
        token = self._tokens.get(value)
        if token is None:
            raise invalid_data("page_token")
        if token.expires_at <= self._now():
            raise CrmError(
                400,
                "EXPIRED_VALUE",
                "the page_token is expired",
                {"api_name": "page_token", "json_path": "$.query.page_token"},
            )
        if (token.user_id, token.query) != (user_id, query):
            raise CrmError(
                400,
                "TOKEN_BOUND_DATA_MISMATCH",
                "the parameters do not match those of the page_token",
                {"param_name": "page_token"},
            )
        return token.start
