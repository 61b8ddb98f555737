"""Calls of the same kind are told apart from others whatever ids they bear."""

from __future__ import annotations

import pytest

from tests.faults.calls import BLOB, KUBERNETES, Call, Caller

FLOWS = "/data/foundation/flowservice/flows"
OURS = "/apis/crmflow.io/v1alpha1/namespaces"
ZONE = "/sndbxdtlnd0004/dlz-user-container"


@pytest.mark.parametrize(
    ("service", "path", "kind"),
    [
        ("platform", f"{FLOWS}/ddad8220-491f-4826-a1fa-3e0f371b7f14", f"{FLOWS}/{{id}}"),
        ("platform", f"{FLOWS}/ddad8220-491f-4826-a1fa-3e0f371b7f14/action", f"{FLOWS}/{{id}}/action"),
        ("platform", FLOWS, FLOWS),
        ("platform", "/x/dataSets/6889f4f89b982b2b90bc1207", "/x/dataSets/{id}"),
        ("platform", "/x/schemas/https%3A%2F%2Fns.adobe.com%2Fa%2Fschemas%2Fb", "/x/schemas/{id}"),
        ("zoho-api", "/dc/eu/production/crm/v8/org", "/dc/eu/production/crm/v8/org"),
        (BLOB, "/sndbxdtlnd0001/dlz-user-container", "/{account}/dlz-user-container"),
        (BLOB, "/sndbxdtlnd0001/dlz-user-container/crmflow/a/b.csv", "/{account}/dlz-user-container/{file}"),
        (KUBERNETES, f"{OURS}/a/crmdataflows/b", f"{OURS}/{{namespace}}/crmdataflows/{{name}}"),
        (KUBERNETES, f"{OURS}/a/crmdataflows/b/status", f"{OURS}/{{namespace}}/crmdataflows/{{name}}/status"),
        (KUBERNETES, "/api/v1/namespaces/a/secrets", "/api/v1/namespaces/{namespace}/secrets"),
        (KUBERNETES, "/api/v1/namespaces/kube-system", "/api/v1/namespaces/kube-system"),
    ],
)
def test_ids_are_taken_out(service: str, path: str, kind: str) -> None:
    assert Call.of(service, "GET", path).path == kind


@pytest.mark.parametrize(("method", "is_read"), [("GET", True), ("POST", False), ("DELETE", False)])
def test_only_reads_change_nothing(method: str, is_read: bool) -> None:
    assert Call("platform", method, FLOWS).is_read == is_read


def test_what_is_asked_of_a_file_tells_calls_apart() -> None:
    block, commit = (Call.of(BLOB, "PUT", f"{ZONE}/a.csv", comp=comp) for comp in ("block", "blocklist"))
    assert [str(call) for call in (block, commit)] == [
        "blob PUT /{account}/dlz-user-container/{file}?comp=block",
        "blob PUT /{account}/dlz-user-container/{file}?comp=blocklist",
    ]


def test_calls_of_a_job_are_other_calls() -> None:
    path = "/dc/eu/production/crm/v8/coql"
    ours, job = (Call.of("zoho-api", "POST", path, caller=caller) for caller in Caller)
    assert ours != job
    assert [str(call) for call in (ours, job)] == [f"zoho-api POST {path}", f"job zoho-api POST {path}"]
