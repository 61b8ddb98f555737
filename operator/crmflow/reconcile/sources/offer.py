"""Whether Platform still offers its own Zoho CRM source, and by which specifications."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from crmflow.aep.collection import Named
from crmflow.aep.errors import found
from crmflow.aep.flow_service import CONNECTION_SPECS, FLOW_SPECS
from crmflow.aep.models import ConnectionSpec, FlowSpec
from crmflow.reconcile.ports import Platform

ZOHO_CONNECTION_SPEC_ID = "929e4450-0237-4ed2-9404-b7e1e0a00309"
"""Zoho CRM's connection specification (platform.md 0)."""
FLOW_SPEC_ID = "14518937-270c-4525-bdec-c2ba7cce3860"
"""``CRMToAEP``'s documented id, used for listings until it has been resolved by name (platform.md 0)."""
FLOW_SPEC_NAME = "CRMToAEP"
"""The flow specification of CRM tables, resolved by name (platform.md 16.1, 2)."""

_VERSION = "1.0"
"""Of a specification that does not say which (platform.md 0)."""

ANNOUNCEMENT = (
    "Adobe announced the Zoho CRM source as deprecated at the end of June 2025. Dataflows that exist may "
    "go on; new ones cannot be created."
)


@dataclass(frozen=True)
class PlatformSourceOffer:
    """What Platform offers for Zoho in one sandbox."""

    connection_spec: ConnectionSpec | None
    flow_spec: FlowSpec | None
    is_known: bool = True
    """False where the credential may not look: then nothing is taken for withdrawn."""

    @property
    def connection_spec_ref(self) -> Mapping[str, str]:
        """As base and source connections name the specification that they are made from."""
        spec = self.connection_spec
        return {"id": ZOHO_CONNECTION_SPEC_ID, "version": spec.version if spec else _VERSION}

    @property
    def flow_spec_ref(self) -> Mapping[str, str]:
        """The same of flows."""
        spec = self.flow_spec
        return {"id": spec.id if spec else FLOW_SPEC_ID, "version": spec.version if spec else _VERSION}

    @property
    def obstacle(self) -> tuple[str, str] | None:
        """Reason and message if nothing can be made in this way, since the source is no longer offered."""
        if not self.is_known:
            return None
        if self.connection_spec is None:
            return (
                "ConnectionSpecWithdrawn",
                f"Platform no longer has Zoho's connection specification {ZOHO_CONNECTION_SPEC_ID}. "
                f"{ANNOUNCEMENT}",
            )
        if self.flow_spec is None:
            return (
                "FlowSpecMissing",
                f"Platform has no flow specification named {FLOW_SPEC_NAME}. {ANNOUNCEMENT}",
            )
        if ZOHO_CONNECTION_SPEC_ID not in self.flow_spec.source_connection_spec_ids:
            return (
                "SourceWithdrawn",
                f"The flow specification {FLOW_SPEC_NAME} no longer lists the Zoho CRM source. "
                f"{ANNOUNCEMENT}",
            )
        return None


async def read_offer(platform: Platform) -> PlatformSourceOffer:
    """What a sandbox offers right now. May raise RemoteError."""
    connection_spec, flow_specs = await asyncio.gather(
        found(platform.get(CONNECTION_SPECS, ZOHO_CONNECTION_SPEC_ID)),
        platform.list(FLOW_SPECS, Named(FLOW_SPEC_NAME)),
    )
    return PlatformSourceOffer(connection_spec, flow_specs[0] if flow_specs else None)


UNKNOWN_OFFER = PlatformSourceOffer(None, None, is_known=False)
