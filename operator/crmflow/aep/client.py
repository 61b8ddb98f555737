"""Adobe Experience Platform as the reconcilers see it: one sandbox, one credential, all services."""

from __future__ import annotations

from crmflow.aep.catalog import DataSets
from crmflow.aep.connections import Connections
from crmflow.aep.data_prep import MappingSets
from crmflow.aep.dataflows import Flows, SourceConnections, TargetConnections
from crmflow.aep.flow_service import VersionObserver
from crmflow.aep.gateway import Gateway, TokenSource
from crmflow.aep.listings import Listings
from crmflow.aep.sandboxes import Sandboxes
from crmflow.aep.schema_registry import Schemas
from crmflow.transport.http import HttpClient
from crmflow.transport.limiter import Turn, unlimited


class PlatformClient(
    Sandboxes,
    Connections,
    SourceConnections,
    TargetConnections,
    Flows,
    Listings,
    MappingSets,
    Schemas,
    DataSets,
):
    """Every method raises :class:`RemoteError` by the table of ``aep/errors.py``."""

    def __init__(
        self,
        http: HttpClient,
        base_url: str,
        organization: str,
        sandbox: str,
        client_id: str,
        token: TokenSource,
        on_version: VersionObserver | None = None,
        turn: Turn = unlimited,
    ) -> None:
        """``base_url`` is the gateway's, ``client_id`` goes into ``x-api-key``, ``turn`` holds back what the
        credential may not send yet.
        """
        super().__init__(Gateway(http, base_url, organization, sandbox, client_id, token, turn))
        if on_version is not None:
            self._flow_service.on_version = on_version
