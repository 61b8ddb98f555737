"""Polls the sandboxes that are in use, and has those reconciled whom the result concerns."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from crmflow.clock import Clock
from crmflow.http.errors import RemoteError
from crmflow.observability import call_counter
from crmflow.observability.metrics import Metrics
from crmflow.reconcile.core.conditions import READY, STALLED, Conditions
from crmflow.reconcile.core.outcome import is_refusal
from crmflow.runtime.controller.cache import ObjectCache
from crmflow.runtime.controller.keys import ReconcileRequest
from crmflow.runtime.inventory.orphans import OrphanReporter
from crmflow.runtime.inventory.polled_sandbox import JITTER, Installation, PolledSandbox, Scope

log = logging.getLogger("crmflow.inventory")


@dataclass(eq=False)
class Poller:
    """Lists each sandbox once per interval, a little early at random. A sandbox that takes its time keeps no
    other waiting.
    """

    _installation: Installation
    _clock: Clock
    _cache: ObjectCache
    _orphans: OrphanReporter
    _metrics: Metrics
    _request: Callable[[ReconcileRequest], None]
    """Has a resource reconciled."""
    _measured: set[Scope] = field(default_factory=set)

    async def run(self, in_use: Callable[[], Sequence[PolledSandbox]]) -> None:
        """Poll for ever what ``in_use`` gives at the time."""
        async with asyncio.TaskGroup() as polls:
            while True:
                # Nothing of a sandbox is kept while this sleeps: it may go out of use.
                await self._clock.sleep_until(self._begin_polls(in_use(), polls))

    def _begin_polls(self, sandboxes: Sequence[PolledSandbox], polls: asyncio.TaskGroup) -> float:
        """Begin the polls that are due; when the next one may be."""
        now = self._clock.now()
        self._forget_metrics(self._measured - {sandbox.scope for sandbox in sandboxes})
        for sandbox in sandboxes:
            if sandbox.poll_at <= now:
                sandbox.poll_at = self._installation.next_poll(now)
                if not sandbox.is_being_polled and self._may_be_polled(sandbox):
                    sandbox.is_being_polled = True
                    polls.create_task(self._poll(sandbox))
        # One that comes into use meanwhile is polled no sooner than this.
        latest = now + self._installation.poll_interval * (1 - JITTER)
        return min([latest, *(sandbox.poll_at for sandbox in sandboxes)])

    def _has_connections(self, sandbox: PolledSandbox) -> bool:
        """True if a connection is there for which the sandbox is polled."""
        return any(connection in self._cache for connection in sandbox.members.connections())

    def _may_be_polled(self, sandbox: PolledSandbox) -> bool:
        """False without a connection, and while everything that a listing could wake is paused, and so
        nothing may be read.
        """
        if not self._has_connections(sandbox):
            self._forget_metrics({sandbox.scope} & self._measured)
            return False
        return not all(self._cache.is_paused(key) for key in sandbox.members)

    async def _poll(self, sandbox: PolledSandbox) -> None:
        name = sandbox.scope.sandbox
        try:
            await self._list(sandbox)
        except RemoteError as error:
            log.warning("the listing of sandbox %s failed and is discarded: %s", name, error)
            self._metrics.poll_failures.inc()
            if is_refusal(error):
                self._refused(sandbox, error.reason)
        except Exception:  # what is wrong with one sandbox must not end the polls of all
            log.exception("polling sandbox %s failed", name)
            self._metrics.poll_failures.inc()
        finally:
            sandbox.is_being_polled = False

    async def _list(self, sandbox: PolledSandbox) -> None:
        with call_counter.counting() as calls:
            changes = await sandbox.inventory.poll()
        if not self._has_connections(sandbox):
            return  # out of use meanwhile
        self._answered(sandbox)
        for request in changes.requests:  # first, since a poll finds each change once
            self._request(request)
        orphans = self._orphans.find(changes.unowned)
        scope, metrics = sandbox.scope, self._metrics
        pages = sum(count for operation, count in calls.items() if operation.endswith(".list"))
        self._measured.add(scope)
        metrics.poll_calls.labels(*scope).set(calls.total())
        metrics.poll_pages.labels(*scope).set(pages)
        metrics.poll_wakes.labels(*scope).set(len(changes.requests))
        metrics.orphans.labels(*scope).set(len(orphans))
        self._orphans.report(sandbox, orphans)

    def _refused(self, sandbox: PolledSandbox, reason: str) -> None:
        """All who rely on the listing are reconciled, to say it by the condition that it belongs to; as long
        as the reason stays the same, later only those who are Ready all the same.
        """
        is_news = sandbox.refusal != reason
        sandbox.refusal = reason
        self._request_members(sandbox, lambda conditions: is_news or conditions.is_true(READY))

    def _answered(self, sandbox: PolledSandbox) -> None:
        """Who is stalled may be so because of a refusal that is over, and would be reconciled in an hour. A
        refused token that only a pass has met may not stand in its status yet, so all are reconciled then.
        """
        refused_tokens = sandbox.refused_tokens()
        token_was_refused = sandbox.known_refused_tokens != refused_tokens
        was_refused = sandbox.refusal is not None
        sandbox.known_refused_tokens, sandbox.refusal = refused_tokens, None
        if token_was_refused:
            self._request_members(sandbox, lambda _: True)
        elif was_refused:
            self._request_members(sandbox, lambda conditions: conditions.is_true(STALLED))

    def _request_members(self, sandbox: PolledSandbox, concerned: Callable[[Conditions], bool]) -> None:
        for key in sandbox.members:
            resource = self._cache.get(key)
            if resource is None or self._cache.is_paused(key) or self._cache.is_deleting(key):
                continue
            if concerned(resource.conditions):
                self._request(ReconcileRequest(key, recheck=False))

    def _forget_metrics(self, scopes: set[Scope]) -> None:
        for scope in scopes:
            for gauge in self._metrics.per_scope:
                with suppress(KeyError):  # another one failed before it was set
                    gauge.remove(*scope)
        self._measured -= scopes
