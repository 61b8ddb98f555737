"""All that the AEP emulator remembers."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from pydantic import TypeAdapter

from tests.emulators.aep.resource import Author, Resource, Store
from tests.emulators.aep.seed_data import CLOUD_STORAGE_FLOW_SPEC
from tests.emulators.aep.switches import AepSwitches
from tests.emulators.blob.state import BlobState
from tests.emulators.core.mask import SecretMask
from tests.emulators.core.source import Source

if TYPE_CHECKING:
    from tests.emulators.aep.gateway import Context

KINDS = ("connections", "sourceConnections", "targetConnections", "flows", "runs")
"""Flow Service's collections, as they stand in its paths."""


@dataclass
class LandingZone:
    """The credentials of a sandbox's landing zone: everybody in the sandbox shares them."""

    account: str
    token: str
    issued: float
    expires: float


@dataclass
class LakeRow:
    """A row that a run wrote: some of its source columns, and what it was mapped to if kept. ``file`` is
    empty if it came from a table.
    """

    values: dict[str, Any]
    record: dict[str, Any] | None
    file: str
    batch: str = ""
    run: str = ""


@dataclass
class Diagnostics:
    """What Data Access tells of a batch."""

    at: float
    files: list[str]
    parsing_errors: list[dict[str, Any]]
    conversion_errors: list[dict[str, Any]]


@dataclass
class PendingRun:
    """A run that ingests: it begins, or with ``finish`` ends, at a time."""

    at: float
    run: str
    finish: Callable[[Context, Resource, Resource], None] | None = None


class Runner(Protocol):
    """What makes the runs of flows that run by themselves."""

    async def settle(self) -> None:
        """Work off what was due by now."""
        ...

    async def run_now(self, sandbox: Sandbox, flow: Resource) -> Resource | None:
        """Run a flow at once; None if there is nothing to take."""
        ...


@dataclass
class Sandbox:
    """One sandbox and everything in it; nothing is shared with another sandbox."""

    name: str
    title: str
    type: str
    region: str
    state: str = "active"
    is_default: bool = False
    etag: int = 1
    created: float = 0.0
    modified: float = 0.0
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    stores: dict[str, Store] = field(default_factory=lambda: {kind: Store() for kind in KINDS})
    mapping_sets: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    schemas: dict[str, dict[int, dict[str, Any]]] = field(default_factory=dict)
    field_groups: dict[str, dict[str, Any]] = field(default_factory=dict)
    descriptors: dict[str, dict[str, Any]] = field(default_factory=dict)
    datasets: dict[str, dict[str, Any]] = field(default_factory=dict)
    batches: dict[str, dict[str, Any]] = field(default_factory=dict)
    landing_zone: LandingZone | None = None
    file_flows: set[str] = field(default_factory=set)
    """Flows of files, which run by themselves."""
    table_flows: set[str] = field(default_factory=set)
    """Flows of tables, which run by themselves in one position of ``sourceRuns``."""
    pending: list[PendingRun] = field(default_factory=list)
    diagnostics: dict[str, Diagnostics] = field(default_factory=dict)
    lake: dict[str, list[LakeRow]] = field(default_factory=dict)
    """By dataset, in the order in which the runs ended."""

    def empty(self) -> None:
        """Remove every resource, as a sandbox reset does (platform.md 13)."""
        for store in self.stores.values():
            store.clear()
        for content in (
            self.mapping_sets,
            self.schemas,
            self.field_groups,
            self.descriptors,
            self.datasets,
            self.batches,
            self.diagnostics,
            self.lake,
        ):
            content.clear()
        self.file_flows.clear()
        self.table_flows.clear()
        self.pending.clear()


@dataclass
class Credential:
    """An OAuth server-to-server credential of the Developer Console."""

    client_id: str
    client_secret: str
    organization: str
    technical_account: str
    scopes: tuple[str, ...]

    @property
    def author(self) -> Author:
        """Who requests with this credential are by."""
        return Author(self.technical_account, self.client_id)


@dataclass
class Token:
    """An access token of IMS."""

    client_id: str
    expires: float


@dataclass
class SandboxContent:
    """What clients have made in a sandbox."""

    stores: dict[str, list[Resource]]
    mapping_sets: dict[str, list[dict[str, Any]]]
    batches: dict[str, dict[str, Any]]


@dataclass
class AepSnapshot:
    """What clients have made, and the access tokens that they hold."""

    tokens: dict[str, Token]
    sandboxes: dict[str, SandboxContent]


_SNAPSHOT = TypeAdapter(AepSnapshot)


class AepState:
    """IMS and the services. ``now`` gives epoch seconds; ``source`` is what connections lead to, ``blobs``
    where the landing zones are.
    """

    def __init__(self, now: Callable[[], float], source: Source, blobs: BlobState) -> None:
        self.now = now
        self.source = source
        self.blobs = blobs
        self.runner: Runner
        self.switches = AepSwitches()
        self.reset()

    def reset(self) -> None:
        """Back to the seed, default switches included."""
        from tests.emulators.aep.seed import seed  # it builds on this module

        for name, value in AepSwitches():
            setattr(self.switches, name, value)
        self.credentials: dict[str, Credential] = {}
        self.tokens: dict[str, Token] = {}
        self.sandboxes: dict[str, Sandbox] = {}
        self.requests: dict[str, list[float]] = {}
        self.test_results: dict[str, str | None] = {}
        self.organization = ""
        self.tenant = ""
        seed(self)

    @property
    def default_sandbox(self) -> Sandbox:
        """The sandbox of requests that name none."""
        return next(s for s in self.sandboxes.values() if s.is_default)

    def self_running(self, sandbox: Sandbox) -> set[str]:
        """The flows of which each tick makes a run."""
        if self.switches.sourceRuns == "control":
            return sandbox.file_flows
        return sandbox.file_flows | sandbox.table_flows

    def runs_itself(self, sandbox: Sandbox, flow: Resource) -> bool:
        """Whether the flow is one of those."""
        return flow.id in self.self_running(sandbox)

    def issue_token(self, client_id: str) -> str:
        """A new access token for a credential."""
        token = ".".join(secrets.token_urlsafe(n) for n in (24, 96, 32))
        self.tokens[token] = Token(client_id, self.now() + self.switches.imsTokenSeconds)
        return token

    def dump(self) -> dict[str, Any]:
        """Everything as JSON, secrets replaced."""
        content = {
            "tenantId": self.tenant,
            "tokens": [{"clientId": t.client_id, "expires": t.expires} for t in self.tokens.values()],
            "sandboxes": {name: self._dump(sandbox) for name, sandbox in self.sandboxes.items()},
        }
        masked: dict[str, Any] = SecretMask().body(content)
        return masked

    def snapshot(self) -> Any:
        """What clients have made, in clear, for :meth:`restore`: tokens, Flow Service's objects, mapping
        sets and batches. Schemas and datasets are the seed's.
        """
        now = self.now()
        content = AepSnapshot(
            self.tokens,
            {
                name: SandboxContent(
                    {kind: list(store.all(now)) for kind, store in sandbox.stores.items()},
                    sandbox.mapping_sets,
                    sandbox.batches,
                )
                for name, sandbox in self.sandboxes.items()
            },
        )
        return _SNAPSHOT.dump_python(content, mode="json")

    def restore(self, snapshot: Any) -> None:
        """Hold what :meth:`snapshot` gave, on top of the seed. Raises ValidationError."""
        content = _SNAPSHOT.validate_python(snapshot)
        self.tokens = content.tokens
        for name, kept in content.sandboxes.items():
            sandbox = self.sandboxes[name]
            sandbox.mapping_sets, sandbox.batches = kept.mapping_sets, kept.batches
            for kind, resources in kept.stores.items():
                sandbox.stores[kind].put_back(resources)
            self._take_up_runs(sandbox)

    def _take_up_runs(self, sandbox: Sandbox) -> None:
        """Runs of files that had not ended begin anew; those of tables are the control API's, as the
        switches stand after a restore.
        """
        now = self.now()
        sandbox.file_flows.clear()
        sandbox.table_flows.clear()
        for flow in sandbox.stores["flows"].living(now):
            if flow.state != "draft":
                files = flow.body["flowSpec"]["id"] == CLOUD_STORAGE_FLOW_SPEC
                (sandbox.file_flows if files else sandbox.table_flows).add(flow.id)
        sandbox.pending = [
            PendingRun(now, run.id)
            for run in sandbox.stores["runs"].living(now)
            if run.body.get("flowId") in sandbox.file_flows and run.state in ("queued", "inProgress")
        ]

    def _dump(self, sandbox: Sandbox) -> dict[str, Any]:
        now = self.now()
        return {
            "state": sandbox.state,
            "type": sandbox.type,
            "region": sandbox.region,
            **{
                kind: [{**r.common(), **r.body} for r in store.living(now)]
                for kind, store in sandbox.stores.items()
            },
            "mappingSets": [{"id": id, **versions[-1]} for id, versions in sandbox.mapping_sets.items()],
            "schemas": [
                {
                    name: document[name]
                    for name in ("$id", "title", "version", "meta:class", "meta:immutableTags")
                }
                for document in (versions[max(versions)] for versions in sandbox.schemas.values())
            ],
            "dataSets": [{"id": id, **body} for id, body in sandbox.datasets.items()],
            "batches": [{"id": id, **body} for id, body in sandbox.batches.items()],
            "descriptors": list(sandbox.descriptors.values()),
        }
