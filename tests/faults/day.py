"""A day of one credential, shared by many connections, with restarts in between: what it asks of Zoho."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hack.console import Step, ToolError
from tests.faults.bench import Kubeconfigs, running_bench
from tests.kit import manifests
from tests.kit.tenant import CONNECTION, Tenant

DAY_SECONDS = 86_400.0
STEP_SECONDS = 300.0
_QUIET_SECONDS = 0.4
_SETTLE_SECONDS = 120.0


@dataclass
class Day:
    """What a day has come to; tokens are known by their hashes."""

    used: set[str] = field(default_factory=set)
    refreshes: int = 0
    unauthorized: int = 0
    throttled: int = 0

    def count(self, exchange: Mapping[str, Any]) -> None:
        """Take one exchange of the emulators into account."""
        service, status = exchange["service"], exchange["status"]
        if service == "zoho-accounts" and exchange["path"].endswith("/token"):
            if status == 200 and "access_token" in (exchange["responseBody"] or {}):
                self.refreshes += 1
            else:
                self.throttled += 1
        elif service == "zoho-api":
            self.used.add(exchange["headers"]["Authorization"].split()[-1])
            self.unauthorized += status == 401
            self.throttled += status == 429
        elif service == "platform":
            self.used.update(_tokens_in(exchange["body"]))
            self.unauthorized += status == 401

    @property
    def is_as_promised(self) -> bool:
        """One request per token, 34 to 38 of them at two thirds of an hour, and no refusal."""
        refused = self.unauthorized + self.throttled
        return 34 <= self.refreshes <= 38 and len(self.used) == self.refreshes and refused == 0

    def __str__(self) -> str:
        return (
            f"{len(self.used)} lives, {self.refreshes} refreshes, {self.unauthorized} unauthorized, "
            f"{self.throttled} throttled"
        )


def live_a_day(kubeconfigs: Kubeconfigs, directory: Path, connections: int, restarts: int) -> Day:
    """Live it. Raises ToolError if something does not settle, or a base connection has an old token."""
    with (
        running_bench(kubeconfigs, directory) as bench,
        bench.tenant(CRMFLOW_RESYNC_INTERVAL="6h") as tenant,
    ):
        names = [f"{manifests.CONNECTION}-{number}" for number in range(connections)]
        tenant.apply_secrets()
        for name in names:
            tenant.cluster.apply(manifests.connection(tenant.namespace, name))
        for name in names:
            tenant.cluster.wait_ready(CONNECTION, name, tenant.namespace, seconds=_SETTLE_SECONDS)
        steps = int(DAY_SECONDS / STEP_SECONDS)
        restarted_at = set(random.Random(1).sample(range(steps), restarts))
        with Step("Living a day") as progress:
            for step in range(steps):
                progress.update(f"{step * STEP_SECONDS / 3600:.1f} h")
                tenant.control.advance(STEP_SECONDS)
                if step in restarted_at:
                    tenant.operator.restart()
                _settle(tenant)
        day = Day()
        for line in bench.emulators.exchanges.read_text().splitlines():
            day.count(json.loads(line))
        _check_held(tenant, connections)
        return day


def _settle(tenant: Tenant) -> None:
    """Wait until nobody is asked for anything any more."""
    deadline = time.monotonic() + _SETTLE_SECONDS
    asked = -1
    while (now := tenant.mark()) != asked:
        if time.monotonic() > deadline:
            raise ToolError("the operator does not come to rest")
        asked = now
        time.sleep(_QUIET_SECONDS)


def _check_held(tenant: Tenant, connections: int) -> None:
    held = {str(connection["auth"]["params"]["accessToken"]) for connection in tenant.held("connections")}
    ready = [obj for obj in tenant.cluster.list(CONNECTION, tenant.namespace) if _is_ready(obj)]
    # Two, while the newest is on its way to those who share it.
    if len(held) > 2 or len(ready) != connections:
        raise ToolError(f"{len(held)} tokens are held, {len(ready)} connections are Ready")


def _is_ready(obj: Mapping[str, Any]) -> bool:
    conditions = (obj.get("status") or {}).get("conditions", [])
    return any(entry["type"] == "Ready" and entry["status"] == "True" for entry in conditions)


def _tokens_in(body: object) -> set[str]:
    """Access tokens anywhere in a request to Flow Service."""
    if isinstance(body, Mapping):
        own = {str(body["accessToken"])} if "accessToken" in body else set()
        return own.union(*(_tokens_in(value) for value in body.values()))
    if isinstance(body, list):
        return set().union(*(_tokens_in(value) for value in body))
    return set()
