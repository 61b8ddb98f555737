"""The ways in which records of Zoho CRM get into Platform."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from crmflow.aep.collection import AnyCollection, OfSpec
from crmflow.api.base import Transport
from crmflow.reconcile.ports import TimeSource
from crmflow.reconcile.sources.connector import SourceConnector
from crmflow.reconcile.sources.landing_zone import LandingZoneSource
from crmflow.reconcile.sources.platform_source import PlatformSource


@dataclass(frozen=True)
class Sources:
    """The connector of each way."""

    platform_source: PlatformSource
    landing_zone: LandingZoneSource

    @classmethod
    def new(cls, clock: TimeSource) -> Sources:
        """All of them."""
        return cls(PlatformSource(clock), LandingZoneSource(clock))

    def listed(
        self, organization: str, sandbox: str, transports: Iterable[Transport]
    ) -> dict[AnyCollection, tuple[OfSpec, ...]]:
        """What listings of a sandbox have to show of the objects that are made in these ways."""
        found: dict[AnyCollection, tuple[OfSpec, ...]] = {}
        for transport in sorted(transports):
            for collection, selection in self.of(transport).listed(organization, sandbox).items():
                known = found.get(collection, ())
                found[collection] = known if selection in known else (*known, selection)
        return found

    def of(self, transport: Transport) -> SourceConnector:
        """The connector of a way that has been decided."""
        match transport:
            case Transport.PLATFORM_SOURCE:
                return self.platform_source
            case Transport.LANDING_ZONE:
                return self.landing_zone
            case Transport.AUTO:
                raise ValueError("Auto is to be decided first")
