"""Whether files in the sandbox's landing zone can flow into Platform, and by which specifications
(landing-zone.md E.2, K.3).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from crmflow.aep.collection import Named
from crmflow.aep.errors import found
from crmflow.aep.flow_service import CONNECTION_SPECS, FLOW_SPECS
from crmflow.aep.landing_zone import CONNECTION_SPEC_ID, ON_AWS, UNSUPPORTED
from crmflow.aep.models import ConnectionSpec, FlowSpec, LandingZone, LandingZoneProvider
from crmflow.reconcile.ports import Platform

FLOW_SPEC_ID = "9753525b-82c7-4dce-8a9b-5ccfce2b9876"
"""``CloudStorageToAEP``'s documented id, used until it has been resolved by name (landing-zone.md E.2)."""
FLOW_SPEC_NAME = "CloudStorageToAEP"

_VERSION = "1.0"
"""Of a specification that does not say which (landing-zone.md E.2)."""
_ADVICE = (
    "Every customer of Platform has a Data Landing Zone as a source: ask Adobe why this sandbox has not, or "
    "set spec.transport to PlatformSource where Platform offers its own Zoho CRM source."
)


@dataclass(frozen=True)
class LandingZoneOffer:
    """What Platform offers for files in one sandbox."""

    zone: LandingZone | None
    connection_spec: ConnectionSpec | None
    flow_spec: FlowSpec | None

    @property
    def connection_spec_ref(self) -> Mapping[str, str]:
        """As a source connection names the specification that it is made from."""
        spec = self.connection_spec
        return {"id": CONNECTION_SPEC_ID, "version": (spec.version if spec else "") or _VERSION}

    @property
    def flow_spec_ref(self) -> Mapping[str, str]:
        """The same of a flow."""
        spec = self.flow_spec
        return {
            "id": spec.id if spec else FLOW_SPEC_ID,
            "version": (spec.version if spec else "") or _VERSION,
        }

    @property
    def obstacle(self) -> tuple[str, str] | None:
        """Reason and message if nothing can be made in this way."""
        if self.zone is not None and self.zone.provider is LandingZoneProvider.AWS:
            return UNSUPPORTED.reason, f"{ON_AWS[:1].upper()}{ON_AWS[1:]}. {UNSUPPORTED.advice}"
        lack = self._lack
        if lack is None:
            return None
        return "LandingZoneNotOffered", f"{lack} {_ADVICE}"

    @property
    def _lack(self) -> str | None:
        if self.zone is None:
            return "Platform has no Data Landing Zone for this sandbox."
        if self.connection_spec is None:
            return f"Platform has no connection specification {CONNECTION_SPEC_ID}, the Data Landing Zone's."
        if self.flow_spec is None:
            return f"Platform has no flow specification named {FLOW_SPEC_NAME}."
        if CONNECTION_SPEC_ID not in self.flow_spec.source_connection_spec_ids:
            return f"The flow specification {FLOW_SPEC_NAME} does not list the Data Landing Zone as a source."
        return None


async def read_offer(platform: Platform) -> LandingZoneOffer:
    """What a sandbox offers right now. May raise RemoteError."""
    zone, connection_spec, flow_specs = await asyncio.gather(
        found(platform.landing_zone()),
        found(platform.get(CONNECTION_SPECS, CONNECTION_SPEC_ID)),
        platform.list(FLOW_SPECS, Named(FLOW_SPEC_NAME)),
    )
    return LandingZoneOffer(zone, connection_spec, flow_specs[0] if flow_specs else None)
