"""A hundred dataflows of one organization share its slots and its credits."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from crmflow.reconcile.extraction.credits import allowance
from crmflow.reconcile.extraction.names import organization_label
from crmflow.reconcile.extraction.ports import TransferOrder
from crmflow.reconcile.extraction.slots import SLOTS
from crmflow.transfer.report import ExitCode, Report, TransferResult
from tests.unit.reconcile.harness import Harness, Resource

CROWD = 100
ORGANIZATION = organization_label("org-1", "Production")
ROWS = 39_000
"""In each window; Zoho asks many credits for them."""
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


class Crowd:
    """The dataflows, visited in turn, and their Jobs, of which each takes a minute."""

    def __init__(self, edition: str) -> None:
        self.allowance = allowance(edition)
        self.harness = Harness()
        first = self.harness.dataflow(transport="LandingZone")
        self.harness.open_landing_zone(edition)
        self.harness.zoho.crm.modify("Contacts", datetime(2020, 1, 1, tzinfo=UTC), ROWS)
        self.resources = [
            Resource(self.harness, first.kind, f"contacts-{number}", first.spec, uid=f"uid-{number}")
            for number in range(CROWD)
        ]
        self.windows: Counter[str] = Counter()
        """Files written, by uid."""

    @property
    def now(self) -> datetime:
        return datetime.fromtimestamp(self.harness.clock.now(), UTC)

    @property
    def waiting(self) -> list[Resource]:
        """Those without a file."""
        return [resource for resource in self.resources if not self.windows[resource.uid]]

    @property
    def spent(self) -> int:
        """Credits of the last 24 hours."""
        ledger = self.harness.credit_ledgers.ledgers.get(ORGANIZATION)
        return ledger.spent(self.now) if ledger else 0

    async def minute(self) -> None:
        """Whoever waits is visited, and what runs ends; where nothing does, an hour passes."""
        for resource in self.waiting:
            await resource.visit()
            self._check()
        running = self._running()
        for order in running:
            self._finish(order)
        for resource in self.resources:
            if any(order.identity.uid == resource.uid for order in running):
                await resource.visit()  # and what its Job has cost is in the ledger
        self.harness.clock.time += (MINUTE if running else HOUR).total_seconds()

    def _check(self) -> None:
        transfers = self.harness.transfers
        assert len(transfers.running) <= SLOTS
        reserved = transfers.reserved_credits(ORGANIZATION)
        assert self.spent + reserved <= self.allowance

    def _running(self) -> list[TransferOrder]:
        running = set(self.harness.transfers.running)
        return [
            order for order in self.harness.transfers.orders if (order.identity.uid, order.job) in running
        ]

    def _finish(self, order: TransferOrder) -> None:
        uid, counts = order.identity.uid, str(ROWS)
        self.harness.access.zone.put(
            order.declaration.file,
            self.harness.clock.now(),
            rows=counts,
            deleted="0",
            bytes="100",
            countbefore=counts,
            countafter=counts,
        )
        report = Report(
            exit_code=ExitCode.DONE, reason=TransferResult.WRITTEN, rows=ROWS, credits=order.credits
        )
        self.harness.transfers.end(report, uid)
        self.windows[uid] += 1


@pytest.mark.parametrize(
    ("edition", "within"), [("enterprise", timedelta(minutes=30)), ("free", timedelta(days=2))]
)
async def test_a_hundred_dataflows_keep_to_slots_and_credits_and_all_get_their_turn(
    edition: str, within: timedelta
) -> None:
    """The credits of a free edition do not suffice for all of them on one day."""
    crowd = Crowd(edition)
    begun = crowd.now
    while crowd.waiting:
        assert crowd.now < begun + within, f"{len(crowd.waiting)} have waited all the time"
        await crowd.minute()
    assert set(crowd.windows.values()) == {1}
