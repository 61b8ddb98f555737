"""Taking stock: everything is known before anything is decided."""

from __future__ import annotations

from collections.abc import Sequence

from crmflow.reconcile.kind import Reconciler
from crmflow.runtime.cache import ObjectCache
from crmflow.runtime.keys import Key
from crmflow.runtime.kube import Kubernetes, NotFoundError
from crmflow.runtime.secrets import SecretWatch
from crmflow.runtime.watch import Observer


class Stock:
    """Both kinds and the Secrets of the served namespaces, listed. A connection that is not known yet would
    look as if it were missing; and what a replica that stood by has not heard of yet, it would overwrite.
    """

    def __init__(
        self,
        kubernetes: Kubernetes,
        reconcilers: Sequence[Reconciler],
        namespaces: Sequence[str],
        cache: ObjectCache,
        observer: Observer,
        watches: Sequence[SecretWatch],
    ) -> None:
        self._kubernetes = kubernetes
        self._reconcilers = reconcilers
        self._namespaces = namespaces or (None,)
        self._cache = cache
        self._observer = observer
        self._watches = watches

    async def take(self) -> None:
        """List everything, and drop what is gone. Raises KubernetesError."""
        for reconciler in self._reconcilers:
            known = set(self._cache.keys())
            listed = set()
            for namespace in self._namespaces:
                async for obj in self._kubernetes.list_objects(reconciler.kind, namespace):
                    self._observer.seen(obj)
                    listed.add(Key.of(obj))
            for key in known - listed:
                if key.kind == reconciler.kind.kind:
                    await self._drop_if_gone(reconciler, key)
        for watch in self._watches:
            await watch.list()

    async def _drop_if_gone(self, reconciler: Reconciler, key: Key) -> None:
        """A watch that was interrupted does not tell of what was deleted meanwhile. What was made anew during
        the listing may be missing there all the same, so it is read.
        """
        obj = self._cache.get(key)
        try:
            await self._kubernetes.get(reconciler.kind, key.namespace, key.name)
        except NotFoundError:
            if obj is not None:
                self._observer.gone(obj)
