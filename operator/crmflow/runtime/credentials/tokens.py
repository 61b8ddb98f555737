"""One credential's access token: asked for when needed, shared by all who use it, renewed in good time."""

from __future__ import annotations

import asyncio
import logging
import math
import random
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Generic, Protocol, TypeVar

from pydantic import SecretStr

from crmflow.clock import Clock
from crmflow.http.errors import ErrorClass, RemoteError
from crmflow.single_flight import SingleFlight

log = logging.getLogger("crmflow.tokens")

REFRESH_AT = (0.64, 0.70)
"""The part of a token's life after which it is refreshed: about two thirds, with jitter."""
EXPIRY_MARGIN_SECONDS = 60.0
"""A token this close to its end counts as ended: requests take their time, and clocks differ."""
FAILED_REFRESH_PAUSE_SECONDS = 60.0
"""A token that is still valid is used for so long after a refresh that failed, before the next attempt."""
REJECTION_PAUSE_SECONDS = 120.0
"""One token may be replaced because it was refused at once, the next one so much later."""
REMEMBERED_SECONDS = 7200.0
"""Whoever needs a token and gets none asks again within an hour."""


class AccessToken(Protocol):
    """What Zoho's and Adobe's tokens have in common. Instants are seconds since the epoch."""

    @property
    def value(self) -> SecretStr: ...
    @property
    def issued_at(self) -> float: ...
    @property
    def expires_at(self) -> float: ...


T = TypeVar("T", bound=AccessToken)


@dataclass(frozen=True, slots=True)
class CachedToken(Generic[T]):
    """A token and the instant from which on another one is asked for."""

    token: T
    refresh_at: float


class Issuer(Protocol[T]):
    """Where a credential's tokens come from, and where they are kept. Methods may raise RemoteError."""

    async def stored(self) -> CachedToken[T] | None:
        """What an earlier process left."""
        ...

    async def fetch(self) -> T:
        """A new token."""
        ...

    async def store(self, cached: CachedToken[T]) -> None:
        """Remember a new token beyond this process."""
        ...


class FreshToken(Generic[T]):
    """Keeps a token until two thirds of its life are over.

    Whoever comes while a refresh is under way gets its end, a failure included: an endpoint that does not
    answer costs one time-out and one request of its budget, however many wait. A throttled credential is left
    alone until the service's window has passed: asking again would only prolong it.
    """

    def __init__(
        self, issuer: Issuer[T], clock: Clock, lock: asyncio.Lock | None = None, service: str = "OAuth"
    ) -> None:
        """``lock`` is shared by those who may not ask at the same time; ``service`` is who issues."""
        self._issuer = issuer
        self._service = service
        self._clock = clock
        self._lock = lock or asyncio.Lock()
        self._flight: SingleFlight[CachedToken[T]] = SingleFlight()
        self._cached: CachedToken[T] | None = None
        self._loaded = False
        self._throttled: RemoteError | None = None
        self._not_before = 0.0
        self._replaced_at = -math.inf
        self._rejected_in_a_row = 0
        self._is_kept_in_vain = False
        self._asked_at = clock.now()
        self.is_refused = False
        """True if the latest request for a token was refused for good; the cached token may still be valid.
        """
        self.refusals = 0
        """How many requests for a token were refused for good."""
        self.renewals = 0
        """How many tokens this process was given."""

    async def get(self) -> SecretStr:
        """A valid token. Raises RemoteError when there is none to be had."""
        return (await self.cached()).token.value

    async def cached(self) -> CachedToken[T]:
        """The same, with the instant of its renewal. Raises RemoteError."""
        self._asked_at = self._clock.now()
        if self._cached is not None and self._clock.now() < self._cached.refresh_at:
            return self._cached
        return await self._flight.run(self, self._refresh)

    async def load(self) -> None:
        """Take up what an earlier process left, and ask for nothing. Raises RemoteError."""
        if self._loaded:
            return
        async with self._lock:
            if not self._loaded:
                self._cached = await self._issuer.stored()
                self._loaded = True

    @property
    def valid(self) -> CachedToken[T] | None:
        """The cached token, until it ends. Nothing is asked for."""
        is_over = self._cached is None or self._clock.now() >= _usable_until(self._cached)
        return None if is_over else self._cached

    def reject(self, token: SecretStr) -> None:
        """``token`` is no longer accepted, whatever its age.

        It is dropped, so that the next caller gets another one. A second one that is refused within the pause
        is dropped, too, and its successor asked for when the pause is over: until then there is none. When
        that one is refused as well, the cause is elsewhere: it is kept, so that what refuses it is heard, and
        one more is asked for after each pause. Asking faster would only use up what the service grants.
        """
        if self._cached is None or self._cached.token.value.get_secret_value() != token.get_secret_value():
            return
        now = self._clock.now()
        if now >= self._replaced_at + REJECTION_PAUSE_SECONDS:
            self._rejected_in_a_row = self._rejected_in_a_row if self._is_kept_in_vain else 1
            self._cached, self._replaced_at, self._is_kept_in_vain = None, now, False
        elif self._rejected_in_a_row == 1:
            self._rejected_in_a_row = 2
            self._cached, self._replaced_at = None, self._replaced_at + REJECTION_PAUSE_SECONDS
        else:
            self._is_kept_in_vain = True

    @property
    def refresh_at(self) -> float | None:
        """When another token is asked for; None while there is none."""
        return self._cached.refresh_at if self._cached else None

    @property
    def life(self) -> tuple[float, float] | None:
        """When the token was issued and when it ends; None if there is none, or if it has ended and nobody
        has asked for one for so long that the credential may well be gone.
        """
        is_wanted = self._clock.now() < self._asked_at + REMEMBERED_SECONDS
        if self._cached is None or not (self.valid or is_wanted):
            return None
        return self._cached.token.issued_at, self._cached.token.expires_at

    @property
    def lifetime(self) -> float:
        """Seconds between the issue of the cached token and its end; 0 without one."""
        return self._cached.token.expires_at - self._cached.token.issued_at if self._cached else 0.0

    async def _refresh(self) -> CachedToken[T]:
        await self.load()
        async with self._lock:
            if self._cached is not None and self._clock.now() < self._cached.refresh_at:
                return self._cached
            try:
                return await self._renew()
            except RemoteError as error:
                valid = self.valid
                if error.error_class is not ErrorClass.TRANSIENT or valid is None:
                    raise
                pause_ends = self._clock.now() + FAILED_REFRESH_PAUSE_SECONDS
                self._cached = replace(valid, refresh_at=min(pause_ends, _usable_until(valid)))
                return self._cached

    async def _renew(self) -> CachedToken[T]:
        now = self._clock.now()
        if self._throttled is not None and now < self._not_before:
            # The same refusal, later in its window; this time nothing was sent.
            raise self._throttled.but(
                retry_after=self._not_before - now, request_id=None, maybe_applied=False
            )
        if self._cached is None and now < self._replaced_at:
            raise self._ended()
        try:
            token = await self._issuer.fetch()
        except RemoteError as error:
            self.is_refused = error.error_class is ErrorClass.TERMINAL
            self.refusals += self.is_refused
            if error.retry_after:
                self._throttled, self._not_before = error, now + error.retry_after
            raise
        life = token.expires_at - token.issued_at
        share = random.uniform(*REFRESH_AT)  # noqa: S311 - spreads load, no secret
        self._cached, self._throttled = CachedToken(token, token.issued_at + life * share), None
        self.is_refused = False
        self.renewals += 1
        try:
            await self._issuer.store(self._cached)
        except RemoteError as error:  # it is good without that, too: then a restart asks for another
            log.warning("a new token is kept in memory only: %s", error)
        return self._cached

    def _ended(self) -> RemoteError:
        seconds = self._replaced_at - self._clock.now()
        at = datetime.fromtimestamp(self._replaced_at, UTC).strftime("%H:%M:%S UTC")
        return RemoteError(
            self._service,
            "token",
            ErrorClass.TRANSIENT,
            "TokenEnded",
            f"two access tokens were refused within {REJECTION_PAUSE_SECONDS / 60:.0f} minutes, long before "
            f"their end; another one is asked for at {at}",
            advice="Nothing to do. If it comes back, look for who ends the tokens of this credential.",
            retry_after=seconds,
        )


def _usable_until(cached: CachedToken[T]) -> float:
    return cached.token.expires_at - EXPIRY_MARGIN_SECONDS
