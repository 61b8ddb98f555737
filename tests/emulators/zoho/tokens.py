"""Codes, refresh tokens and access tokens with their lives and limits (zoho.md 1.5)."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable

from .errors import OAuthError, throttled
from .model import AccessToken, Client, Code, Grant, RefreshToken
from .switches import ZohoSwitches

WINDOW_SECONDS = 600
ACCESS_TOKENS_PER_WINDOW = 10
CODES_PER_WINDOW = 10
REFRESH_TOKENS_PER_USER = 20

# Limit, seconds, and whether the count is per (user and client), per client or per user.
_REFRESH_TOKEN_RATES = {
    "10 per 10 min": (10, 600, ("zuid", "client_id")),
    "20 per 10 min": (20, 600, ("client_id",)),
    "5 per min": (5, 60, ("zuid",)),
}


class Windows:
    """Counts events per key in sliding windows."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._times: defaultdict[tuple[str, ...], list[float]] = defaultdict(list)

    def count(self, key: tuple[str, ...], seconds: float) -> int:
        """Events of ``key`` within the last ``seconds``."""
        since = self._now() - seconds
        self._times[key] = kept = [time for time in self._times[key] if time > since]
        return len(kept)

    def add(self, key: tuple[str, ...]) -> None:
        """One more event now."""
        self._times[key].append(self._now())


class TokenStore:
    """Everything that was issued and is not yet forgotten."""

    def __init__(
        self,
        now: Callable[[], float],
        switches: Callable[[], ZohoSwitches],
        new_value: Callable[[], str],
    ) -> None:
        self._now = now
        self._switches = switches
        self._new_value = new_value
        self._windows = Windows(now)
        self.codes: dict[str, Code] = {}
        self.refresh_tokens: dict[str, RefreshToken] = {}
        self.access_tokens: dict[str, AccessToken] = {}

    def new_code(self, grant: Grant, ttl: float | None = None, value: str | None = None) -> Code:
        """A grant token of ``ttl`` seconds; the eleventh of a client in ten minutes is void (zoho.md 1.4)."""
        key = ("code", grant.client_id)
        code = Code(
            value or self._new_value(),
            grant,
            self._now() + (self._switches().code_ttl if ttl is None else ttl),
            over_limit=self._windows.count(key, WINDOW_SECONDS) >= CODES_PER_WINDOW,
        )
        self._windows.add(key)
        self.codes[code.value] = code
        return code

    def redeem(self, code: Code) -> tuple[AccessToken, RefreshToken | None]:
        """Use a code up; a refresh token comes only with offline access."""
        if code.over_limit:
            raise OAuthError("access_denied", self._switches().undocumented_error_status)
        if code.used or code.expires_at <= self._now():
            raise self.invalid_code()
        if not code.grant.offline:
            code.used = True
            return self.new_access_token(code.grant, None), None
        self._check_refresh_token_rate(code.grant)
        code.used = True
        refresh_token = self.new_refresh_token(code.grant)
        return self.refresh(refresh_token), refresh_token

    def new_refresh_token(self, grant: Grant, value: str | None = None) -> RefreshToken:
        """A refresh token; the 21st of a user silently ends the oldest one."""
        for key in self._refresh_token_rate_keys(grant):
            self._windows.add(key)
        token = RefreshToken(value or self._new_value(), grant, self._now())
        self.refresh_tokens[token.value] = token
        same = [other for other in self.refresh_tokens.values() if self._share_limit(other.grant, grant)]
        for oldest in same[: max(0, len(same) - REFRESH_TOKENS_PER_USER)]:
            self.end_refresh_token(oldest.value)
        return token

    def refresh(self, token: RefreshToken) -> AccessToken:
        """A new access token, at most ten in ten minutes; the 16th live one ends the oldest."""
        self._throttle(("refresh", token.value))
        access_token = self.new_access_token(token.grant, token.value)
        live = [other for other in self.live_access_tokens() if other.refresh_token == token.value]
        for oldest in live[: max(0, len(live) - self._switches().active_access_tokens)]:
            del self.access_tokens[oldest.value]
        return access_token

    def client_credentials(self, client: Client, grant: Grant) -> AccessToken:
        """A token without refresh token, throttled per client."""
        self._throttle(("client", client.client_id))
        return self.new_access_token(grant, None)

    def new_access_token(
        self, grant: Grant, refresh_token: str | None, value: str | None = None
    ) -> AccessToken:
        """An access token of full life."""
        token = AccessToken(
            value or self._new_value(), grant, self._now() + self._switches().token_ttl, refresh_token
        )
        self.access_tokens[token.value] = token
        return token

    def access_token(self, value: str) -> AccessToken | None:
        """The live access token of this value."""
        token = self.access_tokens.get(value)
        return token if token is not None and token.expires_at > self._now() else None

    def live_access_tokens(self) -> Iterable[AccessToken]:
        """All that have not expired, oldest first."""
        return [token for token in self.access_tokens.values() if token.expires_at > self._now()]

    def refresh_grant(self, value: str, client_id: str) -> Grant | None:
        """What a refresh token of this client stands for."""
        token = self.refresh_tokens.get(value)
        return token.grant if token is not None and token.grant.client_id == client_id else None

    def access_grant(self, value: str, client_id: str) -> Grant | None:
        """What a live access token of this client stands for."""
        token = self.access_token(value)
        return token.grant if token is not None and token.grant.client_id == client_id else None

    def end_refresh_token(self, value: str) -> None:
        """Revoke or evict a refresh token and with it its access tokens."""
        del self.refresh_tokens[value]
        for token in [t for t in self.access_tokens.values() if t.refresh_token == value]:
            del self.access_tokens[token.value]

    def invalid_code(self) -> OAuthError:
        """A code or refresh token that is wrong, used, expired, revoked or evicted."""
        return OAuthError("invalid_code", self._switches().invalid_code_status)

    def issued_in_window(self, token: RefreshToken) -> int:
        """Access tokens made from this refresh token in the last ten minutes."""
        return self._windows.count(("refresh", token.value), WINDOW_SECONDS)

    def _throttle(self, key: tuple[str, ...]) -> None:
        refused = self._windows.count(key, WINDOW_SECONDS) >= ACCESS_TOKENS_PER_WINDOW
        if not refused or self._switches().refused_refresh_prolongs_block:
            self._windows.add(key)
        if refused:
            raise self._throttled()

    def _throttled(self) -> OAuthError:
        return throttled(self._switches().throttle_status, self._switches().throttle_locale)

    def _check_refresh_token_rate(self, grant: Grant) -> None:
        rate = _REFRESH_TOKEN_RATES.get(self._switches().refresh_token_rate)
        if rate is None:
            return
        limit, seconds, per = rate
        if self._windows.count(_rate_key(grant, per), seconds) >= limit:
            # Zoho names the limit, not the answer: the throttle's is assumed.
            raise self._throttled()

    @staticmethod
    def _refresh_token_rate_keys(grant: Grant) -> list[tuple[str, ...]]:
        return [_rate_key(grant, per) for _, _, per in _REFRESH_TOKEN_RATES.values()]

    def _share_limit(self, one: Grant, other: Grant) -> bool:
        per_user = self._switches().refresh_tokens_counted_per == "user"
        return one.zuid == other.zuid and (per_user or one.client_id == other.client_id)


def _rate_key(grant: Grant, per: tuple[str, ...]) -> tuple[str, ...]:
    return ("created", *per, *(getattr(grant, name) for name in per))


def token_value(seed: str) -> str:
    """A deterministic value in the form of Zoho's tokens and codes (zoho.md 1.1)."""
    digest = hashlib.sha256(seed.encode()).hexdigest()
    return f"1000.{digest[:32]}.{digest[32:]}"
