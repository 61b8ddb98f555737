"""The initial sync: everything is listed before anything is decided."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from crmflow.reconcile.core.kind import ManagedKind
from crmflow.runtime.controller.cache import ObjectCache
from crmflow.runtime.controller.keys import Key
from crmflow.runtime.controller.secrets import SecretWatch
from crmflow.runtime.controller.served_namespaces import Operation, ServedNamespaces, is_refusal
from crmflow.runtime.controller.watch import ResourceEventHandler
from crmflow.runtime.kubernetes.client import Kubernetes
from crmflow.runtime.kubernetes.errors import KubernetesError, NotFoundError

log = logging.getLogger("crmflow.initial_sync")


@dataclass
class InitialSync:
    """Lists all kinds and the Secrets of the served namespaces. Without that, a connection that is not known
    yet would count as missing, and a new leader would overwrite what it has not heard of yet.
    """

    kubernetes: Kubernetes
    kinds: Sequence[ManagedKind]
    served: ServedNamespaces
    cache: ObjectCache
    handler: ResourceEventHandler
    watches: Mapping[str | None, SecretWatch]
    further: Sequence[Callable[[], Awaitable[None]]] = ()
    """What else is listed, outside of the served namespaces; each may raise KubernetesError."""

    async def run(self) -> None:
        """List everything that can be listed, and drop what is gone. Raises KubernetesError if the API server
        can't be asked; that it refuses one namespace is noted.
        """
        for namespace in self.served.names:
            await self.sync_namespace(namespace)
        for listing in self.further:
            await listing()

    async def sync_namespace(self, namespace: str | None) -> bool:
        """The same for one of the namespaces, or for all if they are served as one; False if its resources
        may not be listed. Raises KubernetesError likewise.
        """
        if not await self.may_list(namespace):
            return False
        for kind in self.kinds:
            await self._list(kind, namespace)
        try:
            await self.watches[namespace].list()
        except KubernetesError as error:
            if not is_refusal(error):  # else the watch has noted it
                raise
        return True

    async def may_list(self, namespace: str | None) -> bool:
        """Ask for one resource of each kind, and note whether that is allowed: a dataflow must not become
        known where its connection can't. Raises KubernetesError if the API server can't be asked.
        """
        try:
            for kind in self.kinds:
                await self.kubernetes.list_one(kind.api, namespace)
        except KubernetesError as error:
            if not is_refusal(error):
                raise
            self.served.note_refused(namespace, Operation.LIST, error)
            return False
        self.served.note_allowed(namespace, Operation.LIST)
        return True

    async def _list(self, kind: ManagedKind, namespace: str | None) -> None:
        known = {key for key in self.cache.keys(namespace) if key.kind == kind.name}
        listed = set()
        async for obj in self.kubernetes.list_objects(kind.api, namespace):
            listed.add(Key.of(obj))
            self._take_in(obj)
        for key in known - listed:
            await self._drop_if_gone(kind, key)

    def _take_in(self, obj: dict[str, Any]) -> None:
        """One object that can't be read, such as one whose status somebody else wrote, is left out."""
        try:
            self.handler.seen(obj)
        except Exception:
            log.exception("an object of a listing can't be read", extra={"object": str(Key.of(obj))})

    async def _drop_if_gone(self, kind: ManagedKind, key: Key) -> None:
        """A watch that was interrupted does not tell of what was deleted meanwhile. What was made anew during
        the listing may be missing there all the same, so it is read.
        """
        resource = self.cache.get(key)
        try:
            await self.kubernetes.get(kind.api, key.namespace, key.name)
        except NotFoundError:
            if resource is not None:
                self.handler.gone(resource.raw)
