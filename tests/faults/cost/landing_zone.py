"""A tenant whose records come through the landing zone, and what happens to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hack.emulators import Control
from tests.faults.bench import URLS, Bench
from tests.faults.cost.bill import Bill
from tests.faults.cost.life import Life, Phases
from tests.faults.cost.played_jobs import PlayedJobs
from tests.kit import manifests
from tests.kit.cluster import Object
from tests.kit.landing_zone import (
    COLUMNS,
    HOUR,
    LAG,
    LEAD,
    NOTHING_LEFT,
    SHOWS,
    Contacts,
    Transfers,
    grant_reads,
    pod_template,
)
from tests.kit.tenant import Tenant

SLOTS = 20
"""More than an installation has from the start: with 4, a thousand first loads take half an hour."""
_FIRST_TICK_AFTER = timedelta(hours=2)
"""Long enough for all first loads. All dataflows have one phase, which costs most at once."""
_CALL_SECONDS = 600.0
"""When the clock is moved, the files of a thousand flows are ingested at once."""
_CREDITS = "/zoho/eu/production/credits"


@contextmanager
def landing_zone_tenant(bench: Bench) -> Iterator[tuple[Tenant, PlayedJobs]]:
    """A tenant of an installation that has transfers, and who runs their Jobs."""
    template = pod_template(bench.directory, str(bench.emulators.clock))
    info = bench.emulators.info
    with bench.tenant(CRMFLOW_TRANSFER_TEMPLATE=template, CRMFLOW_TRANSFER_SLOTS=str(SLOTS)) as tenant:
        jobs = PlayedJobs(
            bench.admin,
            tenant.operator.settings["CRMFLOW_POD_NAMESPACE"],
            bench.emulators.clock,
            services={info[url]: service for service, url in URLS.items()},
        )
        bench.control = tenant.control = Control(info["controlUrl"], seconds=_CALL_SECONDS)
        with jobs:
            yield tenant, jobs


class LandingZoneLife(Life):
    """Its windows are hourly: one holds all, one a single change."""

    way = "LandingZone"

    def __init__(
        self, bench: Bench, tenant: Tenant, connections: int, dataflows: int, jobs: PlayedJobs
    ) -> None:
        super().__init__(bench, tenant, connections, dataflows)
        self._jobs = jobs
        self._transfers = Transfers(tenant, tenant.operator.settings["CRMFLOW_POD_NAMESPACE"])
        self._contacts = Contacts(tenant)
        self._tick = (self._now() + _FIRST_TICK_AFTER).replace(microsecond=0)

    @property
    def phases(self) -> Phases:
        windows = (
            ("first run", self._run),
            ("quiet poll", self._poll),
            ("window of 1 change", self._change_and_read),
            ("its run", self._run),
            ("empty window", self._read),
        )
        return (*self._beginning, *windows, *self._rest)

    def bill(self, phase: str, act: Callable[[], None]) -> Bill:
        self._jobs.count_anew()
        spent = self._spent()
        bill = super().bill(phase, act)
        of_jobs = self._jobs.credits
        return replace(
            bill, jobs=self._jobs.calls, credits=self._spent() - spent - of_jobs, job_credits=of_jobs
        )

    def connection_of(self, name: str) -> Object:
        return manifests.connection(self.tenant.namespace, name, transport="LandingZone")

    def dataflow_of(self, name: str, **spec: Any) -> Object:
        start = f"{self._tick:%Y-%m-%dT%H:%M:%SZ}"
        return super().dataflow_of(name, source={"columns": COLUMNS}, schedule={"startTime": start}, **spec)

    def is_settled(self, objects: list[Object]) -> bool:
        """Besides, every window has its file, and no Job is left."""
        pending = [one for obj in objects for one in obj.get("status", {}).get("pendingWindows", ())]
        return (
            super().is_settled(objects)
            and all("file" in one for one in pending)
            and self._transfers.left == NOTHING_LEFT
        )

    def _create_connections(self) -> None:
        grant_reads(self.tenant)
        for name in self._connections:
            self.tenant.cluster.apply(self.connection_of(name))

    def _change_and_read(self) -> None:
        self._contacts.change(self._contacts.ids[0])
        self._read()

    def _read(self) -> None:
        """Let time pass until the window for the coming tick can be read."""
        self._pass_until(self._tick - LEAD + LAG)

    def _run(self) -> None:
        """Let time pass until the run of the coming tick shows."""
        self._pass_until(self._tick + SHOWS)
        self._tick += HOUR

    def _spent(self) -> int:
        return int(self.bench.control.post(_CREDITS, spend=0)["used"])

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self.bench.control.get("/clock")["now"], UTC)

    def _pass_until(self, time: datetime) -> None:
        self.bench.control.advance(max(0.0, (time - self._now()).total_seconds()))
