"""The random edits are valid: the API server accepts each of them, so what they find is the operator's."""

from __future__ import annotations

import random
from typing import Any

import pytest

from tests.kit import manifests
from tests.kit.cluster import Cluster
from tests.kit.tenant import DATAFLOW
from tests.property.edits import FIELDS, FieldEdit
from tests.property.landing_zone import edits as landing_zone
from tests.property.landing_zone.tenant import COLUMNS
from tests.property.lifecycle import declared_kinds
from tests.property.tenant import changed


class Choices:
    """As much of a tenant as an edit of a field looks at."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)


@pytest.mark.parametrize("name", sorted(FIELDS))
def test_the_api_server_accepts_the_edit(cluster: Cluster, namespace: str, name: str) -> None:
    _is_accepted(cluster, namespace, manifests.dataflow(namespace), FIELDS[name])


@pytest.mark.parametrize("name", sorted(landing_zone.FIELDS))
def test_the_api_server_accepts_the_edit_through_the_landing_zone(
    cluster: Cluster, namespace: str, name: str
) -> None:
    base = manifests.dataflow(namespace, source={"columns": COLUMNS}, transport="LandingZone")
    _is_accepted(cluster, namespace, base, landing_zone.FIELDS[name])


@pytest.mark.parametrize("changes", landing_zone.FIRST, ids=str)
def test_the_api_server_accepts_what_a_dataflow_through_the_landing_zone_begins_with(
    cluster: Cluster, namespace: str, changes: dict[str, Any]
) -> None:
    base = manifests.dataflow(namespace, source={"columns": COLUMNS}, transport="LandingZone")
    cluster.apply({**base, "spec": changed(base["spec"], changes)})


def _is_accepted(cluster: Cluster, namespace: str, base: dict[str, Any], edit: FieldEdit) -> None:
    cluster.apply(base)
    tried: list[Any] = []
    for seed in range(20):
        changes = edit(Choices(seed), base["spec"])  # type: ignore[arg-type]
        if changes is not None and changes not in tried:
            tried.append(changes)
            edited = {**base, "spec": changed(base["spec"], changes)}
            cluster.apply(edited)
            cluster.apply({**base, "spec": changed(edited["spec"], {"paused": None})})
    assert tried
    assert cluster.get(DATAFLOW, manifests.DATAFLOW, namespace)


@pytest.mark.parametrize("changes", declared_kinds().values(), ids=declared_kinds())
def test_the_api_server_accepts_what_no_field_alone_says(
    cluster: Cluster, namespace: str, changes: dict[str, Any]
) -> None:
    base = manifests.dataflow(namespace)
    cluster.apply(base)
    cluster.apply({**base, "spec": changed(base["spec"], changes)})
    found = cluster.get(DATAFLOW, manifests.DATAFLOW, namespace)["spec"]
    assert {field: found.get(field) for field in changes} != {
        field: base["spec"].get(field) for field in changes
    }
