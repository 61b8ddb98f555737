"""When listings are proof enough that nothing has to be done, and each thing that takes the proof away."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import pytest

from crmflow.aep.collection import AnyCollection
from crmflow.aep.flow_service import CONNECTIONS, FLOWS, SOURCE_CONNECTIONS, TARGET_CONNECTIONS
from crmflow.aep.models import Run
from crmflow.api.zohosourceconnection import BaseConnectionStatus
from crmflow.http.errors import ErrorClass, RemoteError
from crmflow.reconcile.core.outcome import OutcomeClass, PassEndedError
from tests.fakes.failing import remote_error
from tests.unit.reconcile.harness import CONNECTION_NAME, NAMESPACE, Harness, Resource

Disturb = Callable[[Harness, Resource], Any]

CONNECTIONS, FLOWS = CONNECTIONS, FLOWS
SOURCES, TARGETS = SOURCE_CONNECTIONS, TARGET_CONNECTIONS


async def ready(kind: str) -> tuple[Harness, Resource]:
    """A resource that is Ready, and a timeline that begins now."""
    harness = Harness()
    resource = harness.resource(kind)
    await resource.until_done()
    harness.timeline.clear()
    return harness, resource


async def is_quiet(resource: Resource) -> bool:
    try:
        return await resource.kind.quiet(resource.begin(full=False))
    except PassEndedError:
        return False


def change(collection: AnyCollection, **fields: Any) -> Disturb:
    """The listing shows other values of the only object of ``collection``."""

    def disturb(harness: Harness, _: Resource) -> None:
        held = harness.platform.objects(collection)
        [(remote_id, remote)] = held.items()
        held[remote_id] = replace(remote, **fields)

    return disturb


def drop(collection: AnyCollection) -> Disturb:
    """The listing does not show the only object of ``collection``."""
    return lambda harness, _: harness.platform.objects(collection).clear()


def double(collection: AnyCollection) -> Disturb:
    """The listing shows two objects with the same key."""

    def disturb(harness: Harness, _: Resource) -> None:
        held = harness.platform.objects(collection)
        [remote] = held.values()
        held["twin-99"] = replace(remote, id="twin-99")

    return disturb


def secret(name: str, key: str, value: str | None) -> Disturb:
    """A Secret holds another value, or none."""

    def disturb(harness: Harness, _: Resource) -> None:
        if value is None:
            del harness.secrets.data[NAMESPACE, name][key]
        else:
            harness.secrets.data[NAMESPACE, name][key] = value

    return disturb


def view(**changes: Any) -> Disturb:
    """The connection looks different to its dataflows."""

    def disturb(harness: Harness, _: Resource) -> None:
        found = harness.lister.connections[NAMESPACE, CONNECTION_NAME]
        harness.lister.connections[NAMESPACE, CONNECTION_NAME] = replace(found, **changes)

    return disturb


def other_base(harness: Harness, _: Resource) -> None:
    found = harness.lister.connections[NAMESPACE, CONNECTION_NAME]
    found.status = found.status.model_copy(update={"base_connection": BaseConnectionStatus(id="bc-9")})


DISTURBED = [
    pytest.param("connection", drop(CONNECTIONS), id="base connection missing"),
    pytest.param("connection", change(CONNECTIONS, name="x"), id="base connection renamed"),
    pytest.param("connection", change(CONNECTIONS, description=""), id="base connection without its line"),
    pytest.param("connection", double(CONNECTIONS), id="two base connections"),
    pytest.param("connection", secret("zoho-oauth", "clientSecret", "new"), id="Zoho secret rotated"),
    pytest.param("connection", secret("zoho-oauth", "refreshToken", "new"), id="grant replaced"),
    pytest.param("connection", secret("zoho-oauth", "refreshToken", None), id="grant gone"),
    pytest.param("connection", secret("adobe-platform", "clientId", None), id="Adobe credential incomplete"),
    pytest.param(
        "connection", lambda harness, _: harness.secrets.data.pop((NAMESPACE, "zoho-oauth")), id="Secret gone"
    ),
    pytest.param("connection", lambda _, r: r.status.pop("token"), id="credentials not tested yet"),
    *(
        pytest.param("dataflow", disturb(collection), id=f"{collection}: {what}")
        for collection in (FLOWS, SOURCES, TARGETS)
        for what, disturb in {
            "missing": drop,
            "renamed": lambda where: change(where, name="x"),
            "without its line": lambda where: change(where, description="Contacts"),
            "two": double,
        }.items()
    ),
    pytest.param("dataflow", change(FLOWS, state="disabled"), id="flow disabled"),
    pytest.param("dataflow", change(FLOWS, state="failed"), id="flow failed"),
    pytest.param("dataflow", change(FLOWS, state=""), id="flow without state"),
    pytest.param("dataflow", change(FLOWS, source_connection_ids=("other-1",)), id="flow reads elsewhere"),
    pytest.param("dataflow", change(FLOWS, target_connection_ids=("other-1",)), id="flow writes elsewhere"),
    pytest.param("dataflow", change(FLOWS, source_connection_ids=()), id="flow reads nothing"),
    pytest.param("dataflow", change(SOURCES, base_connection_id="bc-8"), id="source hangs elsewhere"),
    pytest.param("dataflow", other_base, id="base connection was made anew"),
    pytest.param("dataflow", view(ready=False), id="connection not Ready"),
    pytest.param("dataflow", lambda harness, _: harness.lister.connections.clear(), id="connection gone"),
    pytest.param("dataflow", lambda harness, _: harness.secrets.data.clear(), id="no way to Platform"),
    pytest.param("dataflow", lambda _, r: r.status.pop("targetConnectionId"), id="target not recorded"),
    pytest.param("dataflow", lambda _, r: r.status.pop("sourceConnectionId"), id="source not recorded"),
    pytest.param("dataflow", lambda _, r: r.spec["ingestion"].update(enabled=False), id="to be disabled"),
]


def remote_calls(timeline: Iterable[str]) -> list[str]:
    """Without asking for a token that is held."""
    return [call for call in timeline if call != "access_token"]


@pytest.mark.parametrize(("kind", "disturb"), DISTURBED)
async def test_this_is_not_quiet(kind: str, disturb: Disturb) -> None:
    harness, resource = await ready(kind)
    assert await is_quiet(resource)
    disturb(harness, resource)
    assert not await is_quiet(resource)
    assert remote_calls(harness.timeline) == [], "it costs no call to see that"


@pytest.mark.parametrize("kind", ["connection", "dataflow"])
async def test_a_quiet_visit_calls_nothing_and_changes_nothing(kind: str) -> None:
    _, resource = await ready(kind)
    before = resource.status
    result = await resource.visit(full=False)
    assert result.step == "quiet"
    assert remote_calls(result.calls) == []
    assert result.events == []
    assert resource.status == before


@pytest.mark.parametrize("spelled", ["Enabled", "ENABLED"])
async def test_states_are_compared_without_case(spelled: str) -> None:
    harness, resource = await ready("dataflow")
    change(FLOWS, state=spelled)(harness, resource)
    assert await is_quiet(resource)


async def test_a_flow_that_is_disabled_as_asked_is_quiet() -> None:
    harness = Harness()
    resource = harness.dataflow(ingestion={"enabled": False})
    await resource.until_done()
    assert await is_quiet(resource)


@pytest.mark.parametrize("kind", ["connection", "dataflow"])
async def test_what_is_not_quiet_is_compared_in_the_same_visit(kind: str) -> None:
    harness, resource = await ready(kind)
    change(CONNECTIONS if kind == "connection" else FLOWS, name="x")(harness, resource)
    result = await resource.visit(full=False)
    assert result.outcome.is_done
    assert result.step != "quiet"
    assert await is_quiet(resource)


async def test_a_new_run_is_recorded_from_the_listing_alone() -> None:
    harness, resource = await ready("dataflow")
    run = Run("r7", "flow-3", "failed", 1000.0, 1060.0)
    change(FLOWS, last_run=run)(harness, resource)
    result = await resource.visit(full=False)
    assert (result.step, result.calls) == ("quiet", [])
    assert resource.status["lastRun"]["id"] == "r7"
    assert resource.condition("RunsHealthy")[:2] == ("False", "Failed")


@pytest.mark.parametrize("kind", ["connection", "dataflow"])
async def test_without_a_listing_nothing_is_taken_for_granted(kind: str) -> None:
    harness, resource = await ready(kind)
    harness.inventory.fail("ensure", remote_error())
    with pytest.raises(RemoteError):
        await is_quiet(resource)
    result = await resource.visit(full=False)
    assert result.outcome.outcome_class is OutcomeClass.TRANSIENT
    assert resource.condition("Ready")[0] == "True"


@pytest.mark.parametrize("kind", ["connection", "dataflow"])
async def test_a_credential_that_is_not_accepted_any_more_stalls(kind: str) -> None:
    harness, resource = await ready(kind)
    harness.access.fail("platform", remote_error(ErrorClass.TERMINAL, "PlatformCredentialsRejected"))
    result = await resource.visit(full=False)
    assert result.outcome.reason == "PlatformCredentialsRejected"
    assert resource.condition("Ready")[0] == "False"


async def test_a_duplicate_is_removed_by_the_visit_that_it_causes() -> None:
    harness, resource = await ready("dataflow")
    [flow_id] = harness.platform.flows
    double(FLOWS)(harness, resource)
    result = await resource.visit(full=False)
    assert result.outcome.is_done
    assert list(harness.platform.flows) == [flow_id]
    assert [event.reason for event in result.events] == ["DuplicateRemoved"]
    assert await is_quiet(resource)


async def test_a_new_access_token_is_passed_on_and_nothing_else_is_looked_at() -> None:
    harness, resource = await ready("connection")
    before = resource.status
    harness.zoho.token = "1000.eeee.ffff"
    result = await resource.visit(full=False)
    assert result.step == "quiet"
    assert remote_calls(result.calls) == ["connections.get", "connections.patch"]
    [(_, etag, [operation])] = harness.platform.arguments["connections.patch"]
    assert etag
    assert operation.path == "/auth/params"
    assert operation.value["accessToken"].get_secret_value() == "1000.eeee.ffff"
    assert set(operation.value) == {
        "endpoint",
        "accountsUrl",
        "clientId",
        "clientSecret",
        "accessToken",
        "refreshToken",
    }, "as a whole: Platform merges nothing"
    assert result.events == []
    assert resource.status == before
    assert remote_calls((await resource.visit(full=False)).calls) == []


async def test_a_new_access_token_is_kept_back_if_the_spec_says_so() -> None:
    harness = Harness()
    resource = harness.connection(tokenPush="OnCredentialChange")
    await resource.until_done()
    harness.zoho.token = "1000.eeee.ffff"
    for full in (False, True):
        result = await resource.visit(full=full)
        assert result.outcome.is_done
        assert "connections.patch" not in result.calls
    harness.secrets.data[NAMESPACE, "zoho-oauth"]["clientSecret"] = "rotated-value"
    assert "connections.patch" in (await resource.visit()).calls


@pytest.mark.parametrize("kind", ["connection", "dataflow"])
async def test_a_listing_that_is_refused_stalls_also_what_reads_well_by_id(kind: str) -> None:
    harness, resource = await ready(kind)
    for call in ("ensure", "confirm"):
        harness.inventory.fail(call, remote_error(ErrorClass.TERMINAL, "PermissionDenied"))
    await resource.visit(full=False)
    assert resource.condition("Synced")[:2] == ("False", "PermissionDenied")
    assert resource.condition("Stalled")[:2] == ("True", "PermissionDenied")
    harness.inventory.heal()
    await resource.until_done()
    assert resource.condition("Synced")[:2] == ("True", "Succeeded")


async def test_runs_that_can_not_be_read_are_not_called_healthy_and_leave_ready_alone() -> None:
    harness, resource = await ready("dataflow")
    run = Run("r7", "flow-3", "success", 1000.0, 1060.0)
    change(FLOWS, last_run=run)(harness, resource)
    harness.inventory.unread_runs = remote_error(
        ErrorClass.TERMINAL, "PermissionDenied", "no role", advice="Ask."
    )
    result = await resource.visit(full=False)
    assert (result.step, result.events) == ("quiet", [])
    status, reason, message = resource.condition("RunsHealthy")
    assert (status, reason) == ("Unknown", "RunsUnreadable")
    assert message == (
        "The runs of the flow can't be listed. Fake: no role. Ask. The last run that is known is r7, success."
    )
    assert resource.condition("Ready")[0] == "True"
    harness.inventory.unread_runs = None
    await resource.visit(full=False)
    assert resource.condition("RunsHealthy")[1] != "RunsUnreadable"
