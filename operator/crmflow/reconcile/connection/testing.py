"""Whether Platform reaches Zoho through the base connection, and how long it may fail before Ready goes."""

from __future__ import annotations

from datetime import timedelta

from crmflow.http.errors import ErrorClass, RemoteError
from crmflow.observability.events import EventType
from crmflow.reconcile.connection import diagnosis
from crmflow.reconcile.connection.conditions import SOURCE_OFFERED, SYNCED, TESTED
from crmflow.reconcile.connection.diagnosis import evidence_of
from crmflow.reconcile.connection.sending import resend_credentials
from crmflow.reconcile.connection.state import ConnectionPass, Reached
from crmflow.reconcile.core import platform_access
from crmflow.reconcile.core.conditions import FALSE, READY, UNKNOWN, Finding
from crmflow.reconcile.core.decide import FAILURES_BEFORE_NOT_READY, STALLED_NET_SECONDS
from crmflow.reconcile.core.engine import step
from crmflow.reconcile.core.outcome import Outcome, PassEndedError, degraded, stalled, transient
from crmflow.reconcile.external.base_connection import BASE_CONNECTION
from crmflow.reconcile.sources.causes import concerns_source
from crmflow.reconcile.sources.connector import Reader

TEST_AGAIN_SECONDS = 150.0
"""Pause before the second and the third test: three that fail are five minutes in which Platform had no
access.
"""
EARLY = 0.1
"""The part of a pause by which jitter may bring a pass forward: that early, a test is due."""


@step(TESTED)
async def test_base_connection(pass_: ConnectionPass, reached: Reached, connection_id: str) -> None:
    """Platform reaches Zoho: asked at creation, after each change of credentials, and at each complete check.
    What somebody may have changed unseen is sent again before a failure counts. A test that failed is
    repeated when it is due, whatever wakes the resource before.
    """
    known, seconds_left = _known_failure(pass_), _seconds_left(pass_)
    if known is not None and seconds_left > 0 and not _was_of_an_update(pass_, known):
        raise PassEndedError(_outcome(pass_, known, seconds_left))
    failure = await run_test(pass_, reached, connection_id)
    may_resend = failure is not None and _may_be_the_credentials(pass_, failure)
    if may_resend and await resend_credentials(pass_, reached, connection_id):
        failure = await run_test(pass_, reached, connection_id)
        if failure is None:
            what = f"the authentication parameters of base connection {connection_id}"
            text = f"Sent {what} again: its test had failed, and now succeeds."
            pass_.record_event("Updated", "Update", text)
    if failure is not None:
        raise PassEndedError(_failed(pass_, failure))
    if pass_.credentials_sent or not pass_.conditions.is_true(TESTED.name):
        # Only now: until here the former grant might have been needed again.
        who = platform_access.connection_key(pass_.identity.namespace, pass_.identity.name)
        await pass_.services.access.drop_former_grants(who)


@step(TESTED)
async def explore(pass_: ConnectionPass, reached: Reached, connection_id: str) -> None:
    """Platform lists Zoho's modules as tables; if it is refused there, the test has failed after all. That
    the test itself has just succeeded says what can't be the cause.
    """
    who = platform_access.connection_key(pass_.identity.namespace, pass_.identity.name)
    reader = Reader(who, reached.sandbox.platform, connection_id)
    try:
        tables = await pass_.services.sources.platform_source.tables(reader, fresh=True)
    except RemoteError as error:
        if error.reason == "SourceNotOffered":
            failure = diagnosis.test_failed(evidence_of(pass_, reached), error)
        elif await _is_of_the_source(reached, connection_id, error):
            failure = diagnosis.listing_refused(evidence_of(pass_, reached), error)
        else:
            raise
        raise PassEndedError(_failed(pass_, failure)) from error
    if pass_.status.test_failures:
        text = "Platform reaches Zoho CRM through the base connection again."
        pass_.record_event("TestSucceeded", "Test", text)
    pass_.record(tables=len(tables), test_failures=None, next_test_time=None)
    pass_.checked = True


def refusal(pass_: ConnectionPass, reached: Reached, error: RemoteError) -> Outcome | None:
    """The outcome of a create or an update that Platform refuses because of the source, which it tried by the
    way: as much as a test that fails. None for any other error.
    """
    if error.reason not in ("SourceNotOffered", "SourceRefused"):
        return None
    failure, seconds_left = diagnosis.test_failed(evidence_of(pass_, reached), error), _seconds_left(pass_)
    if error.reason == "SourceNotOffered":
        if SOURCE_OFFERED.name not in pass_.findings:  # else the specifications said it
            pass_.set_condition(SOURCE_OFFERED, FALSE, failure.reason, failure.message)
        return stalled(failure.reason, failure.message)
    return _outcome(pass_, failure, seconds_left) if seconds_left > 0 else _failed(pass_, failure)


async def run_test(pass_: ConnectionPass, reached: Reached, connection_id: str) -> Finding | None:
    """Why Platform does not reach Zoho with what the base connection has; None if it does. May raise
    RemoteError.
    """
    refused = None
    try:
        if await reached.sandbox.platform.test_connection(connection_id):
            return None
    except RemoteError as error:
        says_it = error.reason in ("SourceNotOffered", *diagnosis.NO_RESULT)
        if not says_it and not await _is_of_the_source(reached, connection_id, error):
            raise
        refused = error
    return diagnosis.test_failed(evidence_of(pass_, reached), refused)


async def _is_of_the_source(reached: Reached, connection_id: str, error: RemoteError) -> bool:
    """Whether a refusal to test or to list is that of the source. A 404 may be the base connection's, which
    is asked for itself. May raise RemoteError.
    """
    if error.error_class is ErrorClass.NOT_FOUND:
        return await reached.sandbox.read(BASE_CONNECTION, connection_id) is not None
    return concerns_source(error)


def _may_be_the_credentials(pass_: ConnectionPass, failure: Finding) -> bool:
    if pass_.credentials_sent or pass_.observes:
        return False
    return failure.reason in ("ConnectionTestFailed", "SourceRefused")


def _failed(pass_: ConnectionPass, failure: Finding) -> Outcome:
    """Count a failure, say when the test is repeated, and have the first one of a Ready connection told."""
    failures = min((pass_.status.test_failures or 0) + 1, FAILURES_BEFORE_NOT_READY)
    pass_.record(test_failures=failures)
    pause = _pause(pass_, failure)
    again = None if pause is None else pass_.utcnow + timedelta(seconds=pause)
    pass_.record(next_test_time=again)
    if _stays_ready(pass_) and pass_.conditions.is_true(TESTED.name):
        pass_.record_event(failure.reason, "Test", failure.message, EventType.WARNING)
    return _outcome(pass_, failure, pause)


def _outcome(pass_: ConnectionPass, failure: Finding, seconds: float | None) -> Outcome:
    """What a failure does to the resource until its test is repeated after so many ``seconds``."""
    pass_.set_condition(TESTED, failure.status, failure.reason, failure.message)
    if failure.reason == "SourceNotOffered":
        pass_.set_condition(SOURCE_OFFERED, FALSE, failure.reason, failure.message)
    if seconds is None:
        return transient(failure.reason, failure.message)
    if _stays_ready(pass_):
        return degraded(failure.reason, failure.message, retry_after=seconds)
    return stalled(failure.reason, failure.message, retry_after=seconds)


def _pause(pass_: ConnectionPass, failure: Finding) -> float | None:
    """Seconds until the test is repeated; None where it is tried again like anything that may pass soon."""
    if failure.status == UNKNOWN and not _stays_ready(pass_):
        return None
    return TEST_AGAIN_SECONDS if _is_early(pass_) else STALLED_NET_SECONDS


def _is_early(pass_: ConnectionPass) -> bool:
    return (pass_.status.test_failures or 0) < FAILURES_BEFORE_NOT_READY


def _stays_ready(pass_: ConnectionPass) -> bool:
    """True if the connection is Ready and has not failed too often. An edit that does not change how it signs
    in takes nothing away.
    """
    is_ready = pass_.was_ready or (pass_.conditions.is_true(READY) and not pass_.credentials_changed)
    return is_ready and _is_early(pass_)


def _known_failure(pass_: ConnectionPass) -> Finding | None:
    known = pass_.conditions.get(TESTED.name)
    return None if known is None else Finding(known.status, known.reason, known.message)


def _was_of_an_update(pass_: ConnectionPass, known: Finding) -> bool:
    """True if it was an update that failed, which now was taken or is no longer wanted: nothing is known of
    what the base connection has.
    """
    synced = pass_.conditions.get(SYNCED.name)
    return synced is not None and synced.reason == known.reason


def _seconds_left(pass_: ConnectionPass) -> float:
    """Until the next test. New credentials and a request for a complete check do not wait."""
    due = pass_.status.next_test_time
    if due is None or pass_.credentials_changed or pass_.requested:
        return 0.0
    pause = TEST_AGAIN_SECONDS if _is_early(pass_) else STALLED_NET_SECONDS
    left = due.timestamp() - pass_.now
    return left if EARLY * pause < left <= pause else 0.0  # more is left only if the clock was put back
