"""An operator under definitions of its kinds that are older: it works, and says what is missing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from hack.kubectl import Kubectl
from tests.kit.cluster import Cluster
from tests.kit.definitions import apply_definitions, definitions
from tests.kit.tenant import CONNECTION, DATAFLOW, ONE_OF_EACH, Tenant

CRD = "crmdataflows.crmflow.io"


def serves(kubectl: Kubectl, field: str) -> bool:
    """Whether the API server's schema of a status has that field by now."""
    document = json.loads(kubectl("get", "--raw", "/openapi/v3/apis/crmflow.io/v1alpha1"))
    schema = document["components"]["schemas"]["io.crmflow.v1alpha1.CRMDataflow"]
    return field in schema["properties"]["status"]["properties"]


@pytest.fixture
def older(kubectl: Kubectl, cluster: Cluster) -> Iterator[dict[str, Any]]:
    """The definition without a field of status that each pass writes; the whole one is put back."""
    crd = definitions()[DATAFLOW]
    del crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"]["properties"][
        "deletionPolicy"
    ]
    yield crd
    apply_definitions(kubectl, definitions()[DATAFLOW])


def test_under_older_definitions_everything_works_and_the_difference_is_said(
    tenant: Tenant, kubectl: Kubectl, older: dict[str, Any]
) -> None:
    apply_definitions(kubectl, older)
    tenant.until(lambda: not serves(kubectl, "deletionPolicy"), "the older definition is served")
    tenant.operator.restart()
    assert f"{CRD} is older than this operator: it lacks status.deletionPolicy." in tenant.operator.log
    assert tenant.metric("crmflow_definition_differences", kind=DATAFLOW, difference="missing") == 1
    tenant.make_ready()
    assert tenant.counts() == ONE_OF_EACH
    assert "deletionPolicy" not in tenant.get(DATAFLOW)["status"]
    assert "deletionPolicy" in tenant.get(CONNECTION)["status"]

    apply_definitions(kubectl, definitions()[DATAFLOW])
    tenant.until(lambda: serves(kubectl, "deletionPolicy"), "this version's definition is served")
    tenant.control.advance(301)
    tenant.until(
        lambda: tenant.metric("crmflow_definition_differences", kind=DATAFLOW, difference="missing") == 0,
        "the operator has noticed",
    )
    tenant.edit(DATAFLOW, displayName="Another name")
    tenant.wait_ready(DATAFLOW)
    assert tenant.get(DATAFLOW)["status"]["deletionPolicy"] == "Delete"
