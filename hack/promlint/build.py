"""Where promlint comes from."""

from __future__ import annotations

from pathlib import Path

from hack.golang import GoModule

MODULE = GoModule(
    name="promlint",
    title="Prometheus' parser",
    folder=Path(__file__).with_name("program"),
    versioned="github.com/prometheus/common",
    packages={"promlint": "crmflow.io/promlint"},
    version_variables=(),
    minutes="half a minute",
)


def find_promlint() -> str:
    """The one in the user's cache, built if need be. Raises ToolError."""
    return str(MODULE.cached_or_built() / "promlint")
