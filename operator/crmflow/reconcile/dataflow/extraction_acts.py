"""What is done about windows once it is recorded: Jobs are started and removed, credentials renewed, runs
done again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar

from crmflow.aep.models import Column
from crmflow.http.errors import ErrorClass, RemoteError
from crmflow.observability.events import EventType
from crmflow.reconcile.core.conditions import FALSE, Finding
from crmflow.reconcile.core.outcome import explain
from crmflow.reconcile.core.platform_access import connection_key
from crmflow.reconcile.dataflow import extraction_report as report
from crmflow.reconcile.dataflow.state import DataflowPass, Upstream
from crmflow.reconcile.dataflow.transfer_orders import account, order, way_of
from crmflow.reconcile.extraction import credits
from crmflow.reconcile.extraction.observed import JobState
from crmflow.reconcile.extraction.pending import (
    DeleteTransfer,
    JobKey,
    Observed,
    PendingWindow,
    RenewCredential,
    ReTrigger,
    StartTransfer,
    Step,
)
from crmflow.reconcile.extraction.ports import TransferCredentials
from crmflow.reconcile.extraction.slots import Waiting
from crmflow.reconcile.ports import LandingZoneFile
from crmflow.transfer.report import ExitCode
from crmflow.zoho.api import CrmApi

JOB_LOOK = timedelta(minutes=1)
"""How often a Job that runs is looked at, beside its end: it is given the token that is good by then."""
CREDITS_LOOK = timedelta(minutes=5)
"""When to look again for credits that Jobs of others may leave over."""

T = TypeVar("T")


async def folder_files(pass_: DataflowPass, upstream: Upstream) -> Sequence[LandingZoneFile]:
    """What is in the dataflow's folder. May raise RemoteError."""
    zone = pass_.status.landing_zone
    files = pass_.services.access.landing_zone(connection_key(pass_.identity.namespace, upstream.name))
    return await files.list(zone.path.partition("/")[2]) if zone else ()


@dataclass
class Acts:
    """What one pass does about the windows of a dataflow. Its methods may raise RemoteError."""

    pass_: DataflowPass
    upstream: Upstream
    spent: int = field(default=0, init=False)
    """Credits that were spent and are not in the ledger yet."""

    def __post_init__(self) -> None:
        key = connection_key(self.pass_.identity.namespace, self.upstream.name)
        self.files = self.pass_.services.access.landing_zone(key)
        self.account = account(self.pass_, self.upstream)

    async def ask(self, question: Callable[[CrmApi], Awaitable[T]]) -> T:
        """What Zoho CRM answers; its credits are counted."""
        zoho = self.upstream.zoho
        if zoho is None:
            raise ValueError("records are read by a grant")
        return await zoho.ask(self.upstream.spec.zoho.environment, question, self._spend)

    def _spend(self, amount: int) -> None:
        self.spent += amount

    async def settle(self) -> None:
        """Put what was spent into the ledger."""
        spent, self.spent = self.spent, 0
        if spent:
            await self.pass_.services.credit_ledgers.spend(self.account.label, spent)

    async def credits_spent(self, what: str, cost: int, now: datetime) -> Finding | None:
        """Why ``what`` has to wait, which takes ``cost`` credits; None if they may be spent now."""
        pass_, services, account = self.pass_, self.pass_.services, self.account
        ledger = await services.credit_ledgers.ledger(account.label, account.allowance)
        reserved = services.transfers.reserved_credits(account.label, besides=pass_.identity.uid)
        at = ledger.affordable_at(cost, account.allowance, now, reserved)
        if at is not None and at <= now:
            return None
        pass_.look_again(at or now + CREDITS_LOOK)
        return report.credits_spent(what, cost, account.allowance, at)

    async def carry_out(self, step: Step, seen: Observed) -> Finding | None:
        """Do what ``step`` says; why no Job is started, if one should be and has to wait."""
        blocked = None
        for action in step.actions:
            match action:
                case DeleteTransfer(job):
                    await self._delete(job, seen)
                case RenewCredential(exit_code):
                    await self._renew(exit_code)
                case ReTrigger(run_id):
                    await self._re_trigger(run_id)
                case StartTransfer(pending):
                    blocked = await self._start(pending, seen.now)
        if any(job.state is JobState.RUNNING for job in seen.jobs.values()):
            await self.pass_.services.transfers.supply(self.pass_.identity.uid, await self._credentials())
            self.pass_.look_again(seen.now + JOB_LOOK)
        return blocked

    async def _delete(self, job: JobKey, seen: Observed) -> None:
        """What it has cost is in the ledger before it goes: counted twice is better than never."""
        told = seen.jobs[job].report
        if told is not None:
            self.spent += told.credits
            await self.settle()
        await self.pass_.services.transfers.delete(self.pass_.identity.uid, job)

    async def _renew(self, exit_code: ExitCode) -> None:
        if exit_code is ExitCode.SAS:
            self.files.reject((await self.files.credentials()).sas_uri)
        elif self.upstream.zoho is not None:
            await self.upstream.zoho.renew()

    async def _re_trigger(self, run_id: str) -> None:
        """Platform does a failed run again; one that it does not take is told, and counts as asked for."""
        try:
            await self.upstream.sandbox.platform.retry_run(run_id)
        except RemoteError as error:
            if error.error_class not in (ErrorClass.TERMINAL, ErrorClass.NOT_FOUND):
                raise
            text = f"Platform does not do run {run_id} again: {explain(error)}"
            self.pass_.record_event("RetryRefused", "Retry", text, EventType.WARNING)
        else:
            self.pass_.record_event("RunRetried", "Retry", f"Asked Platform to do run {run_id} again.")

    async def _start(self, one: PendingWindow, now: datetime) -> Finding | None:
        """Make the Job of a window, or say what it has to wait for."""
        pass_, services, label = self.pass_, self.pass_.services, self.account.label
        if not pass_.spec.ingestion.enabled and pass_.recorded_id is not None:
            return report.DISABLED
        columns = await self.columns()
        cost = credits.cost(way_of(pass_, one, columns), one.rows, len(columns))
        if (spent := await self.credits_spent("Reading the next window", cost, now)) is not None:
            return spent
        if not services.transfers.may_start(label, Waiting(one.turn, pass_.identity.uid), cost):
            pass_.waits_for_slot = True
            return Finding(
                FALSE, "WaitingForSlot", "Other dataflows of this organization of Zoho CRM are being read."
            )
        wanted = order(pass_, self.upstream, one, columns, await self._credentials())
        await services.transfers.start(wanted)
        pass_.look_again(now + JOB_LOOK)
        return None

    async def columns(self) -> Sequence[Column]:
        """The columns of the dataflow as Zoho CRM shows them, in the order of status."""
        table = self.pass_.spec.source.table
        view = await self.upstream.connector.look(self.upstream.reader(self.pass_), table)
        shown = view.columns if view is not None else {}
        return [shown.get(name) or _plain(name) for name in self.pass_.status.columns]

    async def _credentials(self) -> TransferCredentials:
        if self.upstream.zoho is None:
            raise ValueError("records are read by a grant")
        token = await self.upstream.zoho.access_token()
        return TransferCredentials(token, (await self.files.credentials()).sas_uri)


def _plain(name: str) -> Column:
    """One that Zoho shows no more: the transfer says so in Zoho's words."""
    return Column(name=name, type="string", is_date=False, raw={"name": name, "type": "string"}, format="")
