"""The operator's passes over a resource, one after the other, until nothing is left to do or something has to
be waited for that only the world outside can bring.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, cast

from crmflow.aep.models import Column, MappingSetRef
from crmflow.api.base import Transport
from crmflow.api.crmdataflow import CRMDataflowSpec, CRMDataflowStatus, PlanBudget, PlanStatus
from crmflow.api.kinds import APPROVE_PLAN
from crmflow.clock import SystemTime
from crmflow.observability.metrics import Metrics
from crmflow.preview.access import PlatformReader, PreviewAccess
from crmflow.preview.cluster import ClusterCopy
from crmflow.preview.notes import Notes, Write
from crmflow.preview.transfers import PreviewLedgers, PreviewTransfers, Written
from crmflow.reconcile.connection.kind import KIND as CONNECTION
from crmflow.reconcile.core.created_names import CreatedNames
from crmflow.reconcile.core.engine import Services
from crmflow.reconcile.core.kind import ManagedKind
from crmflow.reconcile.core.outcome import DONE, PAUSED, Outcome, OutcomeClass
from crmflow.reconcile.dataflow.budget import budget_of
from crmflow.reconcile.dataflow.kind import KIND as DATAFLOW
from crmflow.reconcile.dataflow.schedule import PROFILE_BATCHES_PER_DAY
from crmflow.reconcile.external.identity import mapping_set_name
from crmflow.reconcile.extraction.settings import ExtractionSettings
from crmflow.reconcile.ports import Secrets
from crmflow.reconcile.sources.ways import Sources
from crmflow.runtime.controller.installation import ServingInstallation
from crmflow.runtime.controller.keys import Key
from crmflow.runtime.controller.lister import CacheLister
from crmflow.runtime.controller.reconciliation import History, ReconcileContext, Reconciliation
from crmflow.runtime.controller.resource import Object, Resource
from crmflow.runtime.controller.status_writer import ObjectWriter
from crmflow.runtime.kubernetes.events import EventRecorder
from crmflow.settings import Settings

__all__ = ["PROFILE_BATCHES_PER_DAY", "NamespacePreview", "ResourcePreview"]

KINDS: Mapping[str, ManagedKind] = {kind.name: kind for kind in (CONNECTION, DATAFLOW)}
MOST_PASSES = 12
_GOES_ON = frozenset({OutcomeClass.DONE, OutcomeClass.WAITING, OutcomeClass.TRANSIENT})


_ENDS = frozenset({OutcomeClass.DONE, OutcomeClass.PAUSED, OutcomeClass.DEGRADED, OutcomeClass.COMPLETED})


@dataclass(frozen=True)
class ResourcePreview:
    """What would be done for one resource."""

    key: Key
    """Kind, namespace and name."""
    deleting: bool
    writes: tuple[Write, ...]
    """What is done without anybody's approval, in its order."""
    outcome: Outcome
    """Where it ends."""
    plan: PlanStatus | None = None
    """What replaces its flow, if only another flow can have what the spec says."""
    once_approved: tuple[Write, ...] = ()
    """What is done in addition once that is approved."""
    outcome_once_approved: Outcome = DONE
    assumptions: tuple[str, ...] = ()
    """What is taken for true that can't be asked yet, as sentences."""
    budget: PlanBudget | None = None
    """What the flow takes of the batches and credits of a day, once all is done."""
    profile_batches_of_sandbox: float = 0.0
    """Batches a day for Profile of all dataflows of the namespace in its sandbox, by then."""
    drift: str = ""
    """In what that which is only observed differs, as its condition says; empty for nothing."""
    is_new: bool = False
    is_asked_for: bool = True
    """False for a resource that is only concerned by the change of another one."""

    @property
    def has_changes(self) -> bool:
        """Whether anything is done, or waits to be approved."""
        return bool(self.writes or self.plan)

    @property
    def is_complete(self) -> bool:
        """Whether all that is to be done is known, and nothing stands in its way but an approval."""
        ends = (self.outcome, *([self.outcome_once_approved] if self.once_approved else []))
        return all(end.outcome_class in _ENDS or self._waits_for_approval(end) for end in ends)

    def _waits_for_approval(self, end: Outcome) -> bool:
        return self.plan is not None and end is self.outcome and end.reason == "ReplacementRequired"


@dataclass
class _Installation:
    """As much of an installation as a pass asks for."""

    name: str


@dataclass
class NamespacePreview:
    """A namespace, and what of it is changed here."""

    reader: PlatformReader
    secrets: Secrets
    instance: str
    objects: Iterable[Object]
    settings: Settings = field(default_factory=Settings)

    def __post_init__(self) -> None:
        clock, settings = self.reader.clock, self.settings
        now = clock.now
        self.notes = Notes()
        self.cluster = ClusterCopy(KINDS, self.objects, datetime.fromtimestamp(now(), UTC))
        self._written: Written = {}
        self._tables: dict[str, list[Column]] = {}
        sources = Sources.new(SystemTime(clock))
        access = PreviewAccess(
            self.reader,
            self.notes,
            self.cluster.cache,
            KINDS,
            sources,
            self.instance,
            settings.create_grace,
            lambda: self.cluster.connections(CONNECTION.name),
            self._tables,
            self._written,
        )
        self._transfers = PreviewTransfers(self.notes, self._written, now)
        services = Services(
            SystemTime(clock),
            access,
            self.secrets,
            CacheLister(self.cluster.cache),
            sources,
            CreatedNames(),
            CreatedNames(),
            settings.create_grace,
            self._transfers,
            PreviewLedgers(self.notes),
            ExtractionSettings(),
            foresees=True,
        )
        self._context = ReconcileContext(
            settings,
            self.instance,
            cast("ServingInstallation", _Installation("preview")),
            clock,
            services,
            cast("ObjectWriter", self.cluster),
            cast("EventRecorder", self.cluster),
            Metrics(),
        )

    async def apply(self, manifests: Sequence[Mapping[str, Any]], namespace: str) -> list[ResourcePreview]:
        """What applying ``manifests`` would do, to these resources and to those that depend on them or that
        they depend on.
        """
        known = set(self.cluster.cache.keys())
        keys = list(dict.fromkeys(self.cluster.apply(manifest, namespace) for manifest in manifests))
        for key in keys:
            self._assume_tables(key)
        connections, dataflows = self._around(keys)
        # What a connection needs depends on the ways that its dataflows take, which may be decided only now.
        found = [await self.look(key) for key in (*connections, *dataflows, *connections)]
        return _merged(found, keys, known)

    async def delete(self, objects: Sequence[Object]) -> list[ResourcePreview]:
        """What deleting these resources would do, to others as well that have waited for it."""
        known = set(self.cluster.cache.keys())
        keys = [Key.of(obj) for obj in objects]
        for key in keys:
            self.cluster.delete(key)
        connections, dataflows = self._around(keys)
        found = [await self.look(key) for key in (*dataflows, *connections)]
        return _merged(found, keys, known)

    def _around(self, keys: Sequence[Key]) -> tuple[list[Key], list[Key]]:
        """The connections and the dataflows that a change of ``keys`` may concern."""
        cache = self.cluster.cache
        named = [key for key in keys if key.kind == CONNECTION.name]
        used = [used for key in keys for used in cache.uses(key)]
        dependent = [one for key in named for one in cache.referrers(*key)]
        own = [key for key in keys if key.kind == DATAFLOW.name]
        return list(dict.fromkeys((*named, *used))), list(dict.fromkeys((*own, *dependent)))

    async def look(self, key: Key) -> ResourcePreview:
        """What the operator would do for a resource as it is in the copy of the cluster."""
        begin, assumed = len(self.notes.writes), set(self.notes.assumptions)
        self._remember(key)
        outcome, plan = await self._run(key)
        now_done = len(self.notes.writes)
        approved: Outcome = DONE
        once_approved: tuple[Write, ...] = ()
        if plan is not None and plan.approved is None and outcome.reason == "ReplacementRequired":
            self.cluster.annotate(key, APPROVE_PLAN, plan.hash)
            approved, _ = await self._run(key)
            once_approved = tuple(self.notes.writes[now_done:])
        resource = self.cluster.cache.get(key)
        deleting = resource is not None and resource.deleting
        if deleting and outcome.is_done:
            self.cluster.cache.remove(key)
        return ResourcePreview(
            key,
            deleting,
            tuple(self.notes.writes[begin:now_done]),
            outcome,
            plan,
            once_approved,
            approved,
            tuple(text for text in self.notes.assumptions if text not in assumed),
            self._budget(key, plan, self.notes.writes[begin:]),
            self._profile_batches(key),
            _drift_of(resource),
        )

    def _budget(self, key: Key, plan: PlanStatus | None, writes: Sequence[Write]) -> PlanBudget | None:
        """That of the plan, or what the flow takes as it would be by now."""
        resource = self.cluster.cache.get(key)
        if plan is not None or resource is None or resource.kind is not DATAFLOW:
            return plan.budget if plan is not None else None
        spec, status = resource.understood.spec.value, resource.understood.status.value
        if resource.deleting or resource.understood.obstacle() is not None or status.flow is None:
            return None
        budget = budget_of(
            spec,
            status.transport or Transport.PLATFORM_SOURCE,
            columns=len(status.columns),
            feeds_profile=bool(status.dataset and status.dataset.profile_enabled),
            first=None,
        )
        credits = sum(write.credits for write in writes)
        if budget is None or not credits:
            return budget
        return budget.model_copy(update={"zoho_credits": credits})

    def _profile_batches(self, key: Key) -> float:
        """What all dataflows of the copy make in the sandbox that ``key`` belongs to."""
        cache = self.cluster.cache
        wanted = {self._sandbox_of(used) for used in (key, *cache.uses(key))} - {None}
        connections = list(self.cluster.connections(CONNECTION.name))
        flows = [
            flow for one in connections if self._sandbox_of(one) in wanted for flow in cache.referrers(*one)
        ]
        found = [resource for flow in flows if (resource := cache.get(flow)) is not None]
        return sum(resource.kind.profile_runs_per_day(resource.spec, resource.status) for resource in found)

    def _sandbox_of(self, key: Key) -> tuple[str, str] | None:
        resource = self.cluster.cache.get(key)
        return resource.kind.sandbox(resource.spec) if resource is not None else None

    async def _run(self, key: Key) -> tuple[Outcome, PlanStatus | None]:
        """Passes until one changes nothing any more; the outcome of the last one, and the plan that was made
        on the way.
        """
        outcome, plan = DONE, None
        for _ in range(MOST_PASSES):
            resource = self.cluster.cache.get(key)
            if resource is None:
                break
            mark, before = len(self.notes.writes), _facts(resource)
            outcome = await self._pass(resource)
            after = self.cluster.cache.get(key)
            found = _plan_of(after)
            plan = found or plan
            wrote = len(self.notes.writes) > mark
            if outcome.outcome_class not in _GOES_ON or (outcome.is_done and resource.deleting):
                break
            if not wrote and (outcome.is_done or after is None or _facts(after) == before):
                break
        return outcome, plan

    async def _pass(self, resource: Resource) -> Outcome:
        """One pass of the operator's, with everything looked at."""
        understood, deleting = resource.understood, resource.deleting
        obstacle = understood.obstacle_to_deletion() if deleting else understood.obstacle()
        if obstacle is not None:
            return obstacle
        if resource.paused:
            return PAUSED
        reconciliation = Reconciliation(self._context, resource, History(resource.uid))
        reconciliation.pass_.full = True
        if deleting:
            outcome, _ = await reconciliation.delete()
            if outcome.is_done:
                return outcome
        else:
            outcome, _ = await reconciliation.run()
        await reconciliation.finish(outcome)
        return outcome

    def _remember(self, key: Key) -> None:
        """What a process that has looked at all resources before knows: mapping sets that others use, and
        Jobs.
        """
        for other in self.cluster.cache.keys():  # noqa: SIM118 - no mapping
            resource = self.cluster.cache.get(other)
            status = resource.understood.status.value if resource is not None else None
            if resource is None or not isinstance(status, CRMDataflowStatus):
                continue
            if other == key:
                self._transfers.know(resource.uid, status)
            known = status.mapping_set
            for used in self.cluster.cache.uses(other):
                connection = self.cluster.cache.get(used)
                sandbox = CONNECTION.sandbox(connection.spec) if connection is not None else None
                if known is not None and known.content_hash is not None and sandbox is not None:
                    name = mapping_set_name(self.instance, known.content_hash)
                    ref = MappingSetRef(known.id, known.version)
                    self._context.services.mapping_sets.seen((*sandbox, name), ref)

    def _assume_tables(self, key: Key) -> None:
        """What a dataflow names is taken for what its table has, where nothing can be asked yet."""
        resource = self.cluster.cache.get(key)
        spec = resource.understood.spec if resource is not None else None
        if spec is None or spec.problems or not isinstance(spec.value, CRMDataflowSpec):
            return
        given = spec.value
        named = [
            *(given.source.columns or ()),
            *(entry.source.split(".")[0] for entry in given.mapping or () if entry.source),
        ]
        delta = given.delta_column.name if given.delta_column else None
        columns = self._tables.setdefault(given.source.table, [])
        known = {column.name for column in columns}
        for name in dict.fromkeys((*named, *([delta] if delta else []))):
            if name not in known:
                raw = {"name": name, "type": "string"}
                columns.append(
                    Column(name, "string", name == delta, raw, "date-time" if name == delta else "")
                )


def _merged(found: Iterable[ResourcePreview], keys: Sequence[Key], known: Set[Key]) -> list[ResourcePreview]:
    """One preview for each resource: of those that were asked for, of others that are concerned, and of a
    connection that one of them waits for, which says why.
    """
    merged: dict[Key, ResourcePreview] = {}
    for one in found:
        before = merged.get(one.key)
        if before is not None:
            one = replace(
                one,
                writes=(*before.writes, *one.writes),
                plan=one.plan or before.plan,
                once_approved=(*before.once_approved, *one.once_approved),
                assumptions=(*before.assumptions, *one.assumptions),
            )
        merged[one.key] = one
    waits = any(merged[key].outcome.reason == "ConnectionNotReady" for key in keys if key in merged)

    def is_shown(key: Key, one: ResourcePreview) -> bool:
        is_waited_for = waits and key.kind == CONNECTION.name and not one.outcome.is_done
        return key in keys or one.has_changes or is_waited_for

    return [
        replace(one, is_new=key not in known, is_asked_for=key in keys)
        for key, one in merged.items()
        if is_shown(key, one)
    ]


def _facts(resource: Resource) -> dict[str, Any]:
    """What a status says, without conditions and what only tells of the pass."""
    return {name: value for name, value in resource.status.items() if name not in _OF_THE_PASS}


_OF_THE_PASS = frozenset({"conditions", "observedGeneration", "lastHandledReconcileAt"})


def _drift_of(resource: Resource | None) -> str:
    """What the pass has said of an object that it only observes."""
    conditions = resource.status.get("conditions", ()) if resource is not None else ()
    return next((str(entry["message"]) for entry in conditions if entry["reason"] == "Drifted"), "")


def _plan_of(resource: Resource | None) -> PlanStatus | None:
    status = resource.understood.status.value if resource is not None else None
    return status.plan if isinstance(status, CRMDataflowStatus) else None
