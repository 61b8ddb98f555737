"""Which way records take: what is declared, what exists, and what Platform offers, in that order."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from crmflow.aep.models import LandingZone, LandingZoneProvider
from crmflow.api.base import Transport
from crmflow.api.kinds import CRM_DATAFLOW
from crmflow.http.errors import ErrorClass
from crmflow.reconcile.core.outcome import OutcomeClass
from crmflow.reconcile.ports import Referrer
from crmflow.reconcile.sources.offer import FLOW_SPEC_NAME
from crmflow.zoho.scopes import LANDING_ZONE_SCOPES, SOURCE_SCOPES
from tests.fakes.failing import remote_error
from tests.unit.reconcile.harness import CONNECTION_NAME, NAMESPACE, Harness, Resource

WAITING, STALLED = OutcomeClass.WAITING, OutcomeClass.STALLED
PLATFORM_SOURCE, LANDING_ZONE = Transport.PLATFORM_SOURCE, Transport.LANDING_ZONE


def withdraw(harness: Harness) -> None:
    """Adobe has taken its Zoho source out of the catalog."""
    spec = harness.platform.flow_specs[FLOW_SPEC_NAME]
    harness.platform.flow_specs[FLOW_SPEC_NAME] = replace(spec, source_connection_spec_ids=())


def types(resource: Resource) -> list[str]:
    return [entry["type"] for entry in resource.status["conditions"]]


def refer(harness: Harness, *transports: Transport) -> None:
    """A dataflow of the connection takes these ways."""
    harness.lister.dataflows = [Referrer(CRM_DATAFLOW.kind, "contacts", False, frozenset(transports))]


# Connections


async def test_a_connection_takes_the_source_that_platform_offers() -> None:
    harness = Harness()
    resource = harness.connection()
    assert (await resource.visit()).outcome.is_done
    assert resource.status["transport"] == "PlatformSource"
    assert "LandingZoneReady" not in types(resource)
    assert len(harness.platform.connections) == 1


async def test_where_the_source_is_gone_it_is_the_landing_zone() -> None:
    harness = Harness()
    withdraw(harness)
    resource = harness.connection()
    assert (await resource.visit()).outcome.is_done
    assert resource.status["transport"] == "LandingZone"
    assert resource.status["landingZone"]["container"] == "dlz-user-container"
    assert resource.status["tables"] == 2
    assert types(resource) == ["Ready", "Authorized", "Synced", "LandingZoneReady"]
    assert not harness.platform.connections


@pytest.mark.parametrize("full", [True, False])
async def test_what_was_decided_stays(full: bool) -> None:
    harness = Harness()
    resource = harness.connection()
    await resource.visit()
    withdraw(harness)
    harness.clock.time += 3600
    assert (await resource.visit(full=full)).outcome.is_done
    assert resource.status["transport"] == "PlatformSource"


async def test_a_look_that_is_refused_decides_nothing() -> None:
    harness = Harness()
    harness.platform.fail("flowSpecs.list", remote_error(ErrorClass.TERMINAL, "PermissionDenied"))
    resource = harness.connection()
    result = await resource.visit()
    assert (result.outcome.outcome_class, result.outcome.reason) == (WAITING, "TransportUndecided")
    assert "transport" not in resource.status
    harness.platform.heal()
    assert (await resource.visit()).outcome.is_done


async def test_a_zone_on_aws_is_no_way() -> None:
    harness = Harness()
    withdraw(harness)
    harness.platform.zone = LandingZone(LandingZoneProvider.AWS, "bucket", 7)
    result = await harness.connection().visit()
    assert (result.outcome.outcome_class, result.outcome.reason) == (
        STALLED,
        "LandingZoneProviderUnsupported",
    )


async def test_without_a_template_for_its_jobs_it_is_no_way() -> None:
    harness = Harness()
    harness.transfers.obstacle = "Set CRMFLOW_TRANSFER_TEMPLATE."
    resource = harness.connection(transport="LandingZone")
    result = await resource.visit()
    assert (result.outcome.outcome_class, result.outcome.reason) == (STALLED, "TransfersNotConfigured")
    assert resource.condition("LandingZoneReady")[:2] == ("False", "TransfersNotConfigured")
    harness.transfers.obstacle = None
    assert (await resource.visit()).outcome.is_done


async def test_the_grant_needs_the_scopes_of_our_own_reads() -> None:
    harness = Harness()
    harness.zoho.granted = SOURCE_SCOPES
    resource = harness.connection(transport="LandingZone")
    result = await resource.visit()
    assert (result.outcome.outcome_class, result.outcome.reason) == (STALLED, "ScopeMissing")
    assert "ZohoCRM.coql.READ" in result.outcome.message
    assert "kubectl crmflow authorize" in result.outcome.message
    harness.zoho.granted = (*SOURCE_SCOPES, *LANDING_ZONE_SCOPES)
    assert (await resource.visit()).outcome.is_done


async def test_a_base_connection_goes_with_its_last_user() -> None:
    harness = Harness()
    resource = harness.connection()
    await resource.visit()
    refer(harness, PLATFORM_SOURCE)
    resource.edit(lambda spec: spec.update(transport="LandingZone"))
    assert (await resource.visit()).outcome.is_done
    assert len(harness.platform.connections) == 1
    assert resource.condition("Tested")[0] == "True"
    refer(harness, LANDING_ZONE)
    assert (await resource.visit()).outcome.is_done
    assert not harness.platform.connections
    assert "baseConnection" not in resource.status
    assert types(resource) == ["Ready", "Authorized", "Synced", "LandingZoneReady"]


async def test_a_base_connection_goes_once_all_dataflows_have_left_it() -> None:
    harness = Harness()
    resource = harness.connection()
    await resource.visit()
    refer(harness, PLATFORM_SOURCE, LANDING_ZONE)  # on its way
    assert (await resource.visit()).outcome.is_done
    assert len(harness.platform.connections) == 1
    refer(harness, LANDING_ZONE)
    assert (await resource.visit(full=False)).step != "quiet"
    assert not harness.platform.connections
    assert resource.status["transport"] == "LandingZone"
    assert resource.condition("Ready")[0] == "True"


async def test_a_dataflow_that_differs_has_what_it_needs() -> None:
    """That the landing zone is not ready then takes nothing from what goes through the source."""
    harness = Harness()
    refer(harness, LANDING_ZONE)
    resource = harness.connection(transport="PlatformSource")
    harness.transfers.obstacle = "Set CRMFLOW_TRANSFER_TEMPLATE."
    assert (await resource.visit()).outcome.is_done
    assert resource.condition("LandingZoneReady")[:2] == ("False", "TransfersNotConfigured")
    assert resource.condition("Ready")[0] == "True"
    assert resource.condition("Tested")[0] == "True"


async def test_a_connection_through_the_landing_zone_is_quiet() -> None:
    harness = Harness()
    resource = harness.connection(transport="LandingZone")
    await resource.visit()
    result = await resource.visit(full=False)
    assert result.outcome.is_done
    assert not [call for call in result.calls if "landingZone" in call or "files" in call]


# Dataflows


def dataflow(harness: Harness, connection: str = "Auto", **changes: Any) -> Resource:
    """A dataflow whose connection serves both ways."""
    resource = harness.dataflow(**changes)
    view = harness.lister.connections[NAMESPACE, CONNECTION_NAME]
    base = view.status.base_connection
    harness.open_landing_zone()
    view = harness.lister.connections[NAMESPACE, CONNECTION_NAME]
    harness.lister.connections[NAMESPACE, CONNECTION_NAME] = replace(
        view,
        spec=view.spec.model_copy(update={"transport": Transport(connection)}),
        status=view.status.model_copy(update={"base_connection": base}),
    )
    return resource


@pytest.mark.parametrize(
    ("own", "connection", "withdrawn", "expected"),
    [
        ("Auto", "Auto", False, "PlatformSource"),
        ("Auto", "Auto", True, "LandingZone"),
        ("Auto", "LandingZone", False, "LandingZone"),
        ("Auto", "PlatformSource", False, "PlatformSource"),
        ("PlatformSource", "LandingZone", False, "PlatformSource"),
        ("LandingZone", "PlatformSource", False, "LandingZone"),
    ],
)
async def test_the_dataflow_goes_before_its_connection_and_that_before_the_offer(
    own: str, connection: str, withdrawn: bool, expected: str
) -> None:
    harness = Harness()
    if withdrawn:
        withdraw(harness)
    resource = dataflow(harness, connection, transport=own)
    await resource.until_done()
    assert resource.status["transport"] == expected
    [source] = harness.platform.source_connections.values()
    assert (source.files is not None) == (expected == "LandingZone")


@pytest.mark.parametrize("transport", ["PlatformSource", "LandingZone"])
async def test_what_exists_goes_before_everything(transport: str) -> None:
    harness = Harness()
    resource = dataflow(harness, transport, schedule=ONCE, deltaColumn=None)
    await resource.until_done()
    resource.status = {}
    other = "LandingZone" if transport == "PlatformSource" else "PlatformSource"
    view = harness.lister.connections[NAMESPACE, CONNECTION_NAME]
    spec = view.spec.model_copy(update={"transport": Transport(other)})
    harness.lister.connections[NAMESPACE, CONNECTION_NAME] = replace(view, spec=spec)
    await resource.visit()
    assert resource.status["transport"] == transport
    assert len(harness.platform.flows) == 1


async def test_a_flow_from_before_there_was_another_way_needs_no_write() -> None:
    harness = Harness()
    resource = dataflow(harness)
    await resource.until_done()
    del resource.status["transport"]
    withdraw(harness)
    harness.clock.time += 3600
    result = await resource.visit()
    assert result.outcome.is_done
    assert resource.status["transport"] == "PlatformSource"
    assert not [call for call in result.calls if call.endswith((".create", ".patch", ".delete"))]


async def test_a_dataflow_needs_what_runs_its_jobs() -> None:
    harness = Harness()
    resource = dataflow(harness, "LandingZone")
    harness.transfers.obstacle = "Set CRMFLOW_TRANSFER_TEMPLATE."
    result = await resource.visit()
    assert (result.outcome.outcome_class, result.outcome.reason) == (STALLED, "TransfersNotConfigured")
    harness.transfers.obstacle = None
    await resource.until_done()


ONCE = {"frequency": "Once", "startTime": "2030-01-01T00:00:00Z"}
