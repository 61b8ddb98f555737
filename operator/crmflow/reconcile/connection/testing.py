"""Whether Platform reaches Zoho through the base connection, and how long it may fail before Ready goes."""

from __future__ import annotations

from crmflow.observability.events import EventType
from crmflow.reconcile import reach
from crmflow.reconcile.conditions import FALSE, UNKNOWN
from crmflow.reconcile.connection import diagnosis
from crmflow.reconcile.connection.conditions import SOURCE_OFFERED, TESTED
from crmflow.reconcile.connection.diagnosis import Failure
from crmflow.reconcile.connection.state import ConnectionPass
from crmflow.reconcile.connection.update import resend_credentials
from crmflow.reconcile.decide import FAILURES_BEFORE_NOT_READY
from crmflow.reconcile.outcome import DONE, Outcome, degraded, stalled, transient
from crmflow.transport.errors import RemoteError

TEST_AGAIN_SECONDS = 150.0
"""Pause before the second and the third test: three that fail are five minutes in which Platform had no
access.
"""
_REFUSED = ("SourceRefused", "RequestRefused")
_NO_RESULT = ("Timeout", "Unavailable")


async def test_base_connection(pass_: ConnectionPass) -> Outcome:
    """Platform reaches Zoho: asked at creation, after each change of credentials, and at each complete check.
    What somebody may have changed unseen is sent again before a failure counts.
    """
    connection_id = pass_.base_connection_id
    if connection_id is None:
        raise RuntimeError("the base connection is created first")
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
    if failure is None:
        if pass_.status.test_failures:
            pass_.tell(
                "TestSucceeded", "Test", "Platform reaches Zoho CRM through the base connection again."
            )
        pass_.record(test_failures=None)
        if pass_.credentials_sent or not pass_.conditions.is_true(TESTED.name):
            # Only now: until here the former grant might have been needed again.
            who = reach.holder(pass_.identity.namespace, pass_.identity.name)
            await pass_.services.access.drop_former_grants(who)
        return DONE
    return _outcome(pass_, failure)


def refusal(pass_: ConnectionPass, error: RemoteError) -> Outcome | None:
    """The outcome of a create or an update that Platform refuses because of the source; None for any other
    error.
    """
    if error.reason == "SourceNotOffered":
        failure = diagnosis.source_not_offered(error)
        if SOURCE_OFFERED.name not in pass_.findings:  # the specifications may have said it already
            pass_.find(SOURCE_OFFERED, FALSE, failure.reason, failure.message)
    elif error.reason == "SourceRefused":
        failure = diagnosis.source_refused(pass_, error)
    else:
        return None
    return stalled(failure.reason, failure.message)


async def _test(pass_: ConnectionPass, connection_id: str) -> Failure | None:
    try:
        succeeded = await pass_.platform.test_connection(connection_id)
    except RemoteError as error:
        if error.reason == "SourceNotOffered":
            return diagnosis.source_not_offered(error)
        if error.reason in _REFUSED:
            return diagnosis.source_refused(pass_, error)
        if error.reason in _NO_RESULT:
            return diagnosis.test_had_no_result(pass_, error)
        raise
    return None if succeeded else diagnosis.test_was_negative(pass_)


def _may_be_the_credentials(pass_: ConnectionPass, failure: Failure) -> bool:
    if pass_.credentials_sent or pass_.observes:
        return False
    return failure.reason in ("ConnectionTestFailed", *_REFUSED)


def _outcome(pass_: ConnectionPass, failure: Failure) -> Outcome:
    failures = min((pass_.status.test_failures or 0) + 1, FAILURES_BEFORE_NOT_READY)
    pass_.record(test_failures=failures)
    pass_.find(TESTED, failure.status, failure.reason, failure.message)
    if failure.reason == "SourceNotOffered":
        pass_.find(SOURCE_OFFERED, FALSE, failure.reason, failure.message)
    again = TEST_AGAIN_SECONDS if failures < FAILURES_BEFORE_NOT_READY else None
    if pass_.was_ready and again:
        if pass_.conditions.is_true(TESTED.name):
            pass_.tell(failure.reason, "Test", failure.message, EventType.WARNING)
        return degraded(failure.reason, failure.message, retry_after=again)
    if failure.status == UNKNOWN:
        return transient(failure.reason, failure.message)
    return stalled(failure.reason, failure.message, retry_after=again)
