"""kopf watches our two kinds and handles signals; each change goes into the cache and, if it matters, a key
into the queue.

kopf is given nothing else to do: no handler of it writes on an object, keeps state in annotations or retries.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import kopf
from kubernetes.aio import client

from crmflow.api.kinds import GROUP, VERSION
from crmflow.reconcile.decide import Priority
from crmflow.reconcile.kind import Reconciler
from crmflow.runtime.cache import ObjectCache
from crmflow.runtime.claims import Finding
from crmflow.runtime.keys import Key
from crmflow.runtime.queue import WorkQueue

log = logging.getLogger("crmflow.watch")


class Observer:
    """Takes in what becomes known of our resources, and wakes whoever it concerns."""

    def __init__(
        self,
        cache: ObjectCache,
        queue: WorkQueue,
        reconcilers: Mapping[str, Reconciler],
        recheck: Callable[[Key], None],
        forget: Callable[[Key], None],
    ) -> None:
        self._cache = cache
        self._queue = queue
        self._reconcilers = reconcilers
        self._recheck = recheck
        self._forget = forget

    def seen(self, obj: dict[str, Any]) -> None:
        """An object from a listing, a watch, or the answer to an own write."""
        metadata = obj["metadata"]
        if "deletionTimestamp" in metadata and not metadata.get("finalizers"):
            # Our own answer to dropping the last finalizer. The watch may have told of the end before:
            # keeping it would bring the object back for good.
            self.gone(obj)
            return
        key = Key.of(obj)
        change = self._cache.put(obj)
        if change.asks_for_attention:
            self._recheck(key)
            self._queue.add(key, Priority.CHANGE)
        elif change.is_new:
            self._queue.add(key, Priority.FIRST_SIGHT)
        if change.concerns_dependents:
            self._wake([*self._cache.referrers(*key), *self._cache.rivals(key)])

    def gone(self, obj: dict[str, Any]) -> None:
        """An object was deleted: what it used may be waiting for that."""
        key = Key.of(obj)
        rivals = self._cache.rivals(key)
        references = self._cache.remove(key, obj["metadata"]["uid"])
        if self._cache.get(key) is None:  # else it has a successor of the same name already
            self._forget(key)
        self._wake(
            Key(kind, key.namespace, name)
            for kind, name in references
            if kind in self._reconcilers and self._cache.get(Key(kind, key.namespace, name))
        )
        self._wake(rivals)

    def secret_changed(self, namespace: str, name: str) -> None:
        """A Secret appeared, changed or went."""
        keys = self._cache.referrers("Secret", namespace, name)
        for key in keys:
            self._recheck(key)
        self._wake(keys)

    def tenancy_changed(self) -> None:
        """Another tenancy list is in force: it may allow or refuse anybody."""
        keys = self._cache.keys()
        for key in keys:
            self._recheck(key)
        self._wake(keys)

    def listed(self, finding: Finding) -> None:
        """A listing shows something new about a resource's remote objects."""
        if finding.recheck:
            self._recheck(finding.key)
        self._queue.add(finding.key, Priority.POLL)

    def _wake(self, keys: Any) -> None:
        for key in keys:
            self._queue.add(key, Priority.CHANGE)


async def watch(
    configuration: client.Configuration,
    reconcilers: Sequence[Reconciler],
    namespaces: Sequence[str],
    observer: Observer,
    stop: asyncio.Event,
    take_signals: Callable[[], None],
) -> None:
    """Watch until ``stop`` is set. Raises what ends kopf, such as a watch that can't go on.

    kopf would end at a signal, before the passes in flight have ended, so ``take_signals`` is called after it
    has taken them for itself.
    """
    registry = kopf.OperatorRegistry()
    settings = kopf.OperatorSettings()
    settings.scanning.disabled = True  # the kinds are known to be served before this is called
    settings.posting.enabled = False
    settings.watching.chunk_size = 500
    settings.queueing.idle_timeout = 0.2

    @kopf.on.login(registry=registry)
    async def login(**_: Any) -> kopf.ConnectionInfo:
        return await _connection_info(configuration)

    async def changed(event: Mapping[str, Any], **_: Any) -> None:
        obj = dict(event["object"])
        if event["type"] == "DELETED":
            observer.gone(obj)
        else:
            observer.seen(obj)

    for reconciler in reconcilers:
        kopf.on.event(GROUP, VERSION, reconciler.kind.plural, registry=registry)(changed)

    before = asyncio.all_tasks()  # kopf takes all later ones for its own, and cancels them at its end
    tasks = await kopf.spawn_tasks(
        registry=registry,
        settings=settings,
        standalone=True,
        clusterwide=not namespaces,
        namespaces=tuple(namespaces),
        stop_flag=stop,
    )
    take_signals()
    await kopf.run_tasks(tasks, ignored=before)


async def _connection_info(configuration: client.Configuration) -> kopf.ConnectionInfo:
    """kopf's credentials from the same configuration as ours; the token file is read anew each time."""
    if configuration.refresh_api_key_hook is not None:
        hooked = configuration.refresh_api_key_hook(configuration)
        if hooked is not None:
            await hooked
    scheme, _, token = configuration.api_key.get("BearerToken", "").rpartition(" ")
    return kopf.ConnectionInfo(
        server=configuration.host,
        ca_path=configuration.ssl_ca_cert,
        insecure=not configuration.verify_ssl,
        certificate_path=configuration.cert_file,
        private_key_path=configuration.key_file,
        scheme=scheme.capitalize() or None,
        token=token or None,
    )
