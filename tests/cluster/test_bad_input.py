"""Whatever is wrong outside has a condition with its own reason and says what to do; nothing is retried in a
tight loop, and each heals once the cause is gone.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.kit import manifests
from tests.kit.cluster import Object, condition
from tests.kit.tenant import CONNECTION, DATAFLOW, NOTHING, ONE_OF_EACH, Tenant

Act = Callable[[Tenant], object]

UNKNOWN_SCHEMA = "https://ns.adobe.com/crmflowdemo/schemas/0000000000000000000000000000000000000000000000ff"
HOUR = 3700.0
CALLS_OF_TWO_PASSES = 12


def nothing(_: Tenant) -> None:
    """What is there by default."""


@dataclass(frozen=True)
class Case:
    """One thing that is wrong, how it shows, and how it is cured."""

    id: str
    kind: str
    condition: str
    reason: str
    says: str
    cure: Act
    spoil: Act = nothing
    secret: dict[str, str] = field(default_factory=dict)
    connection: dict[str, Any] = field(default_factory=dict)
    dataflow: dict[str, Any] = field(default_factory=dict)
    stalled: bool = True


def later(act: Act) -> Act:
    """A cure at Adobe or Zoho sends no event: it is found by the hourly look."""

    def cure(tenant: Tenant) -> None:
        act(tenant)
        tenant.control.advance(HOUR)

    return cure


def profile(tenant: Tenant, **change: Any) -> None:
    tenant.control.patch("/zoho/eu/production/profiles/Integration", **change)


CASES = [
    Case(
        "no-secret",
        CONNECTION,
        "Authorized",
        "SecretNotFound",
        "Create it with the keys",
        spoil=lambda w: w.cluster.delete("Secret", manifests.ZOHO_SECRET, w.namespace),
        cure=lambda w: w.apply_secrets(),
        stalled=False,
    ),
    Case(
        "no-platform-secret",
        CONNECTION,
        "Authorized",
        "SecretNotFound",
        manifests.PLATFORM_SECRET,
        spoil=lambda w: w.cluster.delete("Secret", manifests.PLATFORM_SECRET, w.namespace),
        cure=lambda w: w.apply_secrets(),
        stalled=False,
    ),
    Case(
        "no-key",
        CONNECTION,
        "Authorized",
        "SecretKeyMissing",
        "refreshToken",
        secret={"refreshToken": ""},
        cure=lambda w: w.apply_secrets(),
    ),
    Case(
        "byte-order-mark",
        CONNECTION,
        "Authorized",
        "SecretValueInvalid",
        "clientId begins with a byte order mark",
        secret={"clientId": "\ufeff1000.ABCDEFGHIJKLMNOPQRSTUVWXYZ0123"},
        cure=lambda w: w.apply_secrets(),
    ),
    Case(
        "quotes",
        CONNECTION,
        "Authorized",
        "InvalidClientSecret",
        "clientSecret is surrounded by quotes",
        secret={"clientSecret": '"0123456789abcdef0123456789abcdef01234567"'},
        cure=lambda w: w.apply_secrets(),
    ),
    Case(
        "wrong-client-secret",
        CONNECTION,
        "Authorized",
        "InvalidClientSecret",
        "data center",
        secret={"clientSecret": "0123456789abcdef0123456789abcdef01234567"},
        cure=lambda w: w.apply_secrets(),
    ),
    Case(
        "wrong-data-center",
        CONNECTION,
        "Authorized",
        "InvalidClient",
        "spec.zoho.dataCenter",
        connection={"zoho": {"dataCenter": "US"}},
        cure=lambda w: recreate_connection(w),
    ),
    Case(
        "revoked-token",
        CONNECTION,
        "Authorized",
        "RefreshTokenRejected",
        "consent again",
        spoil=lambda w: w.control.post(
            "/zoho/refresh-tokens/revoke", token=w.emulators.info["zoho"]["refreshToken"]
        ),
        cure=lambda w: w.apply_secrets(**new_grant(w)),
    ),
    Case(
        "wrong-environment",
        CONNECTION,
        "Authorized",
        "EnvironmentMismatch",
        "spec.zoho.environment is Production",
        spoil=lambda w: w.control.patch("/zoho/eu/production/organization", type="sandbox"),
        cure=later(lambda w: w.control.patch("/zoho/eu/production/organization", type="production")),
    ),
    Case(
        "no-api-access",
        CONNECTION,
        "Authorized",
        "ApiAccessDisabled",
        "API Access",
        spoil=lambda w: profile(w, apiAccess=False),
        cure=later(lambda w: profile(w, apiAccess=True)),
    ),
    Case(
        "wrong-platform-secret",
        CONNECTION,
        "Authorized",
        "PlatformCredentialsRejected",
        "Developer Console",
        spoil=lambda w: w.cluster.apply(
            manifests.secret(
                w.namespace,
                manifests.PLATFORM_SECRET,
                {
                    "clientId": w.emulators.info["platform"]["clientId"],
                    "clientSecret": "p8e-wrong-wrong-wrong",
                },
            )
        ),
        cure=lambda w: w.apply_secrets(),
    ),
    Case(
        "unknown-sandbox",
        CONNECTION,
        "Authorized",
        "SandboxNotFound",
        "role",
        connection={"platform": {"sandbox": "nowhere"}},
        cure=later(lambda w: add_sandbox(w, "nowhere")),
    ),
    Case(
        "source-withdrawn",
        CONNECTION,
        "SourceOffered",
        "SourceWithdrawn",
        "Adobe announced",
        connection={"transport": "PlatformSource"},  # Auto takes the landing zone then
        spoil=lambda w: w.control.post("/aep/source/withdraw", what="flowSpec"),
        cure=later(lambda w: w.control.post("/aep/source/restore")),
    ),
    Case(
        "spec-withdrawn",
        CONNECTION,
        "SourceOffered",
        "ConnectionSpecWithdrawn",
        "Adobe announced",
        connection={"transport": "PlatformSource"},
        spoil=lambda w: w.control.post("/aep/source/withdraw", what="connectionSpec"),
        cure=later(lambda w: w.control.post("/aep/source/restore")),
    ),
    Case(
        "test-fails",
        CONNECTION,
        "Tested",
        "ConnectionTestFailed",
        "Allowed IPs",
        spoil=lambda w: w.control.switch("zoho", ipBlock="source"),
        cure=later(lambda w: w.control.switch("zoho", ipBlock="none")),
    ),
    Case(
        "unknown-table",
        DATAFLOW,
        "SourceReady",
        "TableNotFound",
        "API names of modules",
        dataflow={"source": {"table": "Potentials"}},
        cure=lambda w: w.edit(DATAFLOW, source={"table": "Contacts"}),
    ),
    Case(
        "unreadable-table",
        DATAFLOW,
        "SourceReady",
        "TableNotReadable",
        "Resource with given id does not exist",
        spoil=lambda w: w.control.switch("aep", unreadableTables=["Contacts"]),
        cure=later(lambda w: w.control.switch("aep", unreadableTables=[])),
    ),
    Case(
        "unknown-column",
        DATAFLOW,
        "SourceReady",
        "ColumnNotFound",
        "Shoe_Size",
        dataflow={"source": {"columns": ["Email", "First_Name", "Last_Name", "Modified_Time", "Shoe_Size"]}},
        cure=lambda w: w.edit(
            DATAFLOW, source={"columns": ["Email", "First_Name", "Last_Name", "Modified_Time"]}
        ),
    ),
    Case(
        "unknown-delta-column",
        DATAFLOW,
        "SourceReady",
        "DeltaColumnNotFound",
        "Modified_Time",
        dataflow={"deltaColumn": {"name": "Changed_At"}},
        cure=lambda w: w.edit(DATAFLOW, deltaColumn={"name": "Modified_Time"}),
    ),
    Case(
        "delta-column-no-date",
        DATAFLOW,
        "SourceReady",
        "DeltaColumnNotDateTime",
        "Modified_Time",
        dataflow={"deltaColumn": {"name": "Email"}},
        cure=lambda w: w.edit(DATAFLOW, deltaColumn={"name": "Modified_Time"}),
    ),
    Case(
        "unknown-schema",
        DATAFLOW,
        "TargetReady",
        "SchemaNotFound",
        "spec.target.schema.id",
        dataflow={"target": {"schema": {"id": UNKNOWN_SCHEMA}}},
        cure=lambda w: w.edit(DATAFLOW, target=manifests.dataflow(w.namespace)["spec"]["target"]),
    ),
    Case(
        "unknown-dataset",
        DATAFLOW,
        "TargetReady",
        "DatasetNotFound",
        "spec.target.dataset.id",
        dataflow={"target": {"dataset": {"id": "ffffffffffffffffffffffff"}}},
        cure=lambda w: w.edit(DATAFLOW, target=manifests.dataflow(w.namespace)["spec"]["target"]),
    ),
    Case(
        "schema-of-another-dataset",
        DATAFLOW,
        "TargetReady",
        "SchemaMismatch",
        "Use the dataset's schema",
        dataflow={"target": {"dataset": {"id": "6889f4f89b982b2b90bc1209"}}},
        cure=lambda w: w.edit(DATAFLOW, target=manifests.dataflow(w.namespace)["spec"]["target"]),
    ),
    Case(
        "mapping-to-nowhere",
        DATAFLOW,
        "MappingValid",
        "MappingInvalid",
        "person.shoeSize",
        dataflow={"mapping": [{"target": "person.shoeSize", "source": "Email"}]},
        cure=lambda w: w.edit(DATAFLOW, mapping=manifests.dataflow(w.namespace)["spec"]["mapping"]),
    ),
    Case(
        "mapping-expression",
        DATAFLOW,
        "MappingValid",
        "MappingInvalid",
        "person.name.fullName",
        dataflow={"mapping": [{"target": "person.name.fullName", "expression": "concat(First_Name,"}]},
        cure=lambda w: w.edit(DATAFLOW, mapping=manifests.dataflow(w.namespace)["spec"]["mapping"]),
    ),
    Case(
        "no-connection",
        DATAFLOW,
        "SourceReady",
        "ConnectionNotFound",
        "elsewhere",
        dataflow={"connectionRef": {"name": "elsewhere"}},
        cure=lambda w: w.edit(DATAFLOW, connectionRef={"name": manifests.CONNECTION}),
        stalled=False,
    ),
]


def new_grant(tenant: Tenant) -> dict[str, str]:
    """The values of a Zoho Secret after another consent."""
    grant = tenant.control.post("/zoho/grants", dataCenter="EU", environment="production", exchange=True)
    return {key: grant[key] for key in ("clientId", "clientSecret", "refreshToken")}


def add_sandbox(tenant: Tenant, name: str) -> None:
    """Add a sandbox that has the dataflow's schema and dataset."""
    target = manifests.dataflow(tenant.namespace)["spec"]["target"]
    tenant.control.post("/aep/sandboxes", name=name)
    tenant.control.post(f"/aep/sandboxes/{name}/schemas", id=target["schema"]["id"], title="Contacts")
    tenant.control.post(f"/aep/sandboxes/{name}/dataSets", id=target["dataset"]["id"], name="Contacts")


def recreate_connection(tenant: Tenant) -> None:
    """The data center can't be changed: another resource takes its place."""
    tenant.delete(CONNECTION)
    tenant.wait_gone(CONNECTION)
    tenant.apply_connection()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_bad_input_is_named_and_heals(tenant: Tenant, case: Case) -> None:
    tenant.apply_secrets(**case.secret)
    case.spoil(tenant)
    tenant.apply_connection(**case.connection)
    tenant.apply_dataflow(**case.dataflow)

    if case.kind == DATAFLOW:
        tenant.wait_ready(CONNECTION)
    spoiled = tenant.wait_reason(case.kind, case.condition, case.reason)
    ready = condition(spoiled, "Ready")
    assert ready["status"] == "False"
    assert ready["reason"] == case.reason
    assert case.says in ready["message"]
    assert (condition(spoiled, "Stalled") is not None) is case.stalled
    for kind in (CONNECTION, DATAFLOW):
        tenant.cluster.wait(kind, tenant.name_of(kind), tenant.namespace, is_looked_at, what="finished pass")
    tenant.check()
    assert_no_tight_loop(tenant)
    if case.kind == DATAFLOW:
        assert tenant.counts() == {**NOTHING, "connections": 1}

    case.cure(tenant)
    tenant.wait_ready(CONNECTION)
    tenant.wait_ready(DATAFLOW)
    sandbox = tenant.get(CONNECTION)["spec"]["platform"]["sandbox"]
    assert {collection: len(tenant.held(collection, sandbox)) for collection in ONE_OF_EACH} == ONE_OF_EACH


def is_looked_at(obj: Object) -> bool:
    """A first pass over it has ended."""
    ready = condition(obj, "Ready")
    return ready is not None and ready["status"] != "Unknown"


def assert_no_tight_loop(tenant: Tenant) -> None:
    """Within a second there is at most one pass of each resource."""
    mark = tenant.mark()
    time.sleep(1.0)
    calls = tenant.calls_beside_polls(mark)
    assert len(calls) <= CALLS_OF_TWO_PASSES, [(call["method"], call["path"]) for call in calls]


def test_a_base_connection_that_works_outlives_the_source_being_withdrawn(tenant: Tenant) -> None:
    tenant.make_ready()
    tenant.control.post("/aep/source/withdraw")
    tenant.control.advance(HOUR)

    withdrawn = tenant.wait_reason(CONNECTION, "SourceOffered", "ConnectionSpecWithdrawn")
    assert condition(withdrawn, "Ready")["status"] == "True", withdrawn["status"]
    assert tenant.counts() == ONE_OF_EACH


def test_a_revoked_grant_is_replaced_in_platform_too(tenant: Tenant) -> None:
    tenant.make_ready()
    tenant.control.post("/zoho/refresh-tokens/revoke", token=tenant.emulators.info["zoho"]["refreshToken"])
    tenant.control.advance(HOUR)
    tenant.wait_reason(CONNECTION, "Authorized", "RefreshTokenRejected")

    tenant.apply_secrets(**new_grant(tenant))
    tenant.wait_ready(CONNECTION)
    params = tenant.held("connections")[0]["auth"]["params"]
    assert params["clientId"] == new_client(tenant)
    assert tenant.counts() == ONE_OF_EACH


def new_client(tenant: Tenant) -> str:
    """The client id in today's Secret."""
    import base64

    secret = tenant.cluster.get("Secret", manifests.ZOHO_SECRET, tenant.namespace)
    return base64.b64decode(secret["data"]["clientId"]).decode()
