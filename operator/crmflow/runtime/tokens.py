"""One credential's access token: asked for when needed, shared by all who use it, renewed in good time."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from pydantic import SecretStr

from crmflow.clock import Clock
from crmflow.transport.errors import ErrorClass, RemoteError

REFRESH_AT = (0.64, 0.70)
"""The part of a token's life after which it is refreshed: about two thirds, with jitter."""
EXPIRY_MARGIN_SECONDS = 60.0
"""A token this close to its end counts as ended: requests take their time, and clocks differ."""
REJECTION_PAUSE_SECONDS = 120.0
"""A token that is refused so soon after another one was is not at fault, and is kept."""
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
class Held(Generic[T]):
    """A token and the instant from which on another one is asked for."""

    token: T
    refresh_at: float


class Issuer(Protocol[T]):
    """Where a credential's tokens come from, and where they are kept. Methods may raise RemoteError."""

    async def stored(self) -> Held[T] | None:
        """What an earlier process left."""
        ...

    async def fetch(self) -> T:
        """A new token."""
        ...

    async def keep(self, held: Held[T]) -> None:
        """Remember a new token beyond this process."""
        ...


class FreshToken(Generic[T]):
    """Keeps a token until two thirds of its life are over.

    Whoever comes while a refresh is under way waits for its answer. A throttled credential is left alone
    until the service's window has passed: asking again would only prolong it.
    """

    def __init__(self, issuer: Issuer[T], clock: Clock, lock: asyncio.Lock | None = None) -> None:
        """``lock`` is shared by those who may not ask at the same time."""
        self._issuer = issuer
        self._clock = clock
        self._lock = lock or asyncio.Lock()
        self._held: Held[T] | None = None
        self._loaded = False
        self._refused: RemoteError | None = None
        self._not_before = 0.0
        self._rejected_at: float | None = None
        self._asked_at = clock.now()

    async def get(self) -> SecretStr:
        """A valid token. Raises RemoteError when there is none to be had."""
        return (await self.held()).token.value

    async def held(self) -> Held[T]:
        """The same, with what is known of it."""
        self._asked_at = self._clock.now()
        async with self._lock:
            if not self._loaded:
                self._held = await self._issuer.stored()
                self._loaded = True
            if self._held is not None and self._clock.now() < self._held.refresh_at:
                return self._held
            try:
                return await self._renew()
            except RemoteError as error:
                if error.error_class is ErrorClass.TRANSIENT and self.is_valid and self._held is not None:
                    return self._held
                raise

    def reject(self, token: SecretStr) -> None:
        """Told that ``token`` is no longer accepted, whatever its age.

        It is dropped, so that the next caller gets another one; but when that one is refused as well, the
        cause is elsewhere, and asking on would only use up what the service grants.
        """
        if self._held is None or self._held.token.value.get_secret_value() != token.get_secret_value():
            return
        now = self._clock.now()
        if self._rejected_at is None or now - self._rejected_at >= REJECTION_PAUSE_SECONDS:
            self._held, self._rejected_at = None, now

    @property
    def refresh_at(self) -> float | None:
        """When another token is asked for; None while there is none."""
        return self._held.refresh_at if self._held else None

    @property
    def is_valid(self) -> bool:
        """True while a token is held that has not ended."""
        return (
            self._held is not None and self._clock.now() < self._held.token.expires_at - EXPIRY_MARGIN_SECONDS
        )

    @property
    def life(self) -> tuple[float, float] | None:
        """When the token was issued and when it ends; None if there is none, or if it has ended and nobody
        has asked for one for so long that the credential may well be gone.
        """
        is_wanted = self._clock.now() < self._asked_at + REMEMBERED_SECONDS
        if self._held is None or not (self.is_valid or is_wanted):
            return None
        return self._held.token.issued_at, self._held.token.expires_at

    async def _renew(self) -> Held[T]:
        now = self._clock.now()
        if self._refused is not None and now < self._not_before:
            raise again(self._refused, self._not_before - now)
        try:
            token = await self._issuer.fetch()
        except RemoteError as error:
            if error.retry_after:
                self._refused, self._not_before = error, now + error.retry_after
            raise
        life = token.expires_at - token.issued_at
        share = random.uniform(*REFRESH_AT)  # noqa: S311 - spreads load, no secret
        self._held, self._refused = Held(token, token.issued_at + life * share), None
        await self._issuer.keep(self._held)
        return self._held


def again(error: RemoteError, left: float) -> RemoteError:
    """The same refusal, ``left`` seconds before its end; this time nothing was sent."""
    return RemoteError(
        error.service,
        error.operation,
        error.error_class,
        error.reason,
        error.message,
        advice=error.advice,
        status=error.status,
        code=error.code,
        retry_after=left,
        maybe_applied=False,
    )
