"""What to do about a refusal, by what a connection has proved before.

A client's advice fits a resource of which nothing is known. Once a connection has worked, fields that cannot
change are not the cause, whatever the service calls the error: somebody changed something at Zoho, at Adobe
or in a Secret.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from crmflow.api.zohosourceconnection import ZohoSourceConnectionSpec, ZohoSourceConnectionStatus
from crmflow.http.errors import ErrorClass, RemoteError
from crmflow.reconcile.secret_values import Flaw
from crmflow.reconcile.sources.causes import authorize_command

OPTIONAL_REFUSALS = frozenset(
    {
        "ScopeMissing",
        "PermissionDenied",
        "FeatureNotEnabled",
        "AccessRefused",
        "WrongHost",
        "NotFound",
        "RequestRefused",
    }
)
"""Refusals of a check that data does not need: they say nothing of the calls that Platform makes. Not among
them: that the token itself is refused, and that the user's profile has no API access at all.
"""

_ENDED_GRANTS = frozenset(
    {"RefreshTokenRejected", "GrantRejected", "GrantLost", "GrantIncomplete", "GrantThrottled"}
)
"""Refusals after which only another consent helps."""

_USER_FIRST = (
    "{before} Look first in Zoho CRM under Setup, Users & Control, Users whether the user who consented was "
    "deactivated, or has no access to Zoho CRM any more: reactivate the user, or consent again as another "
    "one. Then look at Zoho's Allowed IPs."
)
_AT_ZOHO: Mapping[str, str] = {
    "InvalidClient": "{before} See in Zoho's API console whether the client still exists and is enabled for "
    "that data center, and whether clientId in the Secret is still that of the client.",
    "InvalidClientSecret": "{before} The secret was made anew in Zoho's API console, or replaced in the "
    "Secret. Put the client's secret of that data center there.",
    "RefreshTokenRejected": "{before} The grant has ended since, or the Secret holds another one: the user "
    "revoked it, changed the password or was deactivated, or a newer grant evicted it. See that the user is "
    "active, and consent again.",
    "WrongDataCenter": "{before} The Secret holds a grant of another account now: consent again with an "
    "account of that data center.",
}
_IN_ITS_ENVIRONMENT: Mapping[str, str] = {
    "TokenRejected": _USER_FIRST,
    "AccessRefused": _USER_FIRST,
    "WrongHost": "{before} If it stays, ask Zoho what became of the organization.",
}
_AT_ADOBE: Mapping[str, str] = {
    "PlatformTokenRejected": "{before} See in Adobe's Developer Console whether the Secret still holds a "
    "credential of that organization.",
    "OrganizationRejected": "{before} See in Adobe's Developer Console whether the Secret still holds a "
    "credential of that organization, and whether it still has its product profile.",
    "SandboxNotFound": "{before} The sandbox was deleted, or the role of the technical account no longer "
    "includes it: add it to the role, or have it restored.",
}


@dataclass(frozen=True)
class Proved:
    """Which fields that cannot change have led to the right place before."""

    data_center: bool
    environment: bool
    sandbox: bool

    @classmethod
    def by(cls, status: ZohoSourceConnectionStatus) -> Proved:
        """What the facts in a status prove: each was recorded after the calls that they rest on."""
        worked = status.base_connection is not None
        read = status.zoho_organization is not None
        return cls(worked or read, read, worked or status.ip_allow_list is not None)


@dataclass(frozen=True)
class Advisor:
    """Advice for one connection."""

    name: str
    namespace: str
    spec: ZohoSourceConnectionSpec
    status: ZohoSourceConnectionStatus

    def advised(self, error: RemoteError, secret: str = "", suspicions: Sequence[Flaw] = ()) -> RemoteError:
        """``error`` with the advice that fits here; ``suspicions`` are those about the values in ``secret``
        that were refused.
        """
        advice = self._proved(error.reason) or error.advice
        if error.reason in _ENDED_GRANTS:
            advice = f'{advice} Run "{self.authorize}".'.lstrip()
        if suspicions and _is_refusal(error):
            odd = " ".join(f'In Secret "{secret}", {flaw}' for flaw in suspicions)
            advice = f"{odd} If that is not it: {advice}" if advice else odd
        return error.but(advice=advice)

    @property
    def authorize(self) -> str:
        """The command."""
        return authorize_command(self.name, self.namespace)

    def _proved(self, reason: str) -> str:
        proved, zoho, platform = Proved.by(self.status), self.spec.zoho, self.spec.platform
        center = f"data center {zoho.data_center} ({zoho.data_center.place})"
        where = f"sandbox {platform.sandbox} of {platform.organization}"
        for holds, advice, before in (
            (proved.data_center, _AT_ZOHO, f"worked before, in {center}"),
            (proved.environment, _IN_ITS_ENVIRONMENT, f"read its organization before, in {center}"),
            (proved.sandbox, _AT_ADOBE, f"reached {where} before"),
        ):
            if holds and reason in advice:
                return advice[reason].format(before=f"This connection has {before}.")
        return ""


def _is_refusal(error: RemoteError) -> bool:
    return error.error_class is not ErrorClass.TRANSIENT or error.reason == "UnexpectedAnswer"
