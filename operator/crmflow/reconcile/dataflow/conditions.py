"""The conditions that a CRMDataflow owns, in the order in which they are written."""

from __future__ import annotations

from crmflow.reconcile.conditions import ConditionType

SOURCE_READY = ConditionType(
    "SourceReady", "The connection is Ready, and table, columns and delta column exist."
)
TARGET_READY = ConditionType("TargetReady", "Schema and dataset exist and belong together.")
MAPPING_VALID = ConditionType("MappingValid", "Platform accepts the mapping.")
SYNCED = ConditionType("Synced", "Source connection, target connection and flow are what the spec says.")
RUNS_HEALTHY = ConditionType("RunsHealthy", "The last run succeeded.")

CONDITIONS = (SOURCE_READY, TARGET_READY, MAPPING_VALID, SYNCED, RUNS_HEALTHY)
