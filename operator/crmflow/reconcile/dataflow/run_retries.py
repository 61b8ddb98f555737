"""Which failed runs are run again, when, and what came of it: worked out from what status knows of the runs.

Platform runs the window of a run again that failed, or that read records and ingested none (platform.md 7.3);
the retry is a run of its own with the same window.

| what is known of the latest run for it     | what follows                                        |
|--------------------------------------------|-----------------------------------------------------|
| it failed                                  | ``Due``, after a pause that grows                   |
| it failed, and the limit is reached        | ``Exhausted``                                       |
| Platform was asked, no run shows yet       | ``Requested``; the run that shows is it             |
| none has shown within ``SHOWS_WITHIN``     | ``Due``: the request counts as never carried out    |
| it goes on                                 | ``Running``                                         |
| it succeeded                               | ``Succeeded``                                       |

The request bears no mark, and its answer may be lost: it is in status before it is sent, and what listings
show of later runs decides whether it was carried out. So no run is asked for twice while the first may still
show.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from crmflow.aep.models import RunState, is_final_state
from crmflow.api.crmdataflow import MAX_RECENT_RUNS, RecentRun, RunRetry, RunRetryState
from crmflow.observability.redaction import shorten
from crmflow.reconcile.extraction.pending import RETRY_SHOWS_WITHIN as SHOWS_WITHIN

PAUSE = timedelta(minutes=5), timedelta(hours=1)
"""First and longest pause after a failure."""
FRESH = timedelta(hours=24)
"""A run that failed longer ago is not run again by itself: who sets a limit means what comes."""
CLOCKS_DIFFER = timedelta(minutes=1)
TOLD = 2
"""More are in status."""
_CAUSE_LENGTH = 256
_INGESTED = (RunState.SUCCESS, RunState.PARTIAL_SUCCESS)


def follow(
    retries: Iterable[RunRetry], recent: Sequence[RecentRun], limit: int, now: datetime
) -> tuple[RunRetry, ...]:
    """What is to be recorded of retries, the oldest first, since these are the last runs. None without a
    limit.
    """
    if limit == 0:
        return ()
    runs = {run.id: run for run in recent}
    kept = [
        _followed(one, runs, limit, now)
        for one in retries
        if not runs.keys().isdisjoint((one.run, *one.runs))
    ]
    known = {run for one in kept for run in (one.run, *one.runs)}
    for run in reversed(recent):
        ended = run.completion_time or run.start_time
        if run.id not in known and failed(run) and ended is not None and now - ended < FRESH:
            due = RunRetry(run=run.id, state=RunRetryState.DUE, retry_time=ended + pause(0))
            kept.append(_followed(due, runs, limit, now))
            known |= {run.id, *kept[-1].runs}
    return tuple(kept[-MAX_RECENT_RUNS:])


def due(retries: Iterable[RunRetry], now: datetime) -> RunRetry | None:
    """The first that is to be asked for now."""
    waiting = (one for one in retries if one.state is RunRetryState.DUE)
    return next((one for one in waiting if one.retry_time is None or one.retry_time <= now), None)


def next_look(retries: Iterable[RunRetry]) -> datetime | None:
    """When something of it has to be looked at again, beside what listings show."""
    times = [one.retry_time for one in retries if one.state is RunRetryState.DUE]
    times += [
        one.request_time + SHOWS_WITHIN
        for one in retries
        if one.state is RunRetryState.REQUESTED and one.request_time
    ]
    return min((time for time in times if time is not None), default=None)


def requested(one: RunRetry, now: datetime) -> RunRetry:
    """Platform is about to be asked."""
    return one.model_copy(
        update={
            "state": RunRetryState.REQUESTED,
            "retries": (one.retries or 0) + 1,
            "request_time": now,
            "retry_time": None,
            "cause": None,
        }
    )


def answered(one: RunRetry, run_id: str) -> RunRetry:
    """Platform runs it again."""
    return one.model_copy(update={"state": RunRetryState.RUNNING, "runs": (*one.runs, run_id)})


def refused(one: RunRetry, cause: str) -> RunRetry:
    """Platform does not run it again, and never will."""
    return one.model_copy(
        update={"state": RunRetryState.REFUSED, "cause": shorten(cause, _CAUSE_LENGTH), "retry_time": None}
    )


def postponed(one: RunRetry, cause: str, now: datetime) -> RunRetry:
    """Nothing was carried out, and asking again may help: the request does not count."""
    retries = max(0, (one.retries or 0) - 1)
    return one.model_copy(
        update={
            "state": RunRetryState.DUE,
            "retries": retries,
            "retry_time": now + pause(retries),
            "cause": shorten(cause, _CAUSE_LENGTH),
        }
    )


def latest(one: RunRetry) -> str:
    """The run that Platform is asked to run again."""
    return one.runs[-1] if one.runs else one.run


def failed(run: RecentRun) -> bool:
    """Whether Platform would run it again: it failed, or read records and ingested none. One that had nothing
    to read has nothing to read again.
    """
    records = run.records
    if run.state in _INGESTED:
        return records is not None and records.written == 0 and bool(records.read)
    return run.state == RunState.FAILED


def pause(retries: int) -> timedelta:
    """After so many retries."""
    first, longest = PAUSE
    return min(longest, first * 2.0 ** min(retries, 16))


def is_given_up(retries: Iterable[RunRetry]) -> bool:
    """Whether the work of a run stays undone unless a person does something."""
    return any(one.state in (RunRetryState.EXHAUSTED, RunRetryState.REFUSED) for one in retries)


def in_words(retries: Iterable[RunRetry], limit: int) -> str:
    """What people have to know of it: a sentence each, beginning with a space."""
    told = [text for one in retries if (text := _in_words(one, limit))]
    return "".join(f" {text}" for text in told[-TOLD:])


def _followed(one: RunRetry, runs: Mapping[str, RecentRun], limit: int, now: datetime) -> RunRetry:
    made = _made_for(one, runs)
    if made:
        update = {
            "state": RunRetryState.RUNNING,
            "runs": (*one.runs, *made),
            "retry_time": None,
            "cause": None,
        }
        one = one.model_copy(update=update)
    if one.state is RunRetryState.REFUSED:
        return one
    if one.state is RunRetryState.REQUESTED:
        asked = one.request_time
        if asked is None or now < asked + SHOWS_WITHIN:
            return one
        return _after_failure(one, limit, asked + SHOWS_WITHIN)
    last = runs.get(latest(one))
    if last is None:
        return one
    if last.completion_time is None and not is_final_state(last.state or ""):
        return one.model_copy(update={"state": RunRetryState.RUNNING})
    if not failed(last):
        return one.model_copy(update={"state": RunRetryState.SUCCEEDED, "retry_time": None, "cause": None})
    if one.state is RunRetryState.DUE and (one.retries or 0) < limit:
        return one
    ended = last.completion_time or last.start_time or now
    return _after_failure(one, limit, ended + pause(one.retries or 0))


def _after_failure(one: RunRetry, limit: int, at: datetime) -> RunRetry:
    if (one.retries or 0) >= limit:
        return one.model_copy(update={"state": RunRetryState.EXHAUSTED, "retry_time": None})
    return one.model_copy(update={"state": RunRetryState.DUE, "retry_time": at})


def _made_for(one: RunRetry, runs: Mapping[str, RecentRun]) -> list[str]:
    """Later runs of the same window that are not recorded yet: our request was carried out, or somebody has
    run it again by hand. Where runs do not tell their windows, the first run since a request is taken for it.
    """
    known = [runs[run] for run in (one.run, *one.runs) if run in runs]
    window = next((run.window for run in known if run.window), None)
    since = max((run.start_time for run in known if run.start_time), default=None)
    later = sorted(
        (
            (run.start_time, run.id)
            for run in runs.values()
            if run.id not in (one.run, *one.runs)
            and run.start_time is not None
            and (since is None or run.start_time > since)
            and (run.window == window if window else _follows_request(one, run))
        ),
    )
    return [run for _, run in later] if window else [run for _, run in later[:1]]


def _follows_request(one: RunRetry, run: RecentRun) -> bool:
    asked = one.request_time if one.state is RunRetryState.REQUESTED else None
    return asked is not None and run.start_time is not None and run.start_time >= asked - CLOCKS_DIFFER


def _in_words(one: RunRetry, limit: int) -> str:
    match one.state:
        case RunRetryState.DUE:
            at = f" at {one.retry_time:%Y-%m-%dT%H:%M:%SZ}" if one.retry_time else ""
            before = f", since the last request did not work: {one.cause}" if one.cause else ""
            return _sentence(f"Run {one.run} is run again{at} ({(one.retries or 0) + 1} of {limit}){before}")
        case RunRetryState.REQUESTED:
            return f"Platform was asked to run {one.run} again; the new run does not show yet."
        case RunRetryState.RUNNING:
            return f"Run {latest(one)} is to do what {one.run} has not."
        case RunRetryState.EXHAUSTED:
            return (
                f"What run {one.run} should have read is missing, and spec.runs.retryLimit, {limit}, is used "
                "up. Remove the cause, then run it again in Platform under Sources, Dataflows."
            )
        case RunRetryState.REFUSED:
            return _sentence(f"Platform does not run {one.run} again: {one.cause or 'it gives no reason'}")
    return ""


def _sentence(text: str) -> str:
    return text if text.endswith((".", "…")) else f"{text}."
