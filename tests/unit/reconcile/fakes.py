"""In-memory stand-ins for the ports: they keep what they are given, and say which calls were made, in which
order.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from pydantic import SecretStr

from crmflow.aep.collection import AnyCollection
from crmflow.aep.flow_service import FLOWS, INVENTORIED, SOURCE_CONNECTIONS
from crmflow.aep.models import Listed, Run
from crmflow.api.base import Transport
from crmflow.api.kinds import ZOHO_SOURCE_CONNECTION, Kind
from crmflow.api.zohosourceconnection import (
    DataCenter,
    Environment,
)
from crmflow.http.errors import RemoteError
from crmflow.reconcile.core.ownership import key_in
from crmflow.reconcile.credentials import PlatformCredentials, ZohoCredentials
from crmflow.reconcile.ports import Absence, Platform, Referrer, Zoho
from crmflow.reconcile.sources.shared_reads import Shared
from crmflow.zoho.api import CrmApi, Spend, uncounted
from crmflow.zoho.crm import Organization
from tests.fakes.failing import Failing, Timeline, remote
from tests.fakes.landing_zone import FakeLandingZoneFiles
from tests.fakes.platform import FakePlatform
from tests.fakes.zoho_crm import URL, FakeCrm

T = TypeVar("T")

NOW = 1_760_000_000.0


class FakeClock:
    """Time that passes only when a test says so."""

    def __init__(self, now: float = NOW) -> None:
        self.time = now

    def now(self) -> float:
        return self.time


class FakeInventory(Failing):
    """What listings show of the sandbox: all that it holds, except what the index does not show yet, and own
    writes at once.
    """

    def __init__(self, timeline: Timeline, platform: FakePlatform) -> None:
        super().__init__(timeline)
        self._platform = platform
        self._own: dict[AnyCollection, dict[str, Listed]] = {collection: {} for collection in INVENTORIED}
        self.covers_predecessors = True
        self.absences: dict[str, Absence] = {}
        """Why a read of an object is answered with 404, where it is not simply gone."""
        self.holders: dict[str, str] = {}
        """Id → the other resource that records it."""
        self.deletions: list[str] = []
        self.let_gone: list[str] = []
        self.runs: dict[str, Run] = {}
        """Flow → the last run that ``/runs`` lists, where that is more than the flow shows."""
        self.found: dict[str, Sequence[Run]] = {}
        """Flow → what else listings have shown."""
        self.unread_runs: RemoteError | None = None
        self.watches = False
        """Whether new flows are listed until they have settled."""
        self.watched: set[str] = set()
        self.shown: set[str] = set()
        """The flows that such listings have shown settled."""
        self.shared: Shared[Any] | None = None
        """What others were told a moment ago; none: everybody asks."""

    def watch(self, flow_id: str, owner: str) -> bool:
        if self.watches:
            self.watched.add(flow_id)
        return self.watches

    def settled(self, flow_id: str) -> Listed | None:
        return self._view(FLOWS).get(flow_id) if flow_id in self.shown else None

    async def recent(
        self, key: Hashable, ask: Callable[[], Awaitable[T]], suffices: Callable[[T], bool]
    ) -> T:
        return await (ask() if self.shared is None else self.shared.get(key, ask, suffices=suffices))

    def item(self, collection: AnyCollection, remote_id: str) -> Listed | None:
        return self._view(collection).get(remote_id)

    def with_key(self, collection: AnyCollection, key: str) -> Sequence[Listed]:
        found = [item for item in self._view(collection).values() if key_in(item.name) == key]
        return sorted(found, key=lambda item: item.created_at)

    @remote
    async def look_up(self, collection: AnyCollection, key: str, *, lost: bool) -> Sequence[Listed]:
        return self.with_key(collection, key)

    def include(self, transport: Transport) -> None:
        """It shows the objects of every way."""

    async def ensure(self) -> None:
        if (failure := self._failure("ensure")) is not None:
            raise failure.error

    async def confirm(self) -> None:
        if (failure := self._failure("confirm")) is not None:
            raise failure.error

    @remote
    async def absence(self, collection: AnyCollection, remote_id: str) -> Absence:
        return self.absences.get(remote_id, Absence.GONE)

    def created(self, collection: AnyCollection, item: Listed) -> None:
        self._own[collection][item.id] = item

    def deleted(self, remote_id: str) -> None:
        self.deletions.append(remote_id)
        for own in self._own.values():
            own.pop(remote_id, None)

    def let_go(self, remote_id: str) -> None:
        self.let_gone.append(remote_id)

    def is_built_on(self, remote_id: str) -> bool:
        views = (self._view(collection) for collection in INVENTORIED)
        return any(remote_id in item.parents for view in views for item in view.values())

    def last_run(self, flow_id: str) -> Run | None:
        flow = self._platform.flows.get(flow_id)
        return self.runs.get(flow_id) or (flow.last_run if flow else None)

    def found_runs(self, flow_id: str) -> Sequence[Run]:
        return self.found.get(flow_id, ())

    def recorded_by(self, remote_id: str) -> str | None:
        return self.holders.get(remote_id)

    @remote
    async def readers_of(self, connection_id: str) -> Sequence[str]:
        sources = [
            item.id for item in self._view(SOURCE_CONNECTIONS).values() if connection_id in item.parents
        ]
        flows = self._view(FLOWS).values()
        return [flow.id for flow in flows if set(sources) & set(flow.parents)]

    def _view(self, collection: AnyCollection) -> dict[str, Listed]:
        held = self._platform.objects(collection)
        own = {remote_id: item for remote_id, item in self._own[collection].items() if remote_id in held}
        return {**own, **self._platform.listed(collection)}


class FakeZoho(Failing):
    """Zoho with one grant. Of what it is asked, ``crm`` notes the calls."""

    def __init__(self, timeline: Timeline) -> None:
        super().__init__(timeline)
        self.org = Organization("org-1", "zgid", "Acme", "production", "enterprise", "America/Los_Angeles")
        self.crm = FakeCrm(timeline)
        self.granted: tuple[str, ...] = ()
        self.renewals = 0
        self.token = "1000.aaaa.bbbb"
        self.pushed: str | None = None
        self.refresh = SecretStr("1000.cccc.dddd")

    @remote
    async def access_token(self) -> SecretStr:
        return SecretStr(self.token)

    async def refresh_token(self) -> SecretStr:
        return self.refresh

    async def scopes(self) -> tuple[str, ...]:
        return self.granted

    async def is_pushed(self) -> bool | None:
        return None if self.pushed is None else self.pushed == self.token

    async def note_pushed(self, token: SecretStr) -> None:
        self.pushed = token.get_secret_value()

    @remote
    async def organization(self, environment: Environment) -> Organization:
        return self.org

    async def renew(self) -> None:
        self.renewals += 1

    async def ask(
        self,
        environment: Environment,
        question: Callable[[CrmApi], Awaitable[T]],
        spend: Spend = uncounted,
    ) -> T:
        return await question(self.crm.api(SecretStr(self.token), spend))

    def crm_url(self, environment: Environment) -> str:
        return URL


class FakeAccess(Failing):
    """Hands out one Zoho and one sandbox, and remembers to whom."""

    def __init__(
        self, timeline: Timeline, zoho: FakeZoho, platform: FakePlatform, inventory: FakeInventory
    ) -> None:
        super().__init__(timeline)
        self._zoho = zoho
        self._platform = platform
        self._inventory = inventory
        self.held: dict[str, FakePlatform] = {}
        self.zone = FakeLandingZoneFiles(timeline)
        self.grants: list[tuple[DataCenter, ZohoCredentials]] = []
        self.dropped: list[str] = []

    def zoho(self, holder: str, data_center: DataCenter, credentials: ZohoCredentials) -> Zoho:
        self.grants.append((data_center, credentials))
        self._zoho.refresh = credentials.grant
        return self._zoho

    async def drop_former_grants(self, holder: str) -> None:
        self.dropped.append(f"former grants of {holder}")

    async def drop_grants(self, holder: str, *, revoke: bool) -> None:
        if (failure := self._failure("drop_grants")) is not None:
            raise failure.error
        self.dropped.append(f"grants of {holder}{', revoked' if revoke else ''}")

    async def platform(
        self, holder: str, organization: str, sandbox: str, credentials: PlatformCredentials
    ) -> Platform:
        if (failure := self._failure("platform")) is not None:
            raise failure.error
        self.held[holder] = self._platform
        return self._platform

    def landing_zone(self, holder: str) -> FakeLandingZoneFiles:
        return self.zone

    def inventory(self, holder: str) -> FakeInventory:
        return self._inventory

    async def cached_platform(self, holder: str, sandbox: tuple[str, str] | None) -> Platform | None:
        return self.held.get(holder)


class FakeSecrets(Failing):
    """The Secrets of the cluster."""

    def __init__(self, timeline: Timeline) -> None:
        super().__init__(timeline)
        self.data: dict[tuple[str, str], dict[str, str]] = {}

    async def read(self, namespace: str, name: str) -> Mapping[str, SecretStr] | None:
        if (failure := self._failure("read")) is not None:
            raise failure.error
        data = self.data.get((namespace, name))
        return None if data is None else {key: SecretStr(value) for key, value in data.items()}


@dataclass
class View:
    """A resource as others see it."""

    spec: Any
    status: Any
    ready: bool = True
    deleting: bool = False
    uid: str = "connection-uid"
    generation: int = 1


class FakeLister:
    """The cache of the cluster's other resources."""

    def __init__(self) -> None:
        self.connections: dict[tuple[str, str], View] = {}
        self.resources: dict[tuple[str, str, str], View] = {}
        """Dataflows and runs, by kind, namespace and name."""
        self.runs: list[Referrer] = []
        """Those of every dataflow."""
        self.intents: dict[tuple[str, str], list[datetime]] = {}
        """Intents of other dataflows, by slot and name."""
        self.dataflows: list[Referrer] = []
        self.owners: dict[str, str] = {}
        """Remote id → the resource that it belongs to."""

    def get(self, kind: Kind, namespace: str, name: str) -> View | None:
        if kind is ZOHO_SOURCE_CONNECTION:
            return self.connections.get((namespace, name))
        return self.resources.get((kind.kind, namespace, name))

    def intents_of_others(self, own: str, slot: str, name: str) -> Sequence[datetime]:
        return self.intents.get((slot, name), [])

    def referrers(self, kind: Kind, namespace: str, name: str) -> Sequence[Referrer]:
        return self.dataflows if kind is ZOHO_SOURCE_CONNECTION else self.runs

    def owner_of(self, remote_id: str) -> str | None:
        return self.owners.get(remote_id)
