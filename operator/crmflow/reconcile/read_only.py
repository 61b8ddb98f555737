"""A sandbox in which nothing can be changed: what a resource that only observes is given."""

from __future__ import annotations

from typing import Any, cast

from crmflow.reconcile.ports import Platform

READS = frozenset(
    {
        "columns",
        "connection",
        "connection_spec",
        "dataset",
        "datasets_named",
        "find_mapping_set",
        "flow",
        "flow_spec",
        "has_primary_identity",
        "mapping_set",
        "sandboxes",
        "schema",
        "schemas_titled",
        "source_connection",
        "tables",
        "target_connection",
        "test_connection",
        "validate_mapping",
    }
)
"""What a call may be; a new method of the port is refused until it is named here."""


class ReadOnlyError(Exception):
    """A step was about to change something for a resource that only observes: nothing was sent."""


def read_only(platform: Platform) -> Platform:
    """``platform`` without everything that changes it: the net below the steps, which know it themselves."""
    return cast(Platform, _ReadOnly(platform))


class _ReadOnly:
    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    def __getattr__(self, name: str) -> Any:
        if name not in READS:
            raise ReadOnlyError(f"{name} is not allowed while managementPolicy is Observe")
        return getattr(self._platform, name)
