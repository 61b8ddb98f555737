"""The checker of the status invariants finds each kind of broken status."""

from __future__ import annotations

from typing import Any

import pytest

from tests.kit.invariants import check_invariants


def _condition(type_: str, status: str = "True", **changes: Any) -> dict[str, Any]:
    base = {
        "type": type_,
        "status": status,
        "reason": "Because",
        "message": "it is so",
        "observedGeneration": 2,
    }
    return base | changes


def _resource(*conditions: dict[str, Any], observed: int = 2) -> dict[str, Any]:
    return {
        "kind": "ZohoSourceConnection",
        "metadata": {"name": "zoho-eu", "generation": 2},
        "status": {"observedGeneration": observed, "conditions": list(conditions)},
    }


@pytest.mark.parametrize(
    "resource",
    [
        _resource(_condition("Ready"), _condition("Authorized")),
        _resource(_condition("Ready", "False"), _condition("Reconciling")),
        _resource(_condition("Ready", "False"), _condition("Stalled"), _condition("Tested", "False")),
        _resource(_condition("Ready", "False"), _condition("Reconciling"), observed=1),
        _resource(_condition("Ready", "False")),
    ],
)
def test_a_sound_status_passes(resource: dict[str, Any]) -> None:
    check_invariants(resource)


@pytest.mark.parametrize(
    ("resource", "complaint"),
    [
        (_resource(), "Ready is present"),
        (
            _resource(_condition("Ready", "False"), _condition("Reconciling"), _condition("Stalled")),
            "never both present",
        ),
        (_resource(_condition("Ready"), _condition("Reconciling")), "Ready is False while Reconciling"),
        (_resource(_condition("Ready", "Unknown"), _condition("Stalled")), "Ready is False while Stalled"),
        (_resource(_condition("Ready"), _condition("Stalled", "False")), "removed, not set False"),
        (_resource(_condition("Ready", "Unknown")), "Ready is known after a pass"),
        (_resource(_condition("Ready", "False", message="")), "has a reason and a message"),
        (
            _resource(_condition("Ready", "False", message="another"), _condition("Stalled")),
            "carries the message of Stalled",
        ),
        (_resource(_condition("Ready"), _condition("Ready")), "appears once"),
        (_resource(_condition("Ready"), observed=3), "does not exceed generation"),
        (_resource(_condition("Ready"), observed=1), "while the generation is not observed"),
        (
            _resource(_condition("Ready"), _condition("Tested", observedGeneration=0)),
            "Tested has an",
        ),
        (
            _resource(_condition("Ready"), _condition("Tested", observedGeneration=1)),
            "Tested speaks of an older generation",
        ),
        (
            _resource(_condition("Ready"), _condition("Tested", observedGeneration=3)),
            "Tested and the status speak of the same generation",
        ),
    ],
)
def test_a_broken_status_fails(resource: dict[str, Any], complaint: str) -> None:
    with pytest.raises(AssertionError, match=complaint):
        check_invariants(resource)
