"""kopf watches our kinds; each change goes into the cache and, if it matters, a key into the queue.

kopf is given nothing else to do: no handler of it writes on an object, keeps state in annotations or retries.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import threading
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import kopf

from crmflow.api.kinds import GROUP, VERSION
from crmflow.reconcile.core.decide import Priority
from crmflow.reconcile.core.kind import ManagedKind
from crmflow.runtime.controller.cache import ObjectCache
from crmflow.runtime.controller.keys import Key, ReconcileRequest
from crmflow.runtime.controller.queue import WorkQueue
from crmflow.runtime.kubernetes.api_server import ApiServer

log = logging.getLogger("crmflow.watch")

END_SECONDS = 10.0
"""kopf ends in a fraction of a second; once it was seen not to end at all, and is left behind then."""

T = TypeVar("T")


@dataclass
class ResourceEventHandler:
    """Takes in what becomes known of our resources, and wakes whoever it concerns."""

    cache: ObjectCache
    queue: WorkQueue
    recheck: Callable[[Key], None]
    """Has the next pass of a resource compare everything."""
    forget: Callable[[Key], None]
    """Is told of a resource that is gone."""

    def seen(self, obj: dict[str, Any]) -> None:
        """An object from a listing, a watch, or the answer to an own write."""
        metadata = obj["metadata"]
        if "deletionTimestamp" in metadata and not metadata.get("finalizers"):
            # Our own answer to dropping the last finalizer. The watch may have told of the end before:
            # keeping it would bring the object back for good.
            self.gone(obj)
            return
        if not self.cache.lacks(obj):
            return
        key = Key.of(obj)
        before = self._ties(key)
        change = self.cache.put(obj)
        if change.asks_for_attention:
            self.recheck(key)
            self.queue.add(key, Priority.NEW if change.is_unserved else Priority.CHANGE)
        elif change.is_new:
            self.queue.add(key, Priority.FIRST_SIGHT)
        if change.concerns_dependents:
            self._wake([*self.cache.referrers(*key), *self.cache.rivals(key)])
        if change.concerns_what_it_uses:
            self._wake(self.cache.uses(key))
        self._wake(before - self._ties(key))

    def gone(self, obj: dict[str, Any]) -> None:
        """An object was deleted: what it used may be waiting for that, and what used it is to say so."""
        key = Key.of(obj)
        before = self._ties(key)
        self.cache.remove(key, obj["metadata"]["uid"])
        if key not in self.cache:  # else it has a successor of the same name already
            self.forget(key)
        self._wake([*self.cache.referrers(*key), *(before - self._ties(key))])

    def _ties(self, key: Key) -> set[Key]:
        """Who may be waiting for the resource to go or to turn elsewhere: what it uses, and who wants the
        same remote object.
        """
        return {*self.cache.uses(key), *self.cache.rivals(key)}

    def recheck_all(self, namespace: str | None = None) -> None:
        """Something has changed that may allow or refuse anybody in a namespace, or in all."""
        self._recheck_and_wake(self.cache.keys(namespace))

    def secret_changed(self, namespace: str, name: str) -> None:
        """A Secret appeared, changed or went."""
        self._recheck_and_wake(self.cache.referrers("Secret", namespace, name))

    def listed(self, request: ReconcileRequest) -> None:
        """A listing shows something new about a resource's remote objects."""
        if request.recheck:
            self.recheck(request.key)
        self.queue.add(request.key, Priority.POLL)

    def settled(self, key: Key) -> None:
        """A listing shows that what was created for the resource has settled."""
        self.queue.add(key, Priority.BEGUN)

    def _recheck_and_wake(self, keys: Iterable[Key]) -> None:
        keys = list(keys)
        for key in keys:
            self.recheck(key)
        self._wake(keys)

    def _wake(self, keys: Iterable[Key]) -> None:
        for key in keys:
            self.queue.add(key, Priority.CHANGE if self.cache.is_deleting(key) else Priority.WOKEN)


@dataclass
class Watch:
    """kopf's watch of one namespace, or of all: it reports to the handler until it fails or is stopped.

    It runs in a thread with an event loop of its own. kopf takes every task of its loop that is newer than it
    for its own, and cancels it at its end: in a loop that it shared, one watch that ends would take passes in
    flight and the watches of other namespaces along.
    """

    api_server: ApiServer
    kinds: Sequence[ManagedKind]
    handler: ResourceEventHandler

    async def run(self, namespace: str | None) -> None:
        """Watch for ever. Raises what ends kopf, such as a right that is missing."""
        loop = asyncio.get_running_loop()
        stop: concurrent.futures.Future[None] = concurrent.futures.Future()
        ended: concurrent.futures.Future[None] = concurrent.futures.Future()

        def thread() -> None:
            try:
                with suppress(asyncio.CancelledError):
                    asyncio.run(self._operator(namespace, loop, stop))
            except BaseException as error:
                ended.set_exception(error)
            else:
                ended.set_result(None)

        # A daemon: a watch that does not end does not hold the process up.
        threading.Thread(target=thread, name=f"watch {namespace or 'all namespaces'}", daemon=True).start()
        end = asyncio.wrap_future(ended)
        try:
            await asyncio.shield(end)
        except asyncio.CancelledError:
            stop.set_result(None)
            await asyncio.wait([end], timeout=END_SECONDS)
            if end.done() and not end.cancelled():
                end.exception()  # nobody asks for it any more
            raise

    async def _operator(
        self,
        namespace: str | None,
        loop: asyncio.AbstractEventLoop,
        stop: concurrent.futures.Future[None],
    ) -> None:
        """kopf, in its own loop. Whatever is ours runs in ``loop``."""
        registry = kopf.OperatorRegistry()
        settings = kopf.OperatorSettings()
        settings.scanning.disabled = True  # the kinds are known to be served before this is called
        settings.posting.enabled = False
        settings.watching.chunk_size = 500
        settings.queueing.idle_timeout = 0.2
        settings.process.ultimate_exiting_timeout = None

        async def ours(task: Coroutine[Any, Any, T]) -> T:
            return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(task, loop))

        @kopf.on.login(registry=registry)
        async def login(**_: Any) -> kopf.ConnectionInfo:
            return await ours(self.api_server.connection_info())

        async def take_in(gone: bool, obj: dict[str, Any]) -> None:
            (self.handler.gone if gone else self.handler.seen)(obj)

        async def changed(event: Mapping[str, Any], **_: Any) -> None:
            await ours(take_in(event["type"] == "DELETED", dict(event["object"])))

        for kind in self.kinds:
            kopf.on.event(GROUP, VERSION, kind.api.plural, registry=registry)(changed)
        watching = asyncio.ensure_future(
            kopf.operator(
                registry=registry,
                settings=settings,
                standalone=True,
                clusterwide=namespace is None,
                namespaces=(namespace,) if namespace else (),
            )
        )
        own_loop = asyncio.get_running_loop()

        def cancel(_: object) -> None:
            with suppress(RuntimeError):  # it has ended by itself meanwhile
                own_loop.call_soon_threadsafe(watching.cancel)

        # Cancelled, since a stop flag has kopf wait for its own tasks, up to five seconds.
        stop.add_done_callback(cancel)
        await watching
