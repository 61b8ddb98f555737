"""All points of some scenarios at which a fault could matter, on two benches side by side."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from typing import TypeVar

from hack.console import say
from tests.faults.bench import Bench, Kubeconfigs, running_bench
from tests.faults.outcome import Verdict
from tests.faults.points import CRASHES, Fault, FaultPoint
from tests.faults.replay import Recording, record, replay
from tests.faults.scenarios import Scenario

BENCHES = 2
"""A run mostly waits, for a process to start or for quiet: two of them keep two cores busy."""

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Result:
    """What came of one fault."""

    scenario: str
    point: FaultPoint
    verdict: Verdict
    seconds: float

    @property
    def told(self) -> str:
        """In a few words."""
        verdict = self.verdict
        if verdict.converged:
            return ", ".join(["converged", *sorted(verdict.allowed)])
        parts = [f"doubled: {', '.join(verdict.doubled)}"] if verdict.doubled else []
        parts += [f"orphaned: {', '.join(verdict.orphaned)}"] if verdict.orphaned else []
        return "; ".join([*parts, *verdict.differences])


@dataclass
class Tally:
    """What came of all faults, in the order of the points."""

    results: list[Result] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """True if there were faults, and each of them led where the run without one did."""
        return bool(self.results) and all(result.verdict.converged for result in self.results)

    def __str__(self) -> str:
        verdicts = [result.verdict for result in self.results]
        converged = sum(verdict.converged for verdict in verdicts)
        doubled = sum(bool(verdict.doubled) for verdict in verdicts)
        orphaned = sum(bool(verdict.orphaned) for verdict in verdicts)
        return f"{len(verdicts)} fault points, {converged} converged, {doubled} doubled, {orphaned} orphaned"


def run_campaign(
    kubeconfigs: Kubeconfigs,
    directory: Path,
    scenarios: Sequence[Scenario],
    *,
    faults: frozenset[Fault] = CRASHES,
    every: int = 1,
    point: str = "",
    benches: int = BENCHES,
) -> Tally:
    """Have ``faults`` happen in ``scenarios``, at each ``every``-th of their points whose text has ``point``;
    tell how it goes.

    The log of an operator that went astray is kept in ``directory``. Raises DidNotFinishError.
    """

    def recorded(bench: Bench, scenario: Scenario) -> Recording:
        recording = record(bench, scenario, faults)
        say(f"{scenario.name}: {len(recording.points)} points")
        return recording

    def replayed(bench: Bench, job: _Job) -> Result:
        begun = time.monotonic()
        verdict = replay(bench, job.recording, job.point)
        result = Result(job.recording.scenario.name, job.point, verdict, time.monotonic() - begun)
        say(f"[{job.number:3}/{len(jobs)}] {result.scenario}: {job.point}: {result.told}")
        if not verdict.converged:
            kept = directory / f"{result.scenario}-{job.number}.log"
            shutil.copy(bench.log_file, kept)
            say(f"          the operator's log: {kept}")
        return result

    with _crew(kubeconfigs, directory, benches) as crew:
        recordings = crew.map(recorded, scenarios)
        pairs = [(recording, point) for recording in recordings for point in recording.points]
        chosen = [pair for pair in pairs if point in str(pair[1])][::every]
        jobs = [_Job(number, *pair) for number, pair in enumerate(chosen, 1)]
        return Tally(crew.map(replayed, jobs))


@dataclass(frozen=True)
class _Job:
    number: int
    recording: Recording
    point: FaultPoint


class _Crew:
    """Threads that share some benches; each bench serves one of them at a time."""

    def __init__(self, benches: Sequence[Bench], threads: ThreadPoolExecutor) -> None:
        self._threads = threads
        self._idle: SimpleQueue[Bench] = SimpleQueue()
        for bench in benches:
            self._idle.put(bench)

    def map(self, work: Callable[[Bench, T], R], items: Sequence[T]) -> list[R]:
        """``work`` of each item on a bench, in the items' order. Raises what the first failure raised."""

        def on_a_bench(item: T) -> R:
            bench = self._idle.get()
            try:
                return work(bench, item)
            finally:
                self._idle.put(bench)

        return list(self._threads.map(on_a_bench, items))


@contextmanager
def _crew(kubeconfigs: Kubeconfigs, directory: Path, size: int) -> Iterator[_Crew]:
    with ExitStack() as stack:
        directories = [directory / f"bench-{number}" for number in range(1, size + 1)]
        benches = [stack.enter_context(running_bench(kubeconfigs, each)) for each in directories]
        yield _Crew(benches, stack.enter_context(ThreadPoolExecutor(size)))
