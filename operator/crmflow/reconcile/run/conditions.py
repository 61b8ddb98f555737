"""The conditions that a CRMDataflowRun owns."""

from __future__ import annotations

from crmflow.reconcile.core.conditions import ConditionType
from crmflow.reconcile.dataflow.conditions import EXTRACTED, INGESTION_COMPLETE

COMPLETE = ConditionType("Complete", "The run has succeeded.")
FAILED = ConditionType("Failed", "The run has failed.")
CONDITIONS = (COMPLETE, FAILED, EXTRACTED, INGESTION_COMPLETE)
"""In the order in which they are written. ``Complete`` and ``Failed`` are those of a Job, so that ``kubectl
wait`` works alike; ``Failed`` is absent until it is True."""
