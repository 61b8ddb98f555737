"""Whether Platform reaches Zoho through the base connection, and how long it may fail before Ready goes."""

from __future__ import annotations

from datetime import timedelta

from crmflow.observability.events import EventType
from crmflow.reconcile import reach
from crmflow.reconcile.conditions import FALSE, READY, UNKNOWN
from crmflow.reconcile.connection import diagnosis
from crmflow.reconcile.connection.conditions import SOURCE_OFFERED, TESTED
from crmflow.reconcile.connection.diagnosis import Failure
from crmflow.reconcile.connection.state import ConnectionPass
from crmflow.reconcile.connection.update import resend_credentials
from crmflow.reconcile.decide import FAILURES_BEFORE_NOT_READY, STALLED_NET_SECONDS
from crmflow.reconcile.outcome import DONE, Outcome, degraded, stalled, transient
from crmflow.transport.errors import RemoteError

TEST_AGAIN_SECONDS = 150.0
"""Pause before the second and the third test: three that fail are five minutes in which Platform had no
access.
"""
EARLY = 0.1
"""The part of a pause by which jitter may bring a visit forward: that early, a test is due."""
_NO_RESULT = ("Timeout", "Unavailable")


async def test_base_connection(pass_: ConnectionPass) -> Outcome:
    """Platform reaches Zoho: asked at creation, after each change of credentials, and at each complete check.
    What somebody may have changed unseen is sent again before a failure counts. A test that failed is
    repeated when it is due, whatever wakes the resource before.
    """
    connection_id = _base_connection_id(pass_)
    known, seconds_left = _known_failure(pass_), _seconds_left(pass_)
    if known is not None and seconds_left > 0:
        return _outcome(pass_, known, seconds_left)
    failure = await _test(pass_, connection_id)
    if failure and _may_be_the_credentials(pass_, failure) and await resend_credentials(pass_, connection_id):
        failure = await _test(pass_, connection_id)
        if failure is None:
            pass_.tell(
                "Updated",
                "Update",
                f"Sent the authentication parameters of base connection {connection_id} again: its test had "
                "failed, and now succeeds.",
            )
    if failure is not None:
        return _failed(pass_, failure)
    if pass_.credentials_sent or not pass_.conditions.is_true(TESTED.name):
        # Only now: until here the former grant might have been needed again.
        who = reach.holder(pass_.identity.namespace, pass_.identity.name)
        await pass_.services.access.drop_former_grants(who)
    return DONE


async def explore(pass_: ConnectionPass) -> Outcome:
    """Platform lists Zoho's modules as tables; if it is refused there, the test has failed after all."""
    connection_id = _base_connection_id(pass_)
    try:
        tables = await pass_.services.explored.tables(pass_.platform, connection_id, fresh=True)
    except RemoteError as error:
        failure = _refusal(pass_, error)
        if failure is None:
            raise
        return _failed(pass_, failure)
    if pass_.status.test_failures:
        pass_.tell("TestSucceeded", "Test", "Platform reaches Zoho CRM through the base connection again.")
    pass_.record(tables=len(tables), test_failures=None, next_test_time=None)
    pass_.checked = True
    return DONE


async def works(pass_: ConnectionPass, connection_id: str) -> bool:
    """Whether Platform reaches Zoho with what the base connection has. May raise RemoteError."""
    return await _test(pass_, connection_id) is None


def refusal(pass_: ConnectionPass, error: RemoteError) -> Outcome | None:
    """The outcome of a create or an update that Platform refuses because of the source; None for any other
    error.
    """
    failure = _refusal(pass_, error)
    if failure is None:
        return None
    if failure.reason == "SourceNotOffered" and SOURCE_OFFERED.name not in pass_.findings:
        pass_.find(SOURCE_OFFERED, FALSE, failure.reason, failure.message)  # else the specifications said it
    return stalled(failure.reason, failure.message)


async def _test(pass_: ConnectionPass, connection_id: str) -> Failure | None:
    try:
        succeeded = await pass_.platform.test_connection(connection_id)
    except RemoteError as error:
        failure = _refusal(pass_, error)
        if failure is not None:
            return failure
        if error.reason == "RequestRefused":
            return diagnosis.source_refused(pass_, error)
        if error.reason in _NO_RESULT:
            return diagnosis.test_had_no_result(pass_, error)
        raise
    return None if succeeded else diagnosis.test_was_negative(pass_)


def _refusal(pass_: ConnectionPass, error: RemoteError) -> Failure | None:
    """What an error says about the source, which any call that needs it may be answered with."""
    if error.reason == "SourceNotOffered":
        return diagnosis.source_not_offered(error)
    return diagnosis.source_refused(pass_, error) if error.reason == "SourceRefused" else None


def _may_be_the_credentials(pass_: ConnectionPass, failure: Failure) -> bool:
    if pass_.credentials_sent or pass_.observes:
        return False
    return failure.reason in ("ConnectionTestFailed", "SourceRefused")


def _failed(pass_: ConnectionPass, failure: Failure) -> Outcome:
    """Count a failure, say when the test is repeated, and have the first one of a Ready connection told."""
    failures = min((pass_.status.test_failures or 0) + 1, FAILURES_BEFORE_NOT_READY)
    pass_.record(test_failures=failures)
    pause = _pause(pass_, failure)
    again = None if pause is None else pass_.utcnow + timedelta(seconds=pause)
    pass_.record(next_test_time=again)
    if _stays_ready(pass_) and pass_.conditions.is_true(TESTED.name):
        pass_.tell(failure.reason, "Test", failure.message, EventType.WARNING)
    return _outcome(pass_, failure, pause)


def _outcome(pass_: ConnectionPass, failure: Failure, seconds: float | None) -> Outcome:
    """What a failure does to the resource until its test is repeated after so many ``seconds``."""
    pass_.find(TESTED, failure.status, failure.reason, failure.message)
    if failure.reason == "SourceNotOffered":
        pass_.find(SOURCE_OFFERED, FALSE, failure.reason, failure.message)
    if seconds is None:
        return transient(failure.reason, failure.message)
    if _stays_ready(pass_):
        return degraded(failure.reason, failure.message, retry_after=seconds)
    return stalled(failure.reason, failure.message, retry_after=seconds)


def _pause(pass_: ConnectionPass, failure: Failure) -> float | None:
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


def _known_failure(pass_: ConnectionPass) -> Failure | None:
    known = pass_.conditions.get(TESTED.name)
    return None if known is None else Failure(known.status, known.reason, known.message)


def _seconds_left(pass_: ConnectionPass) -> float:
    """Until the next test. New credentials and a request for a complete check do not wait."""
    due = pass_.status.next_test_time
    if due is None or pass_.credentials_changed or pass_.requested:
        return 0.0
    pause = TEST_AGAIN_SECONDS if _is_early(pass_) else STALLED_NET_SECONDS
    left = due.timestamp() - pass_.now
    return left if EARLY * pause < left <= pause else 0.0  # more is left only if the clock was put back


def _base_connection_id(pass_: ConnectionPass) -> str:
    if pass_.base_connection_id is None:
        raise RuntimeError("the base connection is created first")
    return pass_.base_connection_id
