"""Whether Platform still offers the Zoho source: asked once per sandbox, used by every resource of that
sandbox.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from crmflow.aep.models import ConnectionSpec, FlowSpec
from crmflow.reconcile.ports import Clock, Platform
from crmflow.reconcile.shared import Shared

ZOHO_CONNECTION_SPEC_ID = "929e4450-0237-4ed2-9404-b7e1e0a00309"
"""Zoho CRM's connection specification (platform.md 0)."""
DATA_LAKE_CONNECTION_SPEC_ID = "c604ff05-7f1a-43c0-8e18-33bf874cb11c"
"""The data lake's connection specification, which every target connection has (platform.md 0)."""
FLOW_SPEC_ID = "14518937-270c-4525-bdec-c2ba7cce3860"
"""``CRMToAEP``'s documented id, used for listings until it has been resolved by name (platform.md 0)."""
FLOW_SPEC_NAME = "CRMToAEP"
"""The flow specification of CRM tables, resolved by name (platform.md 16.1, 2)."""

ANNOUNCEMENT = (
    "Adobe announced the Zoho CRM source as deprecated at the end of June 2025. Dataflows that exist may "
    "go on; new ones cannot be created."
)


@dataclass(frozen=True)
class Offer:
    """What Platform offers for Zoho in one sandbox."""

    connection_spec: ConnectionSpec | None
    flow_spec: FlowSpec | None

    @property
    def withdrawn(self) -> tuple[str, str] | None:
        """Reason and message if the source is no longer offered."""
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


class Offers:
    """The latest offer of each sandbox, read anew when it is too old or when freshness is asked for."""

    def __init__(self, clock: Clock) -> None:
        self._offers: Shared[Offer] = Shared(clock)

    def flow_spec_id(self, organization: str, sandbox: str) -> str:
        """The id of ``CRMToAEP`` as last resolved by name, else the documented one. Costs no call."""
        known = self._offers.known((organization, sandbox))
        return known.flow_spec.id if known and known.flow_spec else FLOW_SPEC_ID

    async def get(self, platform: Platform, organization: str, sandbox: str, *, fresh: bool = False) -> Offer:
        """The offer of a sandbox. ``fresh`` asks Platform again, unless someone did so while we waited."""

        async def ask() -> Offer:
            connection_spec, flow_spec = await asyncio.gather(
                platform.connection_spec(ZOHO_CONNECTION_SPEC_ID), platform.flow_spec(FLOW_SPEC_NAME)
            )
            return Offer(connection_spec, flow_spec)

        return await self._offers.get((organization, sandbox), ask, fresh=fresh)
