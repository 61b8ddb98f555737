"""Keeps Zoho's tokens fresh without anybody asking, and has the connections give them to Platform."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from crmflow.clock import Clock
from crmflow.http.errors import ErrorClass, RemoteError
from crmflow.reconcile.core.conditions import STALLED
from crmflow.reconcile.core.decide import Priority
from crmflow.runtime.controller.cache import ObjectCache
from crmflow.runtime.controller.keys import Key
from crmflow.runtime.controller.queue import WorkQueue
from crmflow.runtime.credentials.registry import CredentialRegistry
from crmflow.runtime.credentials.zoho import ZohoCredential

log = logging.getLogger("crmflow.tokens")

PUSH_SPREAD = 0.1
"""The part of a token's life over which those who share it give it to their base connections."""
LOOK_SECONDS = 5.0
"""How soon a credential that has come into use, or a token that a pass was given, is noticed."""
RETRY_SECONDS = 60.0
REFUSED_RETRY_SECONDS = 3600.0
SWEEP_SECONDS = 3600.0
FLUSH_SECONDS = 30.0
"""How often the token store is given what was noted since."""
LAST_FLUSH_SECONDS = 2.0
"""How long the end of the process waits for the token store to take the rest."""


@dataclass(eq=False)
class TokenRefresher:
    """Renews each Zoho token when its time has come, as long as a connection uses it that is not paused. It
    asks the registry what is in use and when the next token is due, every few seconds.
    """

    _clock: Clock
    _cache: ObjectCache
    _queue: WorkQueue
    key_of: Callable[[str], Key]
    """The key of a connection that is called ``namespace/name``."""
    recheck: Callable[[Key], None]
    """Has the next pass compare everything."""
    sees: Callable[[str], bool]
    """Whether the connections of a namespace are known."""
    is_served_elsewhere: Callable[[Key], bool]
    """True of those that another installation serves."""

    async def run(self, credentials: CredentialRegistry) -> None:
        """Renew tokens, and have the token store written, for ever."""
        try:
            await self._run(credentials)
        finally:  # a successor is to know what was noted last
            with suppress(TimeoutError):
                async with asyncio.timeout(LAST_FLUSH_SECONDS):
                    await self._attempt(credentials.flush(), "written")

    async def _run(self, credentials: CredentialRegistry) -> None:
        sweep_at, flush_at = self._clock.now() + SWEEP_SECONDS, 0.0
        while True:
            next_look = await self._renew_due(credentials.zoho_in_use())
            if self._clock.now() >= sweep_at:
                sweep = credentials.sweep(lambda connection: self._may_exist(self.key_of(connection)))
                await self._attempt(sweep, "tidied")
                sweep_at = self._clock.now() + SWEEP_SECONDS
            if self._clock.now() >= flush_at:
                succeeded = await self._attempt(credentials.flush(), "written")
                flush_at = self._clock.now() + (FLUSH_SECONDS if succeeded else RETRY_SECONDS)
            # No credential is kept while this sleeps: it may go out of use.
            await self._clock.sleep_until(min(next_look, sweep_at))

    async def _renew_due(self, in_use: Sequence[ZohoCredential]) -> float:
        """Renew the tokens that are due, and announce those that passes were given; when to look again."""
        for credential in in_use:
            self._announce(credential)
        active = [each for each in in_use if any(map(self._is_active, self._users(each)))]
        now = self._clock.now()
        await asyncio.gather(*(self._renew(each) for each in active if _due_at(each) <= now))
        return min([self._clock.now() + LOOK_SECONDS, *map(_due_at, active)])

    async def _renew(self, credential: ZohoCredential) -> None:
        pause = RETRY_SECONDS
        try:
            await credential.token.get()
        except RemoteError as error:
            log.warning("a Zoho token was not renewed: %s", error)
            pause = max(pause, error.retry_after or 0.0)
            if error.error_class is not ErrorClass.TRANSIENT:
                pause = REFUSED_RETRY_SECONDS
                for key in filter(self._is_active, self._users(credential)):  # so that they say it
                    self.recheck(key)
                    self._queue.add(key, Priority.RETRY)
        except Exception:
            log.exception("a Zoho token was not renewed")
        credential.renewal.pause_until = self._clock.now() + pause
        credential.renewal.paused_with = credential.token.refresh_at
        self._announce(credential)

    def _announce(self, credential: ZohoCredential) -> None:
        """Have those who use a new token give it to their base connections, not all at once. Who is stalled
        may have waited for just this.
        """
        token, renewal = credential.token, credential.renewal
        if renewal.announced == token.renewals:
            return
        renewal.announced = token.renewals
        now, spread = self._clock.now(), PUSH_SPREAD * token.lifetime
        for key in self._users(credential):
            resource = self._cache.get(key) if self._is_active(key) else None
            if resource is None:
                continue
            if resource.conditions.is_true(STALLED):
                self._queue.add(key, Priority.RETRY)
            elif resource.kind.takes_new_tokens(resource.spec):
                share = random.random()  # noqa: S311 - spreads load, no secret
                self._queue.bring_forward(key, now + share * spread, Priority.POLL)

    async def _attempt(self, work: Awaitable[None], what: str) -> bool:
        """Whether work on the token store succeeded."""
        try:
            await work
        except RemoteError as error:
            log.warning("the token store was not %s: %s", what, error)
        except Exception:
            log.exception("the token store was not %s", what)
        else:
            return True
        return False

    def _may_exist(self, key: Key) -> bool:
        """Who can't be seen may still need its token, be it to be deleted; and so do the dataflows of a
        connection that went first.
        """
        return key in self._cache or bool(self._cache.referrers(*key)) or not self.sees(key.namespace)

    def _users(self, credential: ZohoCredential) -> Iterator[Key]:
        return map(self.key_of, tuple(credential.used_by))

    def _is_active(self, key: Key) -> bool:
        return (
            key in self._cache
            and not self._cache.is_paused(key)
            and not self._cache.is_deleting(key)
            and not self.is_served_elsewhere(key)
        )


def _due_at(credential: ZohoCredential) -> float:
    """When the next token is asked for: at once, if there is none."""
    refresh_at, renewal = credential.token.refresh_at, credential.renewal
    paused_until = renewal.pause_until if renewal.paused_with == refresh_at else 0.0
    return max(refresh_at or 0.0, paused_until)
