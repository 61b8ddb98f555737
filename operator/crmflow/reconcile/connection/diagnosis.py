"""What a failing test means: what ``Tested`` says then, Unknown where the test had no result."""

from __future__ import annotations

from crmflow.http.errors import RemoteError
from crmflow.reconcile.connection.state import ConnectionPass, Reached
from crmflow.reconcile.core.conditions import FALSE, UNKNOWN, Finding
from crmflow.reconcile.sources import causes
from crmflow.reconcile.sources.causes import Evidence, quoted
from crmflow.reconcile.sources.offer import ANNOUNCEMENT

NO_RESULT = ("Timeout", "Unavailable")
"""Platform failed at the test, or took too long; a silent firewall looks like that, too."""


def evidence_of(pass_: ConnectionPass, reached: Reached) -> Evidence:
    """What a pass has found out. Which grant an observed base connection has, nobody knows."""
    return Evidence(
        name=pass_.identity.name,
        namespace=pass_.identity.namespace,
        allow_list=pass_.status.ip_allow_list,
        own_call=False if pass_.observes else pass_.own_call,
        is_withdrawn=reached.offer.obstacle is not None,
        has_params=bool(pass_.spec.platform.auth_params),
    )


def test_failed(evidence: Evidence, error: RemoteError | None) -> Finding:
    """What a test that did not succeed says; without ``error``, Platform says that it failed and nothing
    else.
    """
    if error is None:
        text = "Platform did not reach Zoho CRM through the base connection and gave no reason."
        return Finding(FALSE, "ConnectionTestFailed", f"{text} {causes.of_a_test(evidence)}")
    said, likely = quoted(error), causes.of_a_test(evidence, error.message)
    if error.reason == "SourceNotOffered":  # Platform knows no such source any more (platform.md 16.2)
        text = f"Platform refuses the Zoho CRM source: {said} {ANNOUNCEMENT}"
        return Finding(FALSE, "SourceNotOffered", text)
    if error.reason in NO_RESULT:
        text = f"Platform did not say whether it reaches Zoho CRM: {said} It is asked again. If it stays: "
        return Finding(UNKNOWN, error.reason, text + likely)
    # Platform, or Zoho through it, gives a reason (platform.md 2.4: 1308 and others).
    return Finding(
        FALSE,
        "AddressBlocked" if causes.names_an_address(error.message) else "SourceRefused",
        f"Platform could not use Zoho CRM: {said} {likely}",
    )


def listing_refused(evidence: Evidence, error: RemoteError) -> Finding:
    """The test has succeeded in this very pass, and the listing of the tables is refused."""
    text = f"Platform does not list the tables of Zoho CRM: {quoted(error)} {causes.of_a_listing(evidence)}"
    return Finding(FALSE, "SourceRefused", text)
