"""What a person says where a sandbox leaves a choice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from crmflow.api.zohosourceconnection import DataCenter


@dataclass(frozen=True)
class Choices:
    """As the command line gives them."""

    namespace: str
    organization: str
    sandbox: str
    platform_secret: str
    zoho_secret: str
    data_center: DataCenter | None = None
    """Of base connections whose parameters do not show it."""
    connection: str | None = None
    """The ZohoSourceConnection of flows that read files: nothing in Platform names one."""
    tables: Mapping[str, str] = field(default_factory=dict)
    """The tables of such flows, by the id of the flow: nothing in Platform names them, either."""


@dataclass(frozen=True)
class Known:
    """What the namespace has already."""

    connections: Mapping[str, str] = field(default_factory=dict)
    """Names of ZohoSourceConnections, by the id of their base connection."""
    dataflows: Mapping[str, str] = field(default_factory=dict)
    """Names of CRMDataflows, by the id of their flow."""
    names: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """All names, by kind."""
