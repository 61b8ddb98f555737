"""What the models and the schemas rendered from them must agree on."""

from __future__ import annotations

import copy
import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from pydantic import ValidationError

from crmflow.api.base import ConditionStatus, Model, StatusCondition
from crmflow.api.crmdataflow import MAX_MAPPING_TEXT, CRMDataflowSpec, CRMDataflowStatus
from crmflow.api.endpoint import ZOHO_DOMAINS
from crmflow.api.kinds import CRM_DATAFLOW, CRM_DATAFLOW_RUN, KINDS, ZOHO_SOURCE_CONNECTION, Kind
from crmflow.api.zohosourceconnection import DataCenter, Environment, ZohoSourceConnectionSpec
from crmflow.zoho.datacenters import DATA_CENTERS
from hack.generators.crd import custom_resource_definition
from hack.generators.walk import Node, walk
from tests.cluster.crd_objects import ALTERNATIVES, MAXIMAL, resource

MINIMAL: dict[str, dict[str, Any]] = {
    ZOHO_SOURCE_CONNECTION.kind: {
        "zoho": {"dataCenter": "EU", "credentialsSecretRef": {"name": "zoho-oauth"}},
        "platform": {
            "organization": "1A@AdobeOrg",
            "sandbox": "prod",
            "credentialsSecretRef": {"name": "adobe-platform"},
        },
    },
    CRM_DATAFLOW.kind: {
        "connectionRef": {"name": "zoho-eu"},
        "source": {"table": "Contacts"},
        "target": {"schema": {"id": "https://ns.adobe.com/a"}, "dataset": {"id": "d1"}},
        "mapping": [{"target": "_a.b", "value": "x"}],
        "schedule": {"frequency": "Once"},
    },
    CRM_DATAFLOW_RUN.kind: {"dataflowRef": {"name": "contacts"}},
}


def dumped(model: Model) -> dict[str, Any]:
    return model.model_dump(by_alias=True, mode="json", exclude_unset=True)


def nodes(kind: Kind) -> list[Node]:
    version = custom_resource_definition(kind)["spec"]["versions"][0]
    properties = version["schema"]["openAPIV3Schema"]["properties"]
    return [*walk(properties["spec"], "spec"), *walk(properties["status"], "status", required=False)]


def paths_of(value: Any, path: str, known: set[str]) -> set[str]:
    """The schema paths that occur in ``value``."""
    found = {path}
    if isinstance(value, dict):
        for key, inner in value.items():
            child = f"{path}.{key}"
            found |= paths_of(inner, child if child in known else f"{path}{{}}", known)
    if isinstance(value, list):
        for inner in value:
            found |= paths_of(inner, f"{path}[]", known)
    return found


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
@pytest.mark.parametrize("part", ["spec", "status"])
def test_a_resource_with_every_field_passes_through_unchanged(kind: Kind, part: str) -> None:
    model = kind.spec if part == "spec" else kind.status
    value = MAXIMAL[kind.kind][part]
    assert dumped(model.model_validate(value)) == value


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_the_maximal_resource_has_every_field_of_the_schema_and_no_other(kind: Kind) -> None:
    known = {node.path for node in nodes(kind)}
    found = {
        path
        for body in (resource(kind, "any", edits) for edits in ((), *ALTERNATIVES[kind.kind].values()))
        for part in ("spec", "status")
        for path in paths_of(body[part], part, known)
    }
    assert found == known


def with_defaults(schema: dict[str, Any], value: Any) -> Any:
    """``value`` as the API server stores it."""
    if not isinstance(value, dict):
        return value
    filled = copy.deepcopy(value)
    for name, child in schema.get("properties", {}).items():
        if name not in filled and "default" in child:
            filled[name] = child["default"]
        if name in filled:
            filled[name] = with_defaults(child, filled[name])
    return filled


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_models_and_schema_have_the_same_defaults(kind: Kind) -> None:
    spec = next(node.schema for node in nodes(kind) if node.path == "spec")
    minimal = MINIMAL[kind.kind]
    assert kind.spec.model_validate(minimal) == kind.spec.model_validate(with_defaults(spec, minimal))


def test_defaults() -> None:
    connection = ZohoSourceConnectionSpec.model_validate(MINIMAL["ZohoSourceConnection"])
    assert (connection.zoho.environment, connection.paused) == (Environment.PRODUCTION, False)
    dataflow = CRMDataflowSpec.model_validate(MINIMAL["CRMDataflow"])
    assert (dataflow.ingestion.enabled, dataflow.paused) == (True, False)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_what_the_platform_owns_when_unset_has_no_default(kind: Kind) -> None:
    defaults = {node.path for node in nodes(kind) if "default" in node.schema}
    assert (
        defaults
        == {
            ZOHO_SOURCE_CONNECTION: {
                "spec.zoho.environment",
                "spec.paused",
                "spec.managementPolicy",
                "spec.tokenPush",
                "spec.transport",
            },
            CRM_DATAFLOW: {
                "spec.transport",
                "spec.extract.deletedRecords",
                "spec.ingestion",
                "spec.ingestion.enabled",
                "spec.paused",
                "spec.managementPolicy",
                "spec.replacementPolicy",
                "spec.target.schema.create.enableForProfileIrreversibly",
                "spec.target.dataset.create.profile",
                "spec.target.dataset.create.upsert",
                "spec.target.dataset.create.errorDiagnostics",
            },
            CRM_DATAFLOW_RUN: set(),
        }[kind]
    )


def unbounded(schema: dict[str, Any]) -> bool:
    match schema["type"]:
        case "string":
            return not schema.keys() & {"maxLength", "enum", "format"}
        case "array":
            return "maxItems" not in schema
        case "object":
            return "additionalProperties" in schema and "maxProperties" not in schema
        case "integer" | "number":
            return "minimum" not in schema
    return False


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_everything_is_bounded(kind: Kind) -> None:
    assert not [node.path for node in nodes(kind) if unbounded(node.schema)]


def test_a_dataflow_within_its_bounds_fits_into_etcd() -> None:
    """The mapping is what grows: 1.4 MB leave room for the rest (etcd takes 1.5 MiB)."""
    schemas = {node.path: node.schema for node in nodes(CRM_DATAFLOW)}
    entry = sum(schemas[f"spec.mapping[].{name}"]["maxLength"] for name in ("target", "source"))
    columns = schemas["spec.source.columns"]["maxItems"] * schemas["spec.source.columns[]"]["maxLength"]
    assert schemas["spec.mapping"]["maxItems"] * entry + MAX_MAPPING_TEXT + 2 * columns < 1_400_000


def test_every_data_center_has_its_domains() -> None:
    assert list(ZOHO_DOMAINS) == [center.value for center in DataCenter]


@pytest.mark.parametrize("center", DataCenter)
def test_the_clients_hosts_are_below_the_domains(center: DataCenter) -> None:
    hosts = DATA_CENTERS[center].hosts
    assert all(host.endswith(tuple(f".{domain}" for domain in ZOHO_DOMAINS[center])) for host in hosts)


def test_times_are_written_as_kubernetes_does() -> None:
    condition = StatusCondition(
        type="Ready",
        status=ConditionStatus.TRUE,
        last_transition_time=datetime(2026, 1, 31, 10, 0, 0, 999, timezone(timedelta(hours=2))),
        reason="Succeeded",
        message="",
    )
    assert dumped(condition)["lastTransitionTime"] == "2026-01-31T08:00:00Z"
    assert condition.last_transition_time == datetime(2026, 1, 31, 8, 0, 0, 999, UTC)


def test_a_time_without_zone_is_refused() -> None:
    with pytest.raises(ValidationError, match="timezone"):
        CRMDataflowStatus.model_validate({"schedule": {"startTime": "2026-01-31T08:00:00"}})


def test_fields_of_a_newer_version_are_ignored() -> None:
    minimal = MINIMAL["CRMDataflow"]
    assert CRMDataflowSpec.model_validate({**minimal, "novel": 1}) == CRMDataflowSpec.model_validate(minimal)


def test_errors_do_not_print_what_was_given() -> None:
    with pytest.raises(ValidationError) as error:
        CRMDataflowSpec.model_validate({"connectionRef": "s3cret"})
    assert "s3cret" not in str(error.value)


def test_what_the_user_wrote_can_be_told_from_defaults() -> None:
    spec = CRMDataflowSpec.model_validate(
        {**MINIMAL["CRMDataflow"], "ingestion": {"errorDiagnostics": False}}
    )
    assert spec.ingestion.model_fields_set == {"error_diagnostics"}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_rules_are_no_fields(kind: Kind) -> None:
    assert "rules" not in {*kind.spec.model_fields, *kind.status.model_fields}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_printer_columns_show_fields_that_exist(kind: Kind) -> None:
    known = {f".{node.path}" for node in nodes(kind)} | {".metadata.creationTimestamp"}
    for column in kind.printer_columns:
        assert re.sub(r"\[[?][^]]*\]", "[]", column.json_path) in known
    names = [column.name for column in kind.printer_columns]
    assert (names[:2], names[-1]) == (["Ready", "Status"], "Age")
