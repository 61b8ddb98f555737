"""What the resources tell for the metrics, read when somebody scrapes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from crmflow.observability.resource_metrics import CONDITION, Measurement
from crmflow.reconcile.core.conditions import FALSE, READY, RECONCILING, STALLED, TRUE
from crmflow.runtime.controller.cache import ObjectCache
from crmflow.runtime.controller.keys import Key
from crmflow.runtime.controller.resource import Resource

Version = tuple[str, int]


@dataclass(eq=False)
class ResourceReadings:
    """Reads the cache; only what has changed since the last scrape is decoded. A resource that is left to
    another installation is that one's to tell of.
    """

    _cache: ObjectCache
    _leaves: Callable[[Key], bool]
    _known: dict[Key, tuple[Version, list[Measurement]]] = field(default_factory=dict, init=False)

    def __call__(self) -> Iterator[tuple[tuple[str, str], list[Measurement]]]:
        """Namespace and name of each resource, with what it tells."""
        keys = self._cache.keys()
        self._known = {key: known for key in keys if (known := self._read(key)) is not None}
        for key, (_, readings) in self._known.items():
            if not self._leaves(key):
                yield (key.namespace, key.name), readings

    def _read(self, key: Key) -> tuple[Version, list[Measurement]] | None:
        version, known = self._cache.version(key), self._known.get(key)
        if version is None or (known is not None and known[0] == version):
            return known if version is not None else None
        resource = self._cache.get(key)
        return None if resource is None else (version, _readings(resource))


def _readings(resource: Resource) -> list[Measurement]:
    kind = resource.kind
    conditions = resource.conditions.of(kind.conditions)
    told = [
        Measurement(CONDITION, 1.0, (kind.name, condition.type, condition.status, condition.reason))
        for condition in conditions
        if condition.type == READY or condition.status == _ADVERSE.get(condition.type, FALSE)
    ]
    return [*told, *kind.readings(resource.spec, resource.status)]


_ADVERSE = {RECONCILING: TRUE, STALLED: TRUE}
"""Where it is not False."""
