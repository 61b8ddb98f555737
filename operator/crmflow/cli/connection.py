"""A ZohoSourceConnection as the plugin's commands see it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from crmflow.api.base import Transport
from crmflow.api.zohosourceconnection import (
    DataCenter,
    Environment,
    ZohoSourceConnectionSpec,
    ZohoSourceConnectionStatus,
)
from crmflow.cli.problem import Problem
from crmflow.http.errors import RemoteError
from crmflow.reconcile.core.refusals import Advisor
from crmflow.reconcile.sources.causes import Evidence


@dataclass(frozen=True)
class Connection:
    """What it says, and what the operator says about it."""

    namespace: str
    name: str
    spec: ZohoSourceConnectionSpec
    status: ZohoSourceConnectionStatus
    generation: int = 1
    created_at: str = ""
    """RFC 3339."""
    deleting: bool = False

    @classmethod
    def of(cls, obj: Mapping[str, Any]) -> Connection:
        """Read the object. Raises Problem for one that this version does not understand."""
        metadata = obj["metadata"]
        try:
            return cls(
                metadata["namespace"],
                metadata["name"],
                ZohoSourceConnectionSpec.model_validate(obj["spec"]),
                ZohoSourceConnectionStatus.model_validate(obj.get("status") or {}),
                metadata.get("generation", 1),
                metadata.get("creationTimestamp", ""),
                "deletionTimestamp" in metadata,
            )
        except ValidationError as error:
            raise Problem(
                f'this command can\'t read ZohoSourceConnection "{metadata["name"]}"',
                "Use a newer kubectl-crmflow",
            ) from error

    @property
    def advisor(self) -> Advisor:
        """What to do about refusals."""
        return Advisor(self.name, self.namespace, self.spec, self.status)

    def evidence(self, own_call: RemoteError | bool = False) -> Evidence:
        """What the resource tells of a failing connector, and what came of this machine's call to Zoho."""
        return Evidence(
            name=self.name,
            namespace=self.namespace,
            allow_list=self.status.ip_allow_list,
            own_call=own_call,
            caller="This machine",
            has_params=bool(self.spec.platform.auth_params),
        )

    @property
    def transport(self) -> Transport:
        """The way of dataflows that name none; Auto until it is decided."""
        declared = self.spec.transport
        return (self.status.transport or declared) if declared is Transport.AUTO else declared

    @property
    def uses_landing_zone(self) -> bool:
        """Whether dataflows go through the landing zone: those that name no way, or some that do."""
        return self.transport is Transport.LANDING_ZONE or self.status.landing_zone is not None

    @property
    def data_center(self) -> DataCenter:
        """Where the Zoho organization lives."""
        return self.spec.zoho.data_center

    @property
    def environment(self) -> Environment:
        """The environment that the grant must belong to."""
        return self.spec.zoho.environment

    @property
    def zoho_secret(self) -> str:
        """Name of the Secret with the OAuth client and the grant."""
        return self.spec.zoho.credentials_secret_ref.name

    @property
    def platform_secret(self) -> str:
        """Name of the Secret with Adobe's credential."""
        return self.spec.platform.credentials_secret_ref.name

    @property
    def base_connection_id(self) -> str | None:
        """The base connection in Platform: the operator's, or the one that the spec adopts."""
        found = self.status.base_connection
        return found.id if found else self.spec.connection_id

    @property
    def organization_id(self) -> str | None:
        """The Zoho organization that the operator has pinned in the status."""
        pinned = self.status.zoho_organization
        return pinned.id if pinned else None
