"""A harness for a resource that is reconciled: the ports' fakes, builders for specs, and passes that
keep what they wrote.
"""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from crmflow.aep.models import BaseConnection
from crmflow.api.base import Transport
from crmflow.api.zohosourceconnection import (
    BaseConnectionStatus,
    LandingZoneStatus,
    ZohoOrganization,
    ZohoSourceConnectionSpec,
    ZohoSourceConnectionStatus,
)
from crmflow.observability.events import Event
from crmflow.reconcile.connection.kind import KIND as CONNECTION
from crmflow.reconcile.core.conditions import READY, Conditions, compose
from crmflow.reconcile.core.created_names import CreatedNames
from crmflow.reconcile.core.decide import Decision, Streak, decide
from crmflow.reconcile.core.engine import Pass, Services, look_and_run, run_steps
from crmflow.reconcile.core.kind import ManagedKind
from crmflow.reconcile.core.outcome import PAUSED, Outcome
from crmflow.reconcile.dataflow.kind import KIND as DATAFLOW
from crmflow.reconcile.external.identity import Identity
from crmflow.reconcile.extraction.settings import ExtractionSettings
from crmflow.reconcile.ports import PassInterruptedError
from crmflow.reconcile.sources.offer import ZOHO_CONNECTION_SPEC_ID
from crmflow.reconcile.sources.ways import Sources
from crmflow.runtime.controller.status_writer import status_body
from tests.fakes.failing import Timeline
from tests.fakes.platform import DATASET_ID, SCHEMA_ID, FakePlatform
from tests.fakes.transfers import FakeCreditLedgers, FakeTransfers
from tests.kit.invariants import check_invariants
from tests.unit.reconcile.fakes import (
    FakeAccess,
    FakeClock,
    FakeInventory,
    FakeLister,
    FakeSecrets,
    FakeZoho,
    View,
)

INSTANCE = "test"
NAMESPACE = "crm"
CONNECTION_NAME = "zoho-eu"
CREATE_GRACE = 60.0


def connection_spec(**changes: Any) -> dict[str, Any]:
    """A complete spec of a ZohoSourceConnection, with ``changes`` at its top."""
    return {
        "displayName": "Zoho EU",
        "zoho": {
            "dataCenter": "EU",
            "environment": "Production",
            "credentialsSecretRef": {"name": "zoho-oauth"},
        },
        "platform": {
            "organization": "1A2B@AdobeOrg",
            "sandbox": "prod",
            "credentialsSecretRef": {"name": "adobe-platform"},
        },
        **changes,
    }


def dataflow_spec(**changes: Any) -> dict[str, Any]:
    """A complete spec of a CRMDataflow, with ``changes`` at its top."""
    return {
        "displayName": "Contacts",
        "connectionRef": {"name": CONNECTION_NAME},
        "source": {"table": "Contacts", "columns": ["Email", "First_Name", "Modified_Time"]},
        "target": {"schema": {"id": SCHEMA_ID}, "dataset": {"id": DATASET_ID}},
        "mapping": [
            {"target": "personalEmail.address", "source": "Email"},
            {"target": "_acme.origin", "value": "zoho"},
            {"target": "person.name.fullName", "expression": 'concat(First_Name," ")'},
        ],
        "deltaColumn": {"name": "Modified_Time"},
        "schedule": {
            "frequency": "Hour",
            "interval": 1,
            "startTime": "2030-01-01T00:00:00Z",
            "backfill": True,
        },
        "ingestion": {"enabled": True, "errorDiagnostics": True, "partialIngestionPercent": 5},
        **changes,
    }


@dataclass
class Result:
    """What came of one pass."""

    outcome: Outcome
    step: str
    decision: Decision
    calls: list[str]
    """Remote calls and checkpoints of this pass alone."""
    events: list[Event]
    checked: bool
    decided_at: float

    @property
    def pause(self) -> float | None:
        """Seconds until the next visit."""
        return None if self.decision.at is None else round(self.decision.at - self.decided_at, 3)


class Harness:
    """Everything outside the steps."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.timeline = Timeline()
        self.platform = FakePlatform(self.timeline)
        self.zoho = FakeZoho(self.timeline)
        self.inventory = FakeInventory(self.timeline, self.platform)
        self.access = FakeAccess(self.timeline, self.zoho, self.platform, self.inventory)
        self.secrets = FakeSecrets(self.timeline)
        self.lister = FakeLister()
        self.secrets.data[NAMESPACE, "zoho-oauth"] = {
            "clientId": "1000.CLIENT",
            "clientSecret": "zoho-client-secret",
            "refreshToken": "1000.cccc.dddd",
        }
        self.secrets.data[NAMESPACE, "adobe-platform"] = {
            "clientId": "adobe-client",
            "clientSecret": "adobe-client-secret",
        }
        self.transfers = FakeTransfers(self.timeline)
        self.credit_ledgers = FakeCreditLedgers(self.timeline, self.clock.now)
        self.services = Services(
            self.clock,
            self.access,
            self.secrets,
            self.lister,
            Sources.new(self.clock),
            CreatedNames(),
            CreatedNames(),
            CREATE_GRACE,
            self.transfers,
            self.credit_ledgers,
            ExtractionSettings(),
        )

    def connection(self, **changes: Any) -> Resource:
        """A new ZohoSourceConnection."""
        return Resource(self, CONNECTION, CONNECTION_NAME, connection_spec(**changes))

    def dataflow(self, **changes: Any) -> Resource:
        """A new CRMDataflow, whose connection is Ready and has its base connection."""
        spec = ZohoSourceConnectionSpec.model_validate(connection_spec())
        status = ZohoSourceConnectionStatus(base_connection=BaseConnectionStatus(id="bc-0"), tables=2)
        self.lister.connections[NAMESPACE, CONNECTION_NAME] = View(spec, status)
        self.hold_base_connection()
        return Resource(self, DATAFLOW, "contacts", dataflow_spec(**changes))

    def open_landing_zone(self, edition: str = "enterprise") -> None:
        """The connection of dataflows goes through the landing zone, and is Ready."""
        view = self.lister.connections[NAMESPACE, CONNECTION_NAME]
        zone = LandingZoneStatus(container="dlz-user-container")
        status = view.status.model_copy(
            update={
                "base_connection": None,
                "transport": Transport.LANDING_ZONE,
                "landing_zone": zone,
                "zoho_organization": ZohoOrganization(id="org-1", edition=edition),
            }
        )
        self.lister.connections[NAMESPACE, CONNECTION_NAME] = replace(view, status=status)

    def hold_base_connection(self, remote_id: str = "bc-0") -> None:
        """Have the sandbox hold the base connection that dataflows read through."""
        self.platform.connections[remote_id] = BaseConnection(
            remote_id, "etag", "Zoho EU", "", "enabled", ZOHO_CONNECTION_SPEC_ID, "Zoho OAuth", {}
        )

    def resource(self, kind: str, **changes: Any) -> Resource:
        """A new resource of ``kind``."""
        make = {"connection": self.connection, "dataflow": self.dataflow}[kind]
        return make(**changes)


@dataclass
class Resource:
    """One resource as the API server would keep it: status lives from pass to pass in its wire form."""

    harness: Harness
    kind: ManagedKind
    name: str
    spec: dict[str, Any]
    generation: int = 1
    uid: str = "0a1b2c3d"
    status: dict[str, Any] = field(default_factory=dict)
    streak: Streak = field(default_factory=Streak)
    checkpoints: list[dict[str, Any]] = field(default_factory=list)
    requests: dict[str, str] = field(default_factory=dict)
    """Our annotations, without the group."""
    interrupted: bool = False
    """True: the API server takes no checkpoint."""

    @property
    def identity(self) -> Identity:
        """As the operator identifies it."""
        return Identity(INSTANCE, self.kind.name, NAMESPACE, self.name, self.uid)

    def edit(self, change: Callable[[dict[str, Any]], object]) -> None:
        """Edit the spec, as ``kubectl apply`` would."""
        change(self.spec)
        self.generation += 1

    def condition(self, name: str) -> tuple[str, str, str]:
        """Status, reason and message of a condition; three times nothing if it is absent."""
        for entry in self.status.get("conditions", []):
            if entry["type"] == name:
                return entry["status"], entry["reason"], entry["message"]
        return "", "", ""

    async def visit(self, *, full: bool = True, deleting: bool = False, requested: bool = False) -> Result:
        """One pass: run the steps, look the outcome up, write the status and check it. Unless it is ``full``,
        a Ready resource that the listings show to be quiet is left alone. ``requested``: somebody asked.
        """
        before = len(self.harness.timeline)
        previous = Conditions.from_status(self.status)
        pass_ = self.begin(full=full)
        pass_.requested = requested
        if self.spec.get("paused") and not deleting:
            outcome, step = PAUSED, ""
        elif deleting:
            outcome, step = await run_steps(pass_, self.kind.finalize)
        else:
            outcome, step = await look_and_run(pass_, self.kind.quiet, self.kind.reconcile)
        decision = self._decide(pass_, outcome, previous)
        if not (deleting and outcome.is_done):  # then the finalizer goes, and nothing is written any more
            self._write(pass_, decision, previous)
        return Result(
            outcome,
            step,
            decision,
            self.harness.timeline[before:],
            list(pass_.events),
            pass_.checked,
            self.harness.clock.now(),
        )

    async def until_done(self) -> Result:
        """Visit until everything is done, at the most ten times."""
        for _ in range(10):
            result = await self.visit()
            if result.outcome.is_done:
                return result
        raise AssertionError(result.outcome)

    def begin(self, *, full: bool = True) -> Pass[Any, Any]:
        """A pass that is about to run."""
        kind, journal = self.kind.api, _Journal(self)
        journal.pass_ = self.kind.make_pass(
            services=self.harness.services,
            identity=self.identity,
            generation=self.generation,
            spec=kind.spec.model_validate(copy.deepcopy(self.spec)),
            status=kind.status.model_validate(copy.deepcopy(self.status)),
            conditions=Conditions.from_status(self.status),
            observed_generation=self.status.get("observedGeneration"),
            journal=journal,
            requests=self.requests,
            full=full,
        )
        return journal.pass_

    def _decide(self, pass_: Pass[Any, Any], outcome: Outcome, previous: Conditions) -> Decision:
        observed = self.status.get("observedGeneration")
        return decide(
            outcome,
            self.streak,
            was_ready=previous.is_ready(self.generation, observed),
            was_observed=observed == self.generation,
            now=self.harness.clock.now(),
            next_check_at=self.harness.clock.now() + 3600.0,
            look_at=pass_.look_at,
            ready_message=self.kind.ready_message(pass_),
            jitter=random.Random(1),
        )

    def _write(self, pass_: Pass[Any, Any], decision: Decision, previous: Conditions) -> None:
        conditions = previous.of(self.kind.conditions)
        if decision.summary is not None:
            conditions = compose(
                self.kind.conditions_of(pass_),
                previous,
                pass_.findings,
                decision.summary,
                self.generation,
                datetime.fromtimestamp(self.harness.clock.now(), UTC),
            )
        observed = self.generation if decision.observes_generation else self.status.get("observedGeneration")
        self.status = json.loads(json.dumps(status_body(pass_.status, conditions, observed)))
        assert self.condition(READY)[0]
        check_invariants(self.as_object())

    def as_object(self) -> dict[str, Any]:
        """As the API server gives it."""
        return {
            "apiVersion": "crmflow.io/v1alpha1",
            "kind": self.kind.name,
            "metadata": {"name": self.name, "namespace": NAMESPACE, "generation": self.generation},
            "spec": self.spec,
            "status": self.status,
        }


class _Journal:
    """Writes the facts of the draft as the runtime does, and marks it in the timeline."""

    def __init__(self, resource: Resource) -> None:
        self._resource = resource
        self.pass_: Pass[Any, Any]

    async def checkpoint(self) -> None:
        resource = self._resource
        if resource.interrupted:
            raise PassInterruptedError("the API server can't be reached")
        conditions = Conditions.from_status(resource.status).of(resource.kind.conditions)
        body = status_body(self.pass_.status, conditions, resource.status.get("observedGeneration"))
        resource.status = json.loads(json.dumps(body))
        resource.checkpoints.append(resource.status)
        resource.harness.timeline.append("checkpoint")
