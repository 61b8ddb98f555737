"""Taking over what exists: what is asked first, what is left alone, and who is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from crmflow.aep.models import BaseConnection
from crmflow.api.zohosourceconnection import ZohoSourceConnectionSpec, ZohoSourceConnectionStatus
from crmflow.reconcile.core.outcome import OutcomeClass
from crmflow.reconcile.external.identity import Identity, Slot
from crmflow.reconcile.ports import Absence
from crmflow.reconcile.sources.offer import ZOHO_CONNECTION_SPEC_ID
from tests.fakes.failing import remote_error
from tests.unit.reconcile.fakes import View
from tests.unit.reconcile.harness import NAMESPACE, Harness, Resource, connection_spec

WRITES = (".create", ".patch", ".delete", ".enable", ".disable")
OTHER_SOURCE = "another-connection-spec"


def existing(**changes: Any) -> BaseConnection:
    """A base connection as somebody made it in the user interface."""
    params = {"accountsUrl": "https://accounts.zoho.eu", "clientId": "1000.CLIENT", "clientSecret": "****"}
    made = BaseConnection(
        "bc-9", "etag", "Zoho by hand", "Of sales", "enabled", ZOHO_CONNECTION_SPEC_ID, "Zoho OAuth", params
    )
    return replace(made, **changes)


def adopting(harness: Harness, remote: BaseConnection | None = None, **spec: Any) -> Resource:
    """A connection that names what exists."""
    found = remote or existing()
    harness.platform.connections[found.id] = found
    return harness.connection(connectionId=found.id, **spec)


def writes(calls: list[str]) -> list[str]:
    return [call for call in calls if call.endswith(WRITES)]


async def test_a_base_connection_is_adopted_with_its_name_and_gets_our_credentials() -> None:
    harness = Harness()
    resource = adopting(harness)
    result = await resource.until_done()
    assert writes(result.calls) == ["connections.patch"]
    (remote,) = harness.platform.connections.values()
    assert (remote.name, remote.description) == ("Zoho by hand", "Of sales")
    assert set(remote.auth_params) >= {"accessToken", "refreshToken", "endpoint"}
    assert resource.status["baseConnection"]["id"] == "bc-9"
    assert resource.status["adopted"] is True
    assert [event.reason for event in result.events] == ["Adopted", "Updated"]

    assert writes((await resource.visit()).calls) == [], "nothing differs any more"
    assert (await resource.visit(full=False)).step == "quiet"


async def test_what_the_spec_does_not_own_of_the_credentials_stays() -> None:
    harness = Harness()
    params = {"usePeerVerification": "true", "clientSecret": "****", "userPassword": "x", "note": "***"}
    await adopting(harness, existing(auth_params=params)).until_done()
    kept = harness.platform.connections["bc-9"].auth_params
    assert kept["usePeerVerification"] == "true"
    assert not {"userPassword", "note"} & set(kept), "secrets and masks are never sent back"


async def test_what_the_user_calls_the_resource_does_not_rename_what_was_adopted() -> None:
    harness = Harness()
    resource = adopting(harness, displayName="Mine", description="Mine too")
    await resource.until_done()
    resource.edit(lambda spec: spec.update(displayName="Other"))
    assert writes((await resource.until_done()).calls) == []
    assert harness.platform.connections["bc-9"].name == "Zoho by hand"


async def test_what_the_resource_has_made_itself_can_be_named_later() -> None:
    harness = Harness()
    resource = harness.connection()
    await resource.until_done()
    made = resource.status["baseConnection"]["id"]
    resource.edit(lambda spec: spec.update(connectionId=made))
    assert writes((await resource.until_done()).calls) == []
    assert resource.status["adopted"] is True
    resource.edit(lambda spec: spec.update(displayName="Other"))
    await resource.until_done()
    assert harness.platform.connections[made].name.startswith("Zoho EU [")


async def test_what_it_had_begun_to_make_goes_when_it_adopts_instead() -> None:
    harness = Harness()
    resource = adopting(harness, existing())
    wanted = resource.spec.pop("connectionId")
    harness.platform.fail("connections.create", remote_error(maybe_applied=True), after=True, times=1)
    await resource.visit()
    assert len(harness.platform.connections) == 2
    resource.edit(lambda spec: spec.update(connectionId=wanted))
    await resource.until_done()
    assert list(harness.platform.connections) == [wanted]
    assert "intents" not in resource.status


async def test_another_than_the_one_it_has_is_refused() -> None:
    harness = Harness()
    resource = harness.connection()
    await resource.until_done()
    made = resource.status["baseConnection"]["id"]
    harness.platform.connections["bc-9"] = existing()
    resource.edit(lambda spec: spec.update(connectionId="bc-9"))
    result = await resource.visit()
    assert_refused(result, "AdoptionConflict", made)
    assert resource.status["baseConnection"]["id"] == made
    assert (await resource.visit(deleting=True)).outcome.is_done
    assert list(harness.platform.connections) == ["bc-9"], "what it made itself is deleted"


def assert_refused(result: Any, reason: str, text: str) -> None:
    assert (result.outcome.outcome_class, result.outcome.reason) == (OutcomeClass.STALLED, reason)
    assert text in result.outcome.message
    assert writes(result.calls) == []


async def test_what_another_resource_has_is_refused_and_its_owner_named() -> None:
    harness = Harness()
    resource = adopting(harness)
    harness.lister.owners["bc-9"] = "ZohoSourceConnection/sales/crm"
    assert_refused(await resource.visit(), "AdoptionConflict", "belongs to ZohoSourceConnection/sales/crm")
    assert "baseConnection" not in resource.status
    assert "adopted" not in resource.status
    harness.lister.owners["bc-9"] = "ZohoSourceConnection/crm/zoho-eu"
    assert (await resource.until_done()).outcome.is_done


async def test_what_another_installation_has_is_refused_and_its_owner_named() -> None:
    harness = Harness()
    name = "Zoho EU [crmflow:other:0123456789abcdef]"
    remote = existing(name=name, description="managed by crmflow other sales/crm uid")
    assert_refused(await adopting(harness, remote).visit(), "AdoptionConflict", "sales/crm of crmflow other")


@pytest.mark.parametrize("is_there", [False, True])
async def test_what_was_let_go_with_its_key_is_anothers_only_while_that_exists(is_there: bool) -> None:
    """Its dataflows may be meant to go on through a resource of another name."""
    harness = Harness()
    maker = Identity("test", "ZohoSourceConnection", NAMESPACE, "old", "uid-1")
    name, text = maker.remote_name("Zoho EU", Slot("connection")), maker.description(None)
    if is_there:
        spec = ZohoSourceConnectionSpec.model_validate(connection_spec())
        harness.lister.connections[NAMESPACE, "old"] = View(spec, ZohoSourceConnectionStatus())
    resource = adopting(harness, existing(name=name, description=text))
    result = await resource.visit()
    assert result.outcome.reason == ("AdoptionConflict" if is_there else "")
    assert resource.status.get("adopted") == (None if is_there else True)


async def test_a_key_without_an_owner_is_left_to_its_maker() -> None:
    harness = Harness()
    remote = existing(name="Zoho EU [crmflow:other:0123456789abcdef]", description="")
    assert_refused(
        await adopting(harness, remote).visit(), "AdoptionConflict", "another crmflow installation"
    )


async def test_what_an_earlier_resource_of_this_name_made_can_be_adopted() -> None:
    harness = Harness()
    earlier = harness.connection()
    await earlier.until_done()
    made = earlier.status["baseConnection"]["id"]
    resource = harness.connection(connectionId=made)
    resource.uid = "another"
    result = await resource.until_done()
    assert writes(result.calls) == ["connections.patch"]
    assert len(harness.platform.connections) == 1


async def test_another_source_is_refused() -> None:
    harness = Harness()
    resource = adopting(harness, existing(connection_spec_id=OTHER_SOURCE))
    assert_refused(await resource.visit(), "NotAdoptable", OTHER_SOURCE)
    assert "baseConnection" not in resource.status


@pytest.mark.parametrize("absence", [Absence.GONE, Absence.RESET, Absence.MASS_DELETION])
async def test_what_does_not_exist_is_refused(absence: Absence) -> None:
    harness = Harness()
    harness.inventory.absences["bc-9"] = absence
    resource = harness.connection(connectionId="bc-9")
    assert_refused(await resource.visit(), "AdoptedObjectMissing", "does not exist in this sandbox")


async def test_what_was_adopted_and_deleted_is_not_made_anew() -> None:
    harness = Harness()
    resource = adopting(harness)
    await resource.until_done()
    harness.platform.connections.clear()
    assert_refused(await resource.visit(), "AdoptedObjectMissing", "was deleted from outside")
    harness.platform.connections["bc-9"] = existing()
    assert (await resource.until_done()).outcome.is_done


async def test_what_a_label_hides_is_said() -> None:
    harness = Harness()
    harness.inventory.absences["bc-9"] = Absence.HIDDEN
    assert_refused(await harness.connection(connectionId="bc-9").visit(), "HiddenByLabel", "bc-9")


async def test_what_exists_is_adopted_although_the_source_is_no_longer_offered() -> None:
    harness = Harness()
    harness.platform.connection_specs.clear()
    resource = adopting(harness)
    await resource.until_done()
    assert resource.condition("SourceOffered")[1] == "ConnectionSpecWithdrawn"
    assert resource.condition("Ready")[0] == "True"


async def test_an_adopted_connection_stays_and_keeps_its_name_unless_the_spec_says_otherwise() -> None:
    harness = Harness()
    resource = adopting(harness)
    await resource.until_done()
    result = await resource.visit(deleting=True)
    assert result.outcome.is_done
    assert writes(result.calls) == []
    assert [event.reason for event in result.events] == ["Orphaned"]
    resource.edit(lambda spec: spec.update(deletionPolicy="Delete"))
    assert (await resource.visit(deleting=True)).outcome.is_done
    assert harness.platform.connections == {}


async def test_an_adopted_connection_that_bears_our_key_loses_it() -> None:
    harness = Harness()
    resource = harness.connection()
    await resource.until_done()
    made = resource.status["baseConnection"]["id"]
    resource.edit(lambda spec: spec.update(connectionId=made))
    await resource.until_done()
    await resource.visit(deleting=True)
    assert harness.platform.connections[made].name == "Zoho EU"
    assert harness.platform.connections[made].description == ""
    assert made in harness.inventory.let_gone, "an older listing still shows our key"
