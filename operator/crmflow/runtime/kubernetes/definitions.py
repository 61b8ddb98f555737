"""The kinds as the API server declares them, held against what this version knows.

Kinds and operator are upgraded by different hands and not in the same moment: with ``crds.enabled=false``, by
a rollback, or because Helm's own CRDs are never upgraded. Under older definitions the API server drops new
fields of a spec in silence and refuses a whole status for one new field; under newer ones it accepts fields
that this version does not follow. Both are said; what an older definition lacks is left out of the status.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from crmflow.api.kinds import Kind
from crmflow.clock import Clock
from crmflow.observability.metrics import Metrics
from crmflow.runtime.kubernetes.client import Kubernetes
from crmflow.runtime.kubernetes.errors import KubernetesError
from crmflow.sentences import some

log = logging.getLogger("crmflow.definitions")

LOOK_SECONDS = 300.0

Paths = frozenset[tuple[str, ...]]
"""Fields, each by the names that lead to it; what is in a list has the path of the list."""


class Definitions:
    """What of our kinds the API server declares, looked at again and again."""

    def __init__(self, kubernetes: Kubernetes, kinds: Sequence[Kind], clock: Clock, metrics: Metrics) -> None:
        self._kubernetes = kubernetes
        self._kinds = kinds
        self._clock = clock
        self._metrics = metrics
        self._missing: dict[str, Paths] = {}
        self._said: dict[str, tuple[Paths, Paths]] = {}

    async def run(self) -> None:
        """Look for ever."""
        while True:
            await self._clock.sleep(LOOK_SECONDS)
            await self.look()

    async def look(self) -> None:
        """Compare once, and say what is new; an API server that does not tell is asked the next time."""
        try:
            served = await self._kubernetes.served_schemas()
        except KubernetesError as error:
            log.debug("the schemas of the kinds can't be read: %s", error)
            return
        for kind in self._kinds:
            if kind.kind in served:
                self._compare(kind, served[kind.kind])

    def declared(self, kind: Kind, status: Mapping[str, Any]) -> dict[str, Any]:
        """The part of a status that the API server's definition has fields for."""
        missing = self._missing.get(kind.kind)
        return _without(status, missing, ("status",)) if missing else dict(status)

    def _compare(self, kind: Kind, schema: Mapping[str, Any]) -> None:
        known, open_ = known_fields(kind), frozenset(_open(schema, ()))
        there = served_fields(schema)
        unknown = there - known
        missing = frozenset(path for path in known - there if not _is_below(path, open_))
        self._missing[kind.kind] = missing
        self._metrics.definition_differences.labels(kind.kind, "missing").set(len(missing))
        self._metrics.definition_differences.labels(kind.kind, "unknown").set(len(unknown))
        before = self._said.get(kind.kind, (Paths(), Paths()))
        if (missing, unknown) == before:
            return
        self._said[kind.kind] = missing, unknown
        if missing:
            log.warning(
                "The CustomResourceDefinition %s is older than this operator: it lacks %s. What it lacks has "
                "no effect in a spec and is left out of status. Apply the definitions of this version",
                kind.crd_name,
                _some(missing),
            )
        if unknown:
            log.warning(
                "The CustomResourceDefinition %s is newer than this operator, which does not follow %s. "
                "Upgrade the operator, or apply the definitions of this version",
                kind.crd_name,
                _some(unknown),
            )
        if not missing and not unknown:
            log.info("The CustomResourceDefinition %s is that of this version again", kind.crd_name)


def known_fields(kind: Kind) -> Paths:
    """The fields of spec and status that this version reads or writes."""
    schemas = {"spec": kind.spec.model_json_schema(), "status": kind.status.model_json_schema()}
    return frozenset(
        path for part, schema in schemas.items() for path in _walk(schema, schema.get("$defs", {}), (part,))
    )


def served_fields(schema: Mapping[str, Any]) -> Paths:
    """The fields of spec and status that a definition on the API server has."""
    return frozenset(
        path for path in _walk(schema, {}, ()) if len(path) > 1 and path[0] in ("spec", "status")
    )


def _walk(
    schema: Mapping[str, Any], definitions: Mapping[str, Any], path: tuple[str, ...]
) -> Iterator[tuple[str, ...]]:
    """The fields of a JSON schema, at every depth."""
    if "$ref" in schema:
        yield from _walk(definitions.get(schema["$ref"].rpartition("/")[2], {}), definitions, path)
    for choice in (*schema.get("anyOf", ()), *schema.get("allOf", ())):
        yield from _walk(choice, definitions, path)
    if isinstance(schema.get("items"), Mapping):
        yield from _walk(schema["items"], definitions, path)
    for name, inner in schema.get("properties", {}).items():
        yield (*path, name)
        yield from _walk(inner, definitions, (*path, name))


def _open(schema: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """The fields of a served schema below which the API server keeps whatever it is given."""
    if schema.get("x-kubernetes-preserve-unknown-fields"):
        yield path
    for name, inner in schema.get("properties", {}).items():
        yield from _open(inner, (*path, name))
    if isinstance(schema.get("items"), Mapping):
        yield from _open(schema["items"], path)


def _is_below(path: tuple[str, ...], others: Paths) -> bool:
    return any(path[:length] in others for length in range(len(path)))


def _without(value: Any, missing: Paths, path: tuple[str, ...]) -> Any:
    if isinstance(value, Mapping):
        return {
            name: _without(inner, missing, (*path, name))
            for name, inner in value.items()
            if (*path, name) not in missing
        }
    if isinstance(value, list):
        return [_without(item, missing, path) for item in value]
    return value


def _some(paths: Paths) -> str:
    """The outermost of them, by name."""
    return some(sorted(".".join(path) for path in paths if path[:-1] not in paths))
