"""How a base connection signs in, and how it is changed in place."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from pydantic import SecretStr

from crmflow.aep.models import AuthSpec, ConnectionSpec
from crmflow.reconcile.connection.auth_params import DOCUMENTED, auth_spec
from crmflow.reconcile.offer import ZOHO_CONNECTION_SPEC_ID, Offer
from crmflow.reconcile.outcome import OutcomeClass
from crmflow.transport.errors import ErrorClass
from tests.unit.reconcile.fakes import remote_error
from tests.unit.reconcile.world import NAMESPACE, Resource, World, connection_spec

CONFLICT = remote_error(ErrorClass.CONFLICT, "VersionConflict")
NOT_SUPPORTED = remote_error(ErrorClass.TERMINAL, "PatchNotSupported", "PATCH is not supported")


def offer_with(*auth_specs: AuthSpec) -> Offer:
    return Offer(ConnectionSpec(ZOHO_CONNECTION_SPEC_ID, "zoho", "1.0", auth_specs), None)


def with_auth_params(**params: str) -> dict[str, Any]:
    spec = copy.deepcopy(connection_spec())
    spec["platform"]["authParams"] = params
    return {"platform": spec["platform"]}


async def ready(world: World, **spec: Any) -> Resource:
    resource = world.connection(**spec)
    assert (await resource.visit()).outcome.is_done
    return resource


def patched(world: World) -> list[list[str]]:
    """The paths of each patch."""
    calls = world.platform.arguments.get("patch_connection", [])
    return [[operation.path for operation in operations] for _, _, operations in calls]


def edit_remotely(world: World, **params: Any) -> None:
    """Somebody edits the authentication parameters in Platform."""
    [(connection_id, remote)] = world.platform.connections.items()
    changed = {name: value for name, value in {**remote.auth_params, **params}.items() if value is not None}
    world.platform.connections[connection_id] = replace(remote, auth_params=changed)


OTHER = AuthSpec("OAuth2 Refresh Code", ("clientId", "accessTokenUrl"))
FITTING = AuthSpec("Zoho OAuth", ("clientId", "refreshToken"))


@pytest.mark.parametrize(
    ("offered", "expected"),
    [
        ((), DOCUMENTED),
        ((OTHER,), OTHER),
        ((OTHER, FITTING), FITTING),
        ((FITTING, OTHER), FITTING),
        ((FITTING, DOCUMENTED), DOCUMENTED),
    ],
)
def test_the_auth_spec_is_read_from_the_connection_spec(
    offered: tuple[AuthSpec, ...], expected: AuthSpec
) -> None:
    assert auth_spec(offer_with(*offered)) == expected


def test_without_a_connection_spec_the_documented_auth_spec_is_used() -> None:
    assert auth_spec(None) == auth_spec(Offer(None, None)) == DOCUMENTED


def test_an_existing_connection_keeps_its_auth_spec() -> None:
    assert auth_spec(offer_with(FITTING, OTHER), OTHER.name) == OTHER
    assert auth_spec(offer_with(FITTING), "gone") == AuthSpec("gone", DOCUMENTED.required)


async def test_a_required_parameter_that_nobody_gives_is_named_and_nothing_is_created() -> None:
    world = World()
    spec = world.platform.connection_specs[ZOHO_CONNECTION_SPEC_ID]
    needy = AuthSpec("Zoho OAuth", ("clientId", "region", "tier"))
    world.platform.connection_specs[ZOHO_CONNECTION_SPEC_ID] = replace(spec, auth_specs=(needy,))
    resource = world.connection()
    result = await resource.visit()
    assert (result.outcome.outcome_class, result.outcome.reason) == (OutcomeClass.STALLED, "AuthParamMissing")
    assert '"Zoho OAuth" requires region, tier' in resource.condition("Synced")[2]
    keys = "authParams.region, authParams.tier"
    assert f'if it is a secret, to the Secret "zoho-oauth" as {keys}.' in resource.condition("Synced")[2]
    assert world.platform.connections == {}
    assert "intents" not in resource.status

    resource.edit(lambda spec: spec["platform"].update(authParams={"region": "eu", "tier": "1"}))
    assert (await resource.visit()).outcome.is_done


async def test_a_parameter_that_is_a_secret_comes_from_the_secret_and_is_sent_when_it_changes() -> None:
    world = World()
    data = world.secrets.data[NAMESPACE, "zoho-oauth"]
    data |= {"authParams.signingKey": " key-1\n", "authParams.endpoint": "evil.com", "other": "unread"}
    resource = await ready(world)
    params = world.platform.arguments["create_connection"][0][3]
    assert params["signingKey"] == SecretStr("key-1")
    assert params["endpoint"] == "crm.zoho.eu/crm/private", "a documented one is no secret"
    assert "other" not in params

    data["other"] = "read by nobody"
    assert "patch_connection" not in (await resource.visit()).calls
    data["authParams.signingKey"] = "key-2"
    assert "patch_connection" in (await resource.visit()).calls
    assert "key-" not in json.dumps(resource.status)

    data["authParams.signingKey"] = "https://evil.com"
    outcome = (await resource.visit()).outcome
    assert outcome.reason == "EndpointRefused"
    assert "The Secret's authParams.signingKey names no host" in outcome.message
    assert "evil.com" not in outcome.message


async def test_a_parameter_of_the_spec_goes_before_the_secrets() -> None:
    world = World()
    world.secrets.data[NAMESPACE, "zoho-oauth"]["authParams.region"] = "secret"
    await ready(world, **with_auth_params(region="plain"))
    assert world.platform.arguments["create_connection"][0][3]["region"] == "plain"


async def test_a_parameter_that_becomes_required_is_named_before_credentials_are_replaced() -> None:
    world = World()
    resource = await ready(world)
    spec = world.platform.connection_specs[ZOHO_CONNECTION_SPEC_ID]
    needy = AuthSpec("Zoho OAuth", ("region",))
    world.platform.connection_specs[ZOHO_CONNECTION_SPEC_ID] = replace(spec, auth_specs=(needy,))
    world.clock.time += 1
    assert (await resource.visit()).outcome.is_done, "nothing has to be sent"
    world.secrets.data[NAMESPACE, "zoho-oauth"]["clientSecret"] = "rotated-value"
    assert (await resource.visit()).outcome.reason == "AuthParamMissing"
    assert patched(world) == []


@pytest.mark.parametrize(
    "params",
    [
        {"endpoint": "evil.com"},
        {"endpoint": "crm.zoho.com/crm/private"},
        {"Endpoint": "evil.com"},
        {"accessTokenUrl": "evil.com"},
        {"anything": "https://evil.com"},
        {"endpoint": "crm.zoho.eu\n"},
        {"endpoint": "x\nEU crm.zoho.eu"},
    ],
)
async def test_no_credentials_go_to_a_foreign_host_whatever_the_api_server_let_through(
    params: dict[str, str],
) -> None:
    world = World()
    resource = world.connection(**with_auth_params(**params))
    assert (await resource.visit()).outcome.reason == "EndpointRefused"
    assert f"spec.platform.authParams.{next(iter(params))}" in resource.condition("Synced")[2]
    assert world.platform.connections == {}

    existing = await ready(World())
    existing.edit(lambda spec: spec["platform"].update(authParams=params))
    assert (await existing.visit()).outcome.reason == "EndpointRefused"
    assert patched(existing.world) == []


async def test_no_new_token_goes_to_a_foreign_host_that_was_there_before_the_rule(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World()
    with monkeypatch.context() as before_the_rule:
        before_the_rule.setattr("crmflow.reconcile.connection.auth_params.foreign_hosts", lambda *_: [])
        resource = await ready(world, **with_auth_params(endpoint="evil.com"))
    world.zoho.token = "1000.eeee.ffff"
    assert (await resource.visit(full=False)).outcome.reason == "EndpointRefused"
    assert patched(world) == []


async def test_auth_params_are_merged_last() -> None:
    world = World()
    params = {"endpoint": "www.zohoapis.eu", "useEncryptedEndpoints": "true"}
    await ready(world, **with_auth_params(**params))
    [remote] = world.platform.connections.values()
    assert params.items() <= remote.auth_params.items()
    assert len(remote.auth_params) == 7


async def test_a_conflict_is_read_compared_and_tried_again() -> None:
    world = World()
    resource = await ready(world)
    resource.edit(lambda spec: spec.update(displayName="New"))
    world.platform.fail("patch_connection", CONFLICT, times=2)
    result = await resource.visit()
    assert result.outcome.is_done
    changes = [call for call in result.calls if call in ("connection", "patch_connection")]
    assert changes == ["connection", "patch_connection"] * 3


async def test_a_conflict_over_what_somebody_else_has_done_by_now_ends_in_peace() -> None:
    world = World()
    resource = await ready(world)
    resource.edit(lambda spec: spec.update(displayName="New"))
    world.platform.fail("patch_connection", CONFLICT, after=True, times=1)
    result = await resource.visit()
    assert result.outcome.is_done
    assert patched(world) == [["/name"]]
    assert result.events == []


async def test_a_conflict_each_time_is_tried_in_a_later_pass() -> None:
    world = World()
    resource = await ready(world)
    resource.edit(lambda spec: spec.update(displayName="New"))
    world.platform.fail("patch_connection", CONFLICT)
    result = await resource.visit()
    assert (result.outcome.outcome_class, result.outcome.reason) == (
        OutcomeClass.TRANSIENT,
        "VersionConflict",
    )
    world.platform.heal()
    assert (await resource.visit()).outcome.is_done


async def test_credentials_that_platform_does_not_take_are_stalled_until_they_are_put_back() -> None:
    world = World()
    resource = await ready(world)
    world.platform.fail("patch_connection", NOT_SUPPORTED)
    world.secrets.data[NAMESPACE, "zoho-oauth"]["clientSecret"] = "rotated-value"
    result = await resource.visit()
    assert (result.outcome.outcome_class, result.outcome.reason) == (
        OutcomeClass.STALLED,
        "PatchNotSupported",
    )
    message = resource.condition("Synced")[2]
    for part in ("PATCH is not supported", "goes on with those it has", "another ZohoSourceConnection"):
        assert part in message
    assert "test_connection" not in result.calls

    world.secrets.data[NAMESPACE, "zoho-oauth"]["clientSecret"] = "zoho-client-secret"
    assert (await resource.visit()).outcome.is_done


async def test_a_name_is_still_patched_where_credentials_are_not() -> None:
    world = World()
    resource = await ready(world)
    world.platform.fail("patch_connection", NOT_SUPPORTED, times=1)
    world.secrets.data[NAMESPACE, "zoho-oauth"]["clientSecret"] = "rotated-value"
    resource.edit(lambda spec: spec.update(displayName="New"))
    assert (await resource.visit()).outcome.reason == "PatchNotSupported"
    assert patched(world) == [["/name", "/auth/params"], ["/name"]]
    [remote] = world.platform.connections.values()
    assert remote.name.startswith("New [")


MASKED = {"clientSecret": "****", "accessToken": "****", "refreshToken": "****"}
OMITTED: Mapping[str, Any] = dict.fromkeys(MASKED)


@pytest.mark.parametrize("secrets_on_read", [MASKED, OMITTED, {}], ids=["masked", "omitted", "echoed"])
async def test_a_parameter_that_somebody_changed_is_restored(
    secrets_on_read: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World()
    show_secrets_as(world, secrets_on_read, monkeypatch)
    resource = await ready(world)
    await resource.visit()
    assert patched(world) == []
    edit_remotely(world, endpoint="crm.zoho.eu/elsewhere")
    result = await resource.visit()
    assert result.outcome.is_done
    assert [event.reason for event in result.events] == ["DriftRepaired"]
    assert resource.status["lastDrift"]["fields"] == ["baseConnection.auth.params"]
    [remote] = world.platform.connections.values()
    assert remote.auth_params["endpoint"] == "crm.zoho.eu/crm/private"
    assert (await resource.visit()).events == []
    assert patched(world) == [["/auth/params"]]


async def test_a_form_of_its_own_that_platform_shows_is_no_drift(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    show_secrets_as(
        world, {**MASKED, "endpoint": "https://CRM.ZOHO.EU", "clientId": "1000.****"}, monkeypatch
    )
    resource = await ready(world)
    await resource.visit()
    world.secrets.data[NAMESPACE, "zoho-oauth"]["clientSecret"] = "rotated-value"
    await resource.visit()
    await resource.visit()
    assert patched(world) == [["/auth/params"]], "the rotation alone"


def show_secrets_as(world: World, view: Mapping[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Have reads show parameters as ``view`` says, None: not at all."""
    read = world.platform.connection

    async def shown(connection_id: str) -> Any:
        remote = await read(connection_id)
        seen = (
            {**remote.auth_params, **view}
            if remote.auth_params["endpoint"] == ENDPOINT
            else remote.auth_params
        )
        return replace(remote, auth_params={name: value for name, value in seen.items() if value is not None})

    monkeypatch.setattr(world.platform, "connection", shown)


ENDPOINT = "crm.zoho.eu/crm/private"


async def test_a_withdrawn_source_that_takes_no_changes_leaves_what_works_ready() -> None:
    world = World()
    resource = await ready(world)
    world.clock.time += 1
    world.platform.connection_specs.clear()
    refused = remote_error(ErrorClass.TERMINAL, "SourceNotOffered", "no such connection spec")
    world.platform.fail("patch_connection", refused)
    resource.edit(lambda spec: spec.update(displayName="New"))
    assert (await resource.visit()).outcome.is_done
    assert resource.condition("Ready")[0] == "True"
    assert resource.condition("Synced")[:2] == ("False", "SourceNotOffered")
    assert resource.condition("SourceOffered")[:2] == ("False", "ConnectionSpecWithdrawn")


async def test_a_base_connection_that_status_lost_is_found_though_the_source_is_withdrawn() -> None:
    world = World()
    resource = await ready(world)
    rebuilt = world.connection()
    world.clock.time += 1
    world.platform.connection_specs.clear()
    assert (await rebuilt.visit()).outcome.is_done
    assert rebuilt.status["baseConnection"]["id"] == resource.status["baseConnection"]["id"]
    assert rebuilt.condition("SourceOffered")[:2] == ("False", "ConnectionSpecWithdrawn")
    assert "as long as its test succeeds" in rebuilt.condition("SourceOffered")[2]
    assert world.timeline.count("create_connection") == 1


async def test_a_base_connection_that_vanishes_after_the_withdrawal_is_not_attempted_anew() -> None:
    world = World()
    resource = await ready(world)
    world.clock.time += 1
    world.platform.connection_specs.clear()
    world.platform.connections.clear()
    for _ in range(3):
        assert (await resource.visit()).outcome.outcome_class is OutcomeClass.STALLED
    assert resource.condition("Ready")[1] == "ConnectionSpecWithdrawn"
    assert "can't be made anew" in resource.condition("Ready")[2]
    assert world.timeline.count("create_connection") == 1
