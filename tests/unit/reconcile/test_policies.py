"""What deleting a resource does, by what its spec says and by who made what stands for it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.reconcile.harness import Harness

CREATED: dict[str, Any] = {}
ADOPTED = {"connectionId": "bc-9"}
OBSERVED = {**ADOPTED, "managementPolicy": "Observe"}
DELETE, ORPHAN = {"deletionPolicy": "Delete"}, {"deletionPolicy": "Orphan"}


@pytest.mark.parametrize(
    ("spec", "recorded", "effective"),
    [
        (CREATED, None, "Delete"),
        (CREATED, "bc-1", "Delete"),
        (CREATED | ORPHAN, "bc-1", "Orphan"),
        (ADOPTED, None, "Orphan"),
        (ADOPTED, "bc-9", "Orphan"),
        (ADOPTED | DELETE, "bc-9", "Delete"),
        (ADOPTED, "bc-1", "Delete"),
        (OBSERVED, "bc-9", "Orphan"),
        (OBSERVED | DELETE, "bc-9", "Orphan"),
    ],
)
def test_the_effective_deletion_policy(spec: dict[str, Any], recorded: str | None, effective: str) -> None:
    resource = Harness().connection(**spec)
    if recorded is not None:
        resource.status = {"baseConnection": {"id": recorded}}
    assert resource.begin().deletion_policy == effective
