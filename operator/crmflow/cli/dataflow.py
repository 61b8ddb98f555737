"""A CRMDataflow as the plugin's commands see it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from crmflow.api.base import StatusCondition
from crmflow.api.crmdataflow import CRMDataflowSpec, CRMDataflowStatus
from crmflow.api.kinds import APPROVE_PLAN
from crmflow.cli.problem import Problem
from crmflow.reconcile.core.conditions import READY


@dataclass(frozen=True)
class Dataflow:
    """What it says, and what the operator says about it."""

    namespace: str
    name: str
    spec: CRMDataflowSpec
    status: CRMDataflowStatus
    generation: int
    resource_version: str
    approval: str | None
    """The hash of the plan that somebody has approved."""
    deleting: bool

    @classmethod
    def of(cls, obj: Mapping[str, Any]) -> Dataflow:
        """Read the object. Raises Problem for one that this version does not understand."""
        metadata = obj["metadata"]
        try:
            return cls(
                metadata["namespace"],
                metadata["name"],
                CRMDataflowSpec.model_validate(obj["spec"]),
                CRMDataflowStatus.model_validate(obj.get("status") or {}),
                metadata["generation"],
                metadata["resourceVersion"],
                (metadata.get("annotations") or {}).get(APPROVE_PLAN),
                "deletionTimestamp" in metadata,
            )
        except ValidationError as error:
            raise Problem(
                f'this command can\'t read CRMDataflow "{metadata["name"]}"', "Use a newer kubectl-crmflow"
            ) from error

    @property
    def is_observed(self) -> bool:
        """Whether the operator has looked at what the spec says now."""
        return self.status.observed_generation == self.generation

    @property
    def ready(self) -> StatusCondition | None:
        """The condition that sums up the others; None as long as there is none."""
        return next((found for found in self.status.conditions if found.type == READY), None)
