"""The last run of each flow of a sandbox, from one listing of runs per poll.

The listing asks for the runs that began since the one before, with an overlap: a run shows only some time
after it began. What it can't show is read by id, many at a time: a run that is known to go on and began
earlier, and one of which so far only its flow tells.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from crmflow.aep.models import Run
from crmflow.clock import Clock

OVERLAP_SECONDS = 900.0
"""How long a run may take to show up in listings, clocks that differ and a crash of ours included."""
FIRST_LOOK_SECONDS = 86400.0
"""How far back the first listing goes where no run is known at all; older ones are known to their flows."""


class RunsClient(Protocol):
    """What the ledger asks of a sandbox. Both may raise RemoteError."""

    async def runs_since(self, since: float) -> Sequence[Run]: ...
    async def runs_by_ids(self, ids: tuple[str, ...]) -> Sequence[Run]: ...


class RunLedger:
    """The last runs of the flows that the cluster knows. Nothing of it has to outlive the process: what an
    earlier one has seen stands in the resources' status.
    """

    def __init__(self, client: RunsClient, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._last: dict[str, Run] = {}
        self._listed_at: float | None = None
        self._asked: set[tuple[str, str]] = set()

    def last_run(self, flow_id: str) -> Run | None:
        """The flow's last run; None if it has none, or before the first listing."""
        return self._last.get(flow_id)

    async def read(self, flows: set[str], told: Iterable[Run]) -> None:
        """Bring it up to date for ``flows``. ``told`` is what statuses and flows say of their last runs.
        Raises RemoteError.
        """
        hints = [run for run in told if run.flow_id in flows]
        begun_at = self._clock.now()
        listed = await self._client.runs_since(self._since(hints))
        self._last = {flow: run for flow, run in self._last.items() if flow in flows}
        self._note(hints)
        self._note(run for run in reversed(listed) if run.flow_id in flows)
        unseen = self._incomplete() - {run.id for run in listed}
        if unseen:
            found = await self._client.runs_by_ids(tuple(sorted(unseen)))
            self._note(run for run in found if run.flow_id in flows)
        self._listed_at = begun_at

    def _since(self, hints: Sequence[Run]) -> float:
        if self._listed_at is not None:
            return self._listed_at - OVERLAP_SECONDS
        now = self._clock.now()
        begun = [run.started_at for run in hints if run.started_at is not None and run.started_at <= now]
        return max(begun) - OVERLAP_SECONDS if begun else now - FIRST_LOOK_SECONDS

    def _note(self, runs: Iterable[Run]) -> None:
        for run in runs:
            if run.supersedes(self._last.get(run.flow_id)):
                self._last[run.flow_id] = run

    def _incomplete(self) -> set[str]:
        """Runs that go on, and runs that ended and were not read since. What could not be read once is not
        asked for again.
        """
        goes_on = {run.id for run in self._last.values() if not run.is_final}
        ended = {(run.id, run.state) for run in self._last.values() if run.is_final and run.metrics is None}
        news = ended - self._asked
        self._asked = ended
        return goes_on | {run_id for run_id, _ in news}
