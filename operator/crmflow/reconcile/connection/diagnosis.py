"""What a failing test of a base connection means, and what to do about it, the likeliest cause first.

Neither AEP's answer to a failing test (platform.md 16.3) nor Zoho's to a refused address (zoho.md 6) is
documented. What helps is that the operator has just used the same grant itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from crmflow.reconcile.conditions import FALSE, UNKNOWN
from crmflow.reconcile.connection.state import ConnectionPass
from crmflow.reconcile.offer import ANNOUNCEMENT
from crmflow.transport.errors import RemoteError

_ADDRESS = re.compile(
    r"\bip address|allowed ips?\b|from this ip|blocked|firewall|authentication_failure", re.I
)
_GRANT = re.compile(r"invalid.?(oauth.?)?token|invalid_(code|client)|revoked|expired|oauth_scope", re.I)
_PROFILE = re.compile(r"no_permission|permission|profile|api access", re.I)

ALLOWED_IPS = "Setup, Users & Control, Security Control, Allowed IPs"
"""Where Zoho CRM keeps the addresses that it lets in (zoho.md 6)."""


@dataclass(frozen=True)
class Failure:
    """A test that did not succeed."""

    status: str
    """Of the condition ``Tested``: Unknown if the test had no result."""
    reason: str
    message: str


def test_was_negative(pass_: ConnectionPass) -> Failure:
    """Platform says that the test failed, and nothing else."""
    return Failure(
        FALSE,
        "ConnectionTestFailed",
        "Platform did not reach Zoho CRM through the base connection and gave no reason. "
        + _causes(pass_, ""),
    )


def source_refused(pass_: ConnectionPass, error: RemoteError) -> Failure:
    """Platform, or Zoho through it, gives a reason (platform.md 2.4: 1308 and others)."""
    return Failure(
        FALSE,
        "AddressBlocked" if _ADDRESS.search(error.message) else "SourceRefused",
        f"Platform could not use Zoho CRM: {_quoted(error)} {_causes(pass_, error.message)}",
    )


def source_not_offered(error: RemoteError) -> Failure:
    """Platform knows no such source any more (platform.md 16.2)."""
    return Failure(
        FALSE, "SourceNotOffered", f"Platform refuses the Zoho CRM source: {_quoted(error)} {ANNOUNCEMENT}"
    )


def test_had_no_result(pass_: ConnectionPass, error: RemoteError) -> Failure:
    """Platform failed at the test, or took too long; a silent firewall looks like that, too."""
    return Failure(
        UNKNOWN,
        error.reason,
        f"Platform did not say whether it reaches Zoho CRM: {_quoted(error)} It is asked again. If it stays: "
        + _causes(pass_, error.message),
    )


def _quoted(error: RemoteError) -> str:
    code = f" ({error.code})" if error.code else ""
    return f'"{error.message.rstrip(".")}"{code}.'


def _causes(pass_: ConnectionPass, text: str) -> str:
    numbered = " ".join(f"({number}) {cause}." for number, cause in enumerate(_ordered(pass_, text), 1))
    own = "" if pass_.observes else "The operator itself reaches Zoho CRM with the same grant. "
    return f"{own}Likely causes, in this order: {numbered}"


def _ordered(pass_: ConnectionPass, text: str) -> Iterator[str]:
    """The causes, those first that ``text`` hints at."""
    if pass_.offer is not None and pass_.offer.withdrawn:
        yield "Adobe has withdrawn the source, see SourceOffered"
    causes = [
        (_ADDRESS, _blocked(pass_)),
        (
            _PROFILE,
            "The user's profile lacks Zoho CRM API Access: turn it on in Zoho under Setup, Users & Control, "
            "Security Control, Profiles",
        ),
        (
            _GRANT,
            "The grant was revoked, or lacks a scope that the connector needs: authorize again with kubectl "
            "crmflow authorize",
        ),
    ]
    if pass_.spec.platform.auth_params:
        causes.append(
            (re.compile("param|endpoint", re.I), "The connector does not take spec.platform.authParams")
        )
    for _, cause in sorted(causes, key=lambda entry: not (text and entry[0].search(text))):
        yield cause


def _blocked(pass_: ConnectionPass) -> str:
    allow_list = pass_.status.ip_allow_list
    where = f"enter them in Zoho under {ALLOWED_IPS}"
    if allow_list is None:
        return f"Zoho's Allowed IPs lack Platform's addresses: {where}"
    if not allow_list.ranges:
        return (
            f"Zoho's Allowed IPs lack Platform's addresses. Adobe publishes none for region "
            f"{allow_list.region}: ask Adobe, and {where}"
        )
    return (
        f"Zoho's Allowed IPs lack Platform's addresses of region {allow_list.region}: {where}: "
        f"{', '.join(allow_list.ranges)}"
    )
