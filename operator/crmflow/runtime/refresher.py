"""Keeps Zoho's tokens fresh without anybody asking, and has the connections give them to Platform."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from crmflow.api.kinds import ZOHO_SOURCE_CONNECTION
from crmflow.api.zohosourceconnection import TokenPush
from crmflow.clock import Clock
from crmflow.reconcile.decide import Priority
from crmflow.runtime.cache import ObjectCache
from crmflow.runtime.keys import Key
from crmflow.runtime.queue import WorkQueue
from crmflow.runtime.zoho_access import ZohoCredential
from crmflow.transport.errors import ErrorClass, RemoteError

log = logging.getLogger("crmflow.tokens")

PUSH_SPREAD = 0.1
"""The part of a token's life over which those who share it give it to their base connections."""
RETRY_SECONDS = 60.0
REFUSED_RETRY_SECONDS = 3600.0
SWEEP_SECONDS = 3600.0


class Credentials(Protocol):
    """The credentials that are in use."""

    def zoho_in_use(self) -> Mapping[ZohoCredential, Sequence[str]]: ...
    async def sweep(self, exists: Callable[[str], bool]) -> None: ...


class TokenRefresher:
    """Renews each Zoho token when its time has come, as long as a connection uses it that is not paused."""

    def __init__(self, clock: Clock, cache: ObjectCache, queue: WorkQueue) -> None:
        self._clock = clock
        self._cache = cache
        self._queue = queue
        self._jitter = random.Random()  # noqa: S311 - spreads load, no secret
        self._news = asyncio.Event()
        self._not_before: dict[ZohoCredential, float] = {}

    def used(self) -> None:
        """A connection has begun to use a credential."""
        self._news.set()

    def renewed(self, holders: Sequence[str], life: float) -> None:
        """``holders`` have a new token, which lives for ``life`` seconds: each gives it to its base
        connection, not all at once.
        """
        now = self._clock.now()
        for key in map(_key, holders):
            if self._pushes(key):
                at = now + self._jitter.uniform(0, PUSH_SPREAD * life)
                self._queue.bring_forward(key, at, Priority.POLL)
        self._news.set()

    async def run(self, credentials: Credentials) -> None:
        """Renew tokens for ever."""
        sweep_at = self._clock.now() + SWEEP_SECONDS
        while True:
            self._news.clear()
            in_use = {
                credential: holders
                for credential, holders in credentials.zoho_in_use().items()
                if any(self._is_active(_key(holder)) for holder in holders)
            }
            await asyncio.gather(*(self._renew(*item) for item in in_use.items() if self._is_due(item[0])))
            if self._clock.now() >= sweep_at:
                await self._sweep(credentials)
                sweep_at = self._clock.now() + SWEEP_SECONDS
            await self._clock.wait(self._news, min([sweep_at, *map(self._due_at, in_use)]))

    def _due_at(self, credential: ZohoCredential) -> float:
        return max(credential.token.refresh_at or 0.0, self._not_before.get(credential, 0.0))

    def _is_due(self, credential: ZohoCredential) -> bool:
        return self._due_at(credential) <= self._clock.now()

    async def _renew(self, credential: ZohoCredential, holders: Sequence[str]) -> None:
        pause = RETRY_SECONDS
        try:
            await credential.token.get()
        except RemoteError as error:
            log.warning("a Zoho token was not renewed: %s", error)
            pause = max(pause, error.retry_after or 0.0)
            if error.error_class is not ErrorClass.TRANSIENT:
                pause = REFUSED_RETRY_SECONDS
                for holder in holders:  # to say so
                    self._queue.add(_key(holder), Priority.RETRY)
        except Exception:
            log.exception("a Zoho token was not renewed")
        self._not_before[credential] = self._clock.now() + pause

    async def _sweep(self, credentials: Credentials) -> None:
        try:
            await credentials.sweep(lambda holder: self._cache.get(_key(holder)) is not None)
        except RemoteError as error:
            log.warning("the token store was not tidied: %s", error)

    def _is_active(self, key: Key) -> bool:
        obj = self._cache.get(key)
        return (
            obj is not None and not obj["spec"].get("paused") and "deletionTimestamp" not in obj["metadata"]
        )

    def _pushes(self, key: Key) -> bool:
        obj = self._cache.get(key)
        spec = obj["spec"] if obj is not None else {}
        return self._is_active(key) and spec.get("tokenPush", TokenPush.ON_REFRESH) == TokenPush.ON_REFRESH


def _key(holder: str) -> Key:
    return Key(ZOHO_SOURCE_CONNECTION.kind, *holder.split("/", 1))
