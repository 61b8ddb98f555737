"""Why Platform does not reach Zoho CRM, the likeliest cause first, for the operator and for the plugin.

Neither AEP's answer to a failing test (platform.md 16.3) nor Zoho's to a refused address (zoho.md 6) is
documented. What helps is the text that is passed on, and what else is known: whether the same grant works
elsewhere, and whether another call went the same way. Nothing is claimed that has not been seen.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from crmflow.api.zohosourceconnection import IpAllowListStatus
from crmflow.http.errors import ErrorClass, RemoteError

# The words of codes such as IP_NOT_ALLOWED are parted by underscores, which \b does not see.
_ADDRESS = re.compile(r"(?<![a-z])ips?(?![a-z])|\bip.?address|firewall|allow.?list|white.?list", re.I)
_GRANT = re.compile(
    r"(?<!\d)401(?!\d)|\(1017\)|(?:un|not.)authori[sz]ed|credential|authenticat|"
    r"invalid_(?:code|client|grant)|oauth|scope|(?:access|refresh|invalid).?token|revoked|inactive|deactivated|"
    r"(?:token|grant|session|code)\b.{0,30}\bexpired",
    re.I,
)
_PROFILE = re.compile(r"(?<!\d)403(?!\d)|forbidden|permission|profile|api.?access", re.I)
_LIMIT = re.compile(
    r"(?<!\d)429(?!\d)|too.many.(?:requests|calls)|limit.(?:reached|exceeded)|rate.?limit|credits", re.I
)
_PARAMS = re.compile(r"param|endpoint", re.I)

ALLOWED_IPS = "Setup, Users & Control, Security Control, Allowed IPs"
"""Where Zoho CRM keeps the addresses that it lets in (zoho.md 6)."""
PROFILES = "Setup, Users & Control, Security Control, Profiles"
"""Where it keeps what a user may do."""
_NO_API_ACCESS = f"The user's profile lacks Zoho CRM API Access: turn it on in Zoho under {PROFILES}"
_API_LIMIT = (
    "The API credits of the Zoho CRM organization are used up for the moment, or too many calls run at once: "
    "look at its API usage in Zoho CRM, and wait until the test is repeated"
)
"""The cause that is named only where the text speaks of it."""


@dataclass(frozen=True)
class Evidence:
    """What is known beside the answer that is to be explained."""

    name: str
    """Of the resource."""
    namespace: str
    allow_list: IpAllowListStatus | None = None
    own_call: RemoteError | bool = False
    """What came of a call to Zoho CRM with the same grant: True, or how it was refused; False if there was
    none.
    """
    caller: str = "The operator"
    """Who made it."""
    is_withdrawn: bool = False
    has_params: bool = False
    """True if the spec gives parameters of its own to the connector."""

    @property
    def authorize(self) -> str:
        """The command that gives the resource another grant."""
        return authorize_command(self.name, self.namespace)

    @property
    def refusal(self) -> RemoteError | None:
        """How the call was refused. One that only failed for the moment says nothing of the grant."""
        call = self.own_call
        if isinstance(call, RemoteError) and call.error_class is ErrorClass.TERMINAL:
            return call
        return None


def authorize_command(name: str, namespace: str) -> str:
    """What a person enters to give a connection another grant."""
    return f"kubectl crmflow authorize {name} -n {namespace}"


def of_a_test(evidence: Evidence, text: str = "") -> str:
    """The causes of a test that failed, those first that Platform's ``text`` hints at."""
    hinted, others = _ordered(evidence, text)
    told = hinted or evidence.refusal
    guess = "" if told else ", which is a guess, as nothing names the cause"
    if evidence.is_withdrawn:
        hinted = ["Adobe has withdrawn the source, see SourceOffered", *hinted]
    return f"{_own_call(evidence)}Likely causes, in this order{guess}: {_numbered((*hinted, *others))}"


def of_a_listing(evidence: Evidence) -> str:
    """The causes of a refusal to list the tables, right after a test that succeeded."""
    causes = (
        "The grant lacks a scope for the metadata of modules, or the user's profile hides the modules: "
        f'authorize again with all scopes, with "{evidence.authorize}", and look at the '
        f"profile in Zoho under {PROFILES}",
        "The connector at Adobe fails: ask Adobe",
    )
    return (
        "The test of the base connection has just succeeded, from the same addresses and with the same "
        f"credentials, so these are not the cause. Likely causes, in this order: {_numbered(causes)}"
    )


def concerns_source(error: RemoteError) -> bool:
    """Whether a refusal to test or to list is the source's, as neither call has anything of its own to be
    refused for. A 404 is one, too, of a base connection that exists.
    """
    return error.error_class is ErrorClass.NOT_FOUND or error.reason in ("SourceRefused", "RequestRefused")


def names_an_address(text: str) -> bool:
    """Whether a refusal is that of an address, in Platform's words."""
    return _ADDRESS.search(text) is not None


def quoted(error: RemoteError) -> str:
    """The remote's words as a sentence."""
    code = f" ({error.code})" if error.code else ""
    return f'"{error.message.rstrip(".")}"{code}.'


def _own_call(evidence: Evidence) -> str:
    if evidence.refusal is not None:
        return f"{evidence.caller}'s own call to Zoho CRM was refused, too: {quoted(evidence.refusal)} "
    reached = evidence.own_call is True
    return f"{evidence.caller} itself reaches Zoho CRM with the same grant. " if reached else ""


def _ordered(evidence: Evidence, text: str) -> tuple[list[str], list[str]]:
    """The causes that ``text`` hints at, and the others."""
    address, grant = (_ADDRESS, _blocked(evidence)), (_GRANT, _grant_is_gone(evidence))
    profile = (_PROFILE, _NO_API_ACCESS)
    # What keeps out the operator, too, is no matter of Platform's addresses.
    causes = [grant, profile, address] if evidence.refusal else [address, profile, grant]
    if evidence.has_params:
        causes.append((_PARAMS, "The connector does not take spec.platform.authParams"))
    hints = ((_LIMIT, _API_LIMIT), address, grant, profile, *causes[3:])
    hinted = [cause for pattern, cause in hints if pattern.search(text)]
    return hinted, [cause for _, cause in causes if cause not in hinted]


def _numbered(causes: Sequence[str]) -> str:
    return " ".join(f"({number}) {cause}." for number, cause in enumerate(causes, 1))


def _grant_is_gone(evidence: Evidence) -> str:
    what = "The grant was revoked, its user was deactivated, or it lacks a scope that the connector needs"
    if evidence.own_call is True:  # it was not revoked, and its user is active
        what = "The grant lacks a scope that the connector needs, or the base connection's tokens have ended"
    return f'{what}: authorize again with "{evidence.authorize}"'


def _blocked(evidence: Evidence) -> str:
    allow_list = evidence.allow_list
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
