"""What a pass over a CRMDataflow knows, and the connection that it reads through."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from crmflow.api.crmdataflow import CRMDataflowSpec, CRMDataflowStatus
from crmflow.api.zohosourceconnection import ZohoSourceConnectionSpec
from crmflow.reconcile.core.engine import Pass
from crmflow.reconcile.core.sandbox import SandboxClient
from crmflow.reconcile.external.flow import FLOW
from crmflow.reconcile.external.remote_object import RemoteObject
from crmflow.reconcile.external.source_connection import SOURCE_CONNECTION
from crmflow.reconcile.external.target_connection import TARGET_CONNECTION
from crmflow.reconcile.sources.offer import Offer

OBJECTS: tuple[RemoteObject[Any], ...] = (FLOW, SOURCE_CONNECTION, TARGET_CONNECTION)
"""The remote objects of a CRMDataflow, in the order in which they are deleted."""


@dataclass
class DataflowPass(Pass[CRMDataflowSpec, CRMDataflowStatus]):
    """One pass over one CRMDataflow."""

    @property
    def recorded_id(self) -> str | None:
        """The flow's."""
        return self.status.flow.id if self.status.flow else None


@dataclass(frozen=True)
class Upstream:
    """The connection that a dataflow reads through, which is Ready, and the sandbox that it leads to."""

    spec: ZohoSourceConnectionSpec
    base_connection_id: str
    sandbox: SandboxClient

    def key(self, *name: str) -> tuple[str, ...]:
        """What one sandbox has only one of: the schema of a title, the dataset or mapping set of a name."""
        return self.spec.platform.organization, self.spec.platform.sandbox, *name

    async def offer(self, pass_: DataflowPass) -> Offer:
        """What Platform offers for Zoho. May raise RemoteError."""
        platform = self.spec.platform
        return await pass_.services.source.offer(
            self.sandbox.platform, platform.organization, platform.sandbox
        )
