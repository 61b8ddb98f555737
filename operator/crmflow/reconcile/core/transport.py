"""Which way records take into Platform where nothing that is declared or exists says it: what Platform offers
decides (design.md 11).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crmflow.api.base import Transport
from crmflow.http.errors import RemoteError
from crmflow.reconcile.core.engine import AnyPass
from crmflow.reconcile.core.outcome import StalledError, WaitingError, explain
from crmflow.reconcile.core.reading import text_at
from crmflow.reconcile.core.refusals import OPTIONAL_REFUSALS
from crmflow.reconcile.ports import Platform


def decided(spec: Mapping[str, Any], status: Mapping[str, Any]) -> Transport | None:
    """The way that a spec or, where it says nothing, a status names; None while that is open. Nobody has
    validated either.
    """
    for said in (text_at(spec, "transport"), text_at(status, "transport")):
        if said in (Transport.PLATFORM_SOURCE, Transport.LANDING_ZONE):
            return Transport(said)
    return None


async def probe(pass_: AnyPass, platform: Platform, organization: str, sandbox: str) -> Transport:
    """The first way that Platform offers in the sandbox. A look that fails decides nothing: raises
    RemoteError, and PassEndedError where the credential may not look or there is no way.
    """
    sources = pass_.services.sources
    try:
        source = await sources.platform_source.offer(platform, organization, sandbox)
        if source.obstacle is None:
            return Transport.PLATFORM_SOURCE
        zone = await sources.landing_zone.offer(platform, organization, sandbox)
    except RemoteError as error:
        if error.reason not in OPTIONAL_REFUSALS:
            raise
        raise WaitingError(
            "TransportUndecided",
            f"What Platform offers can't be read, so no way into it is chosen. {explain(error)} Or set "
            "spec.transport to PlatformSource or LandingZone.",
        ) from error
    if zone.obstacle is None:
        return Transport.LANDING_ZONE
    reason, message = zone.obstacle
    raise StalledError(reason, f"{source.obstacle[1]} {message} So there is no way into Platform.")
