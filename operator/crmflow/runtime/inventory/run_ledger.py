"""The last runs of each flow of a sandbox, from one listing of runs per poll.

The listing asks for the runs that began since the one before, with an overlap: a run shows only some time
after it began. What it can't show is read by id, many at a time: a run that is known to go on and began
earlier, and one of which so far only its flow tells.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from crmflow.aep.collection import Collection, Selection, StartedAfter, WithIds
from crmflow.aep.flow_service import RUNS
from crmflow.aep.models import Run
from crmflow.api.crmdataflow import MAX_RECENT_RUNS
from crmflow.clock import Clock
from crmflow.http.errors import RemoteError
from crmflow.reconcile.core.decide import FAILURES_BEFORE_NOT_READY
from crmflow.reconcile.core.outcome import is_refusal

OVERLAP_SECONDS = 900.0
"""How long a run may take to show up in listings, clocks that differ and a crash of ours included."""
FIRST_LOOK_SECONDS = 86400.0
"""How far back the first listing goes where no run is known at all; older ones are known to their flows."""
LONGEST_LOOK_SECONDS = 7 * 86400.0
"""The same after a restart, at most: the listing has the runs of all flows of the sandbox. If the operator
was away for longer, flows tell their last runs.
"""
MOST_KEPT = 20_000
"""Runs that are kept until statuses tell of them, about a kilobyte each. If there are more, as when many
dataflows are paused for long, each flow keeps as many as its status has room for, the newest.
"""


L = TypeVar("L")


class ListingClient(Protocol):
    """What is asked of a sandbox here. May raise RemoteError."""

    async def list(self, collection: Collection[Any, L], selection: Selection = None) -> Sequence[L]: ...


class RunLedger:
    """The last runs of the flows that the cluster knows. Nothing of it has to outlive the process: what an
    earlier one has seen stands in the resources' status.
    """

    def __init__(self, client: ListingClient, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._last: dict[str, Run] = {}
        self._found: dict[str, dict[str, Run]] = {}
        self._listed_at: float | None = None
        self._asked: set[tuple[str, str]] = set()
        self._failures = 0
        self._error: RemoteError | None = None

    def last_run(self, flow_id: str) -> Run | None:
        """The flow's last run; None if it has none, or before the first listing."""
        return self._last.get(flow_id)

    def found(self, flow_id: str) -> Sequence[Run]:
        """What listings have shown of the flow since it was last forgotten."""
        return tuple(self._found.get(flow_id, {}).values())

    def forget(self, flow_id: str) -> None:
        """The resource of the flow tells of all that was found."""
        self._found.pop(flow_id, None)

    @property
    def unread(self) -> RemoteError | None:
        """Why runs can't be listed: a refusal at once, anything else when it has lasted for some polls."""
        error = self._error
        lasts = error is not None and (is_refusal(error) or self._failures >= FAILURES_BEFORE_NOT_READY)
        return error if lasts else None

    async def read(self, flows: set[str], told: Iterable[Run], shown: Iterable[Run] = ()) -> None:
        """Bring it up to date for ``flows``. ``told`` is what statuses say of their last runs, ``shown`` what
        the flows themselves show. Raises RemoteError.
        """
        try:
            await self._read(
                flows,
                [run for run in told if run.flow_id in flows],
                [run for run in shown if run.flow_id in flows],
            )
        except RemoteError as error:
            self._failures, self._error = self._failures + 1, error
            raise
        self._failures, self._error = 0, None

    async def _read(self, flows: set[str], told: Sequence[Run], shown: Sequence[Run]) -> None:
        begun_at = self._clock.utcnow().timestamp()
        listed = await self._client.list(RUNS, StartedAfter(self._since(told)))
        self._last = {flow: run for flow, run in self._last.items() if flow in flows}
        self._found = {flow: runs for flow, runs in self._found.items() if flow in flows}
        self._note((*told, *shown))
        self._find(run for run in reversed(listed) if run.flow_id in flows)
        unseen = self._incomplete(told, shown) - {run.id for run in listed}
        if unseen:
            found = await self._client.list(RUNS, WithIds(tuple(sorted(unseen))))
            self._find(run for run in found if run.flow_id in flows)
        self._listed_at = begun_at

    def _since(self, told: Sequence[Run]) -> float:
        """After a restart, what the last one that is told of may have missed: that one shows when runs were
        last looked at. What flows show may be much later.
        """
        now = self._clock.utcnow().timestamp()
        if self._listed_at is not None:  # later than now, if the clock was wrong then and is right again
            return min(self._listed_at, now) - OVERLAP_SECONDS
        begun = [run.started_at for run in told if run.started_at is not None and run.started_at <= now]
        if not begun:
            return now - FIRST_LOOK_SECONDS
        return max(max(begun) - OVERLAP_SECONDS, now - LONGEST_LOOK_SECONDS)

    def _note(self, runs: Iterable[Run]) -> None:
        for run in runs:
            if run.supersedes(self._last.get(run.flow_id)):
                self._last[run.flow_id] = run

    def _find(self, runs: Iterable[Run]) -> None:
        of_flow: dict[str, list[Run]] = defaultdict(list)
        for run in runs:
            of_flow[run.flow_id].append(run)
        for flow, listed in of_flow.items():
            self._note(listed)
            known = {**self._found.get(flow, {}), **{run.id: run for run in listed}}
            self._found[flow] = known
        if sum(map(len, self._found.values())) > MOST_KEPT:
            self._found = {flow: _newest(runs) for flow, runs in self._found.items()}

    def _incomplete(self, told: Sequence[Run], shown: Sequence[Run]) -> set[str]:
        """Runs that go on, and runs that ended and were not read since. What could not be read once is not
        asked for again. That a flow shows an end is less than what the run shows.
        """
        found = [run for runs in self._found.values() for run in runs.values()]
        known = [*self._last.values(), *found, *told]
        goes_on = {run.id for run in (*known, *shown) if not run.is_final}
        goes_on -= {run.id for run in known if run.is_final}
        ended = {(run.id, run.state) for run in self._last.values() if run.is_final and run.metrics is None}
        news = ended - self._asked
        self._asked = ended
        return goes_on | {run_id for run_id, _ in news}


def _newest(runs: Mapping[str, Run]) -> dict[str, Run]:
    return {run.id: run for run in sorted(runs.values(), key=_age)[-MAX_RECENT_RUNS:]}


def _age(run: Run) -> tuple[float, str]:
    """Orders runs as status does, to the second; one that waits is the newest."""
    began = run.started_at or run.completed_at
    return (int(began) if began else 0 if run.is_final else math.inf), run.id
