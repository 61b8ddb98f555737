"""The same bench with a landing zone: Azurite behind the emulators' proxy, and a node for transfers."""

from __future__ import annotations

import json
import random
import tempfile
from collections.abc import Coroutine, Iterable
from pathlib import Path
from typing import Any

import httpx

from crmflow.runtime.kubernetes.jobs import Jobs
from crmflow.settings import Settings
from tests.emulators.aep import seed_data as ids
from tests.emulators.core.server import Emulators
from tests.kit.landing_zone import ZONE_SCOPES
from tests.property.apiserver import ApiServer
from tests.property.bench import INSTANCE, Bench
from tests.property.landing_zone.node import Node

RECORDS = "/zoho/eu/production/modules/Contacts/records"
ROWS = f"/aep/sandboxes/prod/dataSets/{ids.CONTACTS_DATASET}/rows"
FILES = "/aep/sandboxes/prod/landingzone"
HABITS: dict[str, tuple[Any, ...]] = {
    "windowBounds": ("(]", "[)"),
    "emptyRun": ("none", "successZero"),
    "manifestPath": ("container", "folder", "name"),
    "missingFolder": ("accepted", "refused"),
    "runVisibleSeconds": (0, 150),
    "keptColumns": (["id", "Modified_Time", "crmflow_deleted"],),
}
LAGS = (0.0, 90.0)
"""Until Zoho CRM shows a change."""
_TEMPLATE = {"spec": {"containers": [{"image": "crmflow:1"}]}}


class LandingZoneBench(Bench):
    """One cluster, one operator, one sandbox with its container."""

    def __init__(self, emulators: Emulators, rng: random.Random) -> None:
        super().__init__(emulators)
        emulators.blob.reset()
        self.node = Node(self.clock, rng)
        self.server = _ClusterWithJobs(self.node)
        self._folder = tempfile.TemporaryDirectory()
        self._template = Path(self._folder.name) / "transfer.json"
        self._template.write_text(json.dumps(_TEMPLATE))
        self._http = httpx.AsyncClient(base_url=emulators.control_url, trust_env=False, timeout=30)

    def pick_habits(self, rng: random.Random) -> str:
        picked = {name: rng.choice(values) for name, values in HABITS.items()}
        for name, value in picked.items():
            setattr(self.emulators.aep.switches, name, value)
        lag = self.emulators.zoho.switches.visibility_lag = rng.choice(LAGS)
        return f"{super().pick_habits(rng)} {picked} lag {lag}"

    async def grant(self) -> None:
        """Both Secrets, with a grant that allows our own reads; Azurite runs by then."""
        await self.control("GET", FILES)
        body = {"dataCenter": "EU", "scopes": ZONE_SCOPES, "exchange": True}
        grant = await self.control("POST", "/zoho/grants", body)
        self.add_secrets(**{name: grant[name] for name in ("clientId", "clientSecret", "refreshToken")})

    async def control(self, method: str, path: str, body: Any = None) -> Any:
        """What the control API answers."""
        answer = await self._http.request(method, path, json=body)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def settings(self, **more: Any) -> Settings:
        return super().settings(transfer_template=str(self._template), instance=INSTANCE, **more)

    async def start(self) -> None:
        self.node.forget_watchers()
        await super().start()

    def further_work(self) -> Iterable[Coroutine[Any, Any, None]]:
        return (self._transfer(), self.components.sweeper.run())

    async def _transfer(self) -> None:
        await self.components.transfers.list()
        await self.components.transfers.run()

    @property
    def is_calm(self) -> bool:
        return super().is_calm and self.node.is_calm

    async def close(self) -> None:
        """End what outlives the operator."""
        await self.node.close()
        await self._http.aclose()
        self._folder.cleanup()


class _ClusterWithJobs(ApiServer):
    def __init__(self, node: Node) -> None:
        super().__init__()
        self._node = node

    def jobs(self, namespace: str) -> Jobs:
        return self._node.port
