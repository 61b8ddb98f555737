"""Jobs that copy windows, and what was spent of credits, in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from crmflow.reconcile.extraction.credits import Ledger
from crmflow.reconcile.extraction.observed import JobState, TransferJob
from crmflow.reconcile.extraction.pending import JobKey
from crmflow.reconcile.extraction.ports import TransferCredentials, TransferOrder
from crmflow.reconcile.extraction.slots import SLOTS, Waiting, served
from crmflow.transfer.report import ExitCode, Report, TransferResult
from tests.fakes.failing import Failing, Timeline, remote


class FakeTransfers(Failing):
    """Implements the port Transfers. A Job runs until the test ends it."""

    def __init__(self, timeline: Timeline, slots: int = SLOTS) -> None:
        super().__init__(timeline)
        self.obstacle: str | None = None
        self.orders: list[TransferOrder] = []
        """Every Job that was made, the oldest first."""
        self.supplied: dict[tuple[str, JobKey], TransferCredentials] = {}
        """What the Secret of each Job holds."""
        self.waiting: dict[str, tuple[str, Waiting]] = {}
        """Who wants a slot, by uid, and of which organization."""
        self.granted: dict[str, tuple[str, int]] = {}
        """Who may start a Job and has not yet: the organization, and what it is expected to cost."""
        self.lingers = False
        """Whether pods take their time to end once their Jobs are deleted."""
        self._slots = slots
        self._jobs: dict[tuple[str, JobKey], TransferJob] = {}

    def end(self, report: Report, uid: str | None = None) -> None:
        """The Job that runs (that of ``uid``, where several do) ends, and says ``report``."""
        succeeded = report.exit_code == ExitCode.DONE
        self.end_silently(uid, report, JobState.SUCCEEDED if succeeded else JobState.FAILED)

    def show(self, **what: Any) -> None:
        """The Job that runs looks like that now."""
        [key] = self.running
        self._jobs[key] = TransferJob(JobState.RUNNING, **what)

    def end_silently(
        self, uid: str | None = None, report: Report | None = None, state: JobState = JobState.FAILED
    ) -> None:
        """The same without a report: its pod is gone."""
        (key,) = (key for key in self.running if uid in (None, key[0]))
        self._jobs[key] = TransferJob.ended(state, report)

    def fill(self, organization: str) -> None:
        """Others have all slots of an organization."""
        self.granted |= {f"other-{number}": (organization, 0) for number in range(self._slots)}

    def vanish(self, uid: str) -> None:
        """Somebody deletes the Jobs of a dataflow."""
        self._jobs = {key: job for key, job in self._jobs.items() if key[0] != uid}

    @property
    def running(self) -> list[tuple[str, JobKey]]:
        """The Jobs that run: uid of the dataflow, and key."""
        return [key for key, job in self._jobs.items() if job.state is JobState.RUNNING]

    @remote
    async def jobs(self, uid: str) -> Mapping[JobKey, TransferJob]:
        return {key: job for (owner, key), job in self._jobs.items() if owner == uid}

    def may_start(self, organization: str, waiting: Waiting, credits: int = 0) -> bool:
        held, _ = self.granted.get(waiting.uid, (None, 0))
        if held == organization:
            self.granted[waiting.uid] = (organization, credits)
            return True
        self.waits_no_more(waiting.uid)
        self.waiting[waiting.uid] = (organization, waiting)
        others = [wanted for where, wanted in self.waiting.values() if where == organization]
        if waiting not in served(others, self._occupied(organization), self._slots):
            return False
        del self.waiting[waiting.uid]
        self.granted[waiting.uid] = (organization, credits)
        return True

    def waits_no_more(self, uid: str) -> None:
        self.waiting.pop(uid, None)
        self.granted.pop(uid, None)

    def reserved_credits(self, organization: str, besides: str = "") -> int:
        granted = self.granted.items()
        held = sum(cost for uid, (where, cost) in granted if where == organization and uid != besides)
        return held + sum(order.credits for order in self._running_orders(organization))

    @remote
    async def start(self, order: TransferOrder) -> None:
        key = (order.identity.uid, order.job)
        self.waits_no_more(order.identity.uid)
        if key not in self._jobs:
            self.orders.append(order)
            self._jobs[key] = TransferJob(JobState.RUNNING)
        self.supplied[key] = order.credentials

    async def supply(self, uid: str, credentials: TransferCredentials) -> None:
        for key in self.running:
            if key[0] == uid and self.supplied.get(key) != credentials:
                await self._write_secret(key, credentials)

    @remote
    async def delete(self, uid: str, job: JobKey) -> None:
        self._jobs.pop((uid, job), None)

    @remote
    async def delete_all(self, uid: str) -> bool:
        self.waits_no_more(uid)
        self.vanish(uid)
        return not self.lingers

    async def _write_secret(self, key: tuple[str, JobKey], credentials: TransferCredentials) -> None:
        async def write() -> None:
            self.supplied[key] = credentials

        await self.run("supply", (key[0], credentials), write)

    def _occupied(self, organization: str) -> int:
        granted = sum(where == organization for where, _ in self.granted.values())
        return granted + len(self._running_orders(organization))

    def _running_orders(self, organization: str) -> list[TransferOrder]:
        running = set(self.running)
        return [
            order
            for order in self.orders
            if order.organization == organization and (order.identity.uid, order.job) in running
        ]


class FakeCreditLedgers(Failing):
    """Implements the port CreditLedgers. ``now`` is the time at which credits are spent."""

    def __init__(self, timeline: Timeline, now: Callable[[], float]) -> None:
        super().__init__(timeline)
        self._now = now
        self.ledgers: dict[str, Ledger] = {}

    @remote
    async def ledger(self, organization: str, allowance: int = 0) -> Ledger:
        return self.ledgers.get(organization, Ledger())

    @remote
    async def spend(self, organization: str, credits: int) -> None:
        now = datetime.fromtimestamp(self._now(), UTC)
        self.ledgers[organization] = self.ledgers.get(organization, Ledger()).with_spent(credits, now)


def done(result: TransferResult = TransferResult.WRITTEN, *, rows: int = 1, credits: int = 5) -> Report:
    """The report of a transfer that has done what it was told."""
    return Report(exit_code=ExitCode.DONE, reason=result, rows=rows, credits=credits)


def failed(exit_code: ExitCode, reason: str = "Unavailable", message: str = "not available") -> Report:
    """The report of one that has not."""
    return Report(exit_code=exit_code, reason=reason, message=message)
