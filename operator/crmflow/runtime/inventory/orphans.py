"""Remote objects of this installation for which the cluster has no resource: reported, never collected."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from crmflow.aep.models import Listed
from crmflow.observability.events import Event, EventType
from crmflow.reconcile.core.kind import ManagedKind
from crmflow.reconcile.core.ownership import key_in
from crmflow.reconcile.external.identity import Identity
from crmflow.runtime.controller.cache import ObjectCache
from crmflow.runtime.inventory.polled_sandbox import PolledSandbox
from crmflow.runtime.kubernetes.events import EventRecorder

log = logging.getLogger("crmflow.inventory")


@dataclass(eq=False)
class OrphanReporter:
    """Finds orphans among what no resource of a scope owns, and reports each once."""

    _instance: str
    _cache: ObjectCache
    _kinds: Mapping[str, ManagedKind]
    _events: EventRecorder
    _all_are_seen: Callable[[], bool]
    """False while there may be resources that the operator can't see."""

    def find(self, unowned: Sequence[Listed]) -> list[Listed]:
        """Those that no resource of the cluster stands for. A resource may reach the sandbox with another
        credential, or may not have reached it since the start, as while it is paused. Nothing is called an
        orphan while its resource may be one that can't be seen.
        """
        if not unowned or not self._all_are_seen():
            return []
        resources = self._cache.keys()
        lookup_keys = {
            Identity(self._instance, *key, uid="").key(slot)
            for key in resources
            if not self._cache.adopts(key)
            for slot in self._kinds[key.kind].collections
        }
        return [
            item
            for item in unowned
            if key_in(item.name) not in lookup_keys and self._cache.owner(item.id) is None
        ]

    def report(self, sandbox: PolledSandbox, orphans: Sequence[Listed]) -> None:
        """Write an event for each orphan that the poll before did not find, on a connection of its sandbox:
        only a person removes them.
        """
        news = [item for item in orphans if item.id not in sandbox.reported_orphans]
        sandbox.reported_orphans = frozenset(item.id for item in orphans)
        connection = min(sandbox.members.connections(), default=None)
        resource = self._cache.get(connection) if connection else None
        for item in news:
            note = (
                f"{item.id} in sandbox {sandbox.scope.sandbox} carries this installation's key "
                f"({item.name}), and no resource of the cluster stands for it. Delete it in Platform, or "
                "create the resource again."
            )
            log.warning("orphan: %s", note)
            if resource is not None:
                self._events.record(resource.raw, Event(EventType.WARNING, "OrphanFound", "Poll", note))
