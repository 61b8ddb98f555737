"""How a base connection signs in, and how it is changed in place."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from pydantic import SecretStr

from crmflow.aep.collection import AnyCollection
from crmflow.aep.flow_service import CONNECTIONS
from crmflow.aep.models import AuthSpec, ConnectionSpec
from crmflow.http.errors import ErrorClass
from crmflow.reconcile.core.outcome import OutcomeClass
from crmflow.reconcile.sources.offer import UNKNOWN_OFFER, ZOHO_CONNECTION_SPEC_ID, PlatformSourceOffer
from crmflow.reconcile.sources.sign_in import DOCUMENTED, auth_spec
from tests.fakes.failing import remote_error
from tests.unit.reconcile.harness import NAMESPACE, Harness, Resource, connection_spec

CONFLICT = remote_error(ErrorClass.CONFLICT, "VersionConflict")
NOT_SUPPORTED = remote_error(ErrorClass.TERMINAL, "PatchNotSupported", "PATCH is not supported")


def offer_with(*auth_specs: AuthSpec) -> PlatformSourceOffer:
    return PlatformSourceOffer(ConnectionSpec(ZOHO_CONNECTION_SPEC_ID, "zoho", "1.0", auth_specs), None)


def with_auth_params(**params: str) -> dict[str, Any]:
    spec = copy.deepcopy(connection_spec())
    spec["platform"]["authParams"] = params
    return {"platform": spec["platform"]}


async def ready(harness: Harness, **spec: Any) -> Resource:
    resource = harness.connection(**spec)
    assert (await resource.visit()).outcome.is_done
    return resource


def patched(harness: Harness) -> list[list[str]]:
    """The paths of each patch."""
    calls = harness.platform.arguments.get("connections.patch", [])
    return [[operation.path for operation in operations] for _, _, operations in calls]


def edit_remotely(harness: Harness, **params: Any) -> None:
    """Somebody edits the authentication parameters in Platform."""
    [(connection_id, remote)] = harness.platform.connections.items()
    changed = {name: value for name, value in {**remote.auth_params, **params}.items() if value is not None}
    harness.platform.connections[connection_id] = replace(remote, auth_params=changed)


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
    assert auth_spec(UNKNOWN_OFFER) == auth_spec(PlatformSourceOffer(None, None)) == DOCUMENTED


def test_an_existing_connection_keeps_its_auth_spec() -> None:
    assert auth_spec(offer_with(FITTING, OTHER), OTHER.name) == OTHER
    assert auth_spec(offer_with(FITTING), "gone") == AuthSpec("gone", DOCUMENTED.required)


async def test_a_required_parameter_that_nobody_gives_is_named_and_nothing_is_created() -> None:
    harness = Harness()
    spec = harness.platform.connection_specs[ZOHO_CONNECTION_SPEC_ID]
    needy = AuthSpec("Zoho OAuth", ("clientId", "region", "tier"))
    harness.platform.connection_specs[ZOHO_CONNECTION_SPEC_ID] = replace(spec, auth_specs=(needy,))
    resource = harness.connection()
    result = await resource.visit()
    assert (result.outcome.outcome_class, result.outcome.reason) == (OutcomeClass.STALLED, "AuthParamMissing")
    assert '"Zoho OAuth" requires region, tier' in resource.condition("Synced")[2]
    keys = "authParams.region, authParams.tier"
    assert f'if it is a secret, to the Secret "zoho-oauth" as {keys}.' in resource.condition("Synced")[2]
    assert harness.platform.connections == {}
    assert "intents" not in resource.status

    resource.edit(lambda spec: spec["platform"].update(authParams={"region": "eu", "tier": "1"}))
    assert (await resource.visit()).outcome.is_done


async def test_a_parameter_that_is_a_secret_comes_from_the_secret_and_is_sent_when_it_changes() -> None:
    harness = Harness()
    data = harness.secrets.data[NAMESPACE, "zoho-oauth"]
    data |= {"authParams.signingKey": " key-1\n", "authParams.endpoint": "evil.com", "other": "unread"}
    resource = await ready(harness)
    params = harness.platform.arguments["connections.create"][0][0]["auth"]["params"]
    assert params["signingKey"] == SecretStr("key-1")
    assert params["endpoint"] == "crm.zoho.eu/crm/private", "a documented one is no secret"
    assert "other" not in params

    data["other"] = "read by nobody"
    assert "connections.patch" not in (await resource.visit()).calls
    data["authParams.signingKey"] = "key-2"
    assert "connections.patch" in (await resource.visit()).calls
    assert "key-" not in json.dumps(resource.status)

    data["authParams.signingKey"] = "https://evil.com"
    outcome = (await resource.visit()).outcome
    assert outcome.reason == "EndpointRefused"
    assert "The Secret's authParams.signingKey names no host" in outcome.message
    assert "evil.com" not in outcome.message


async def test_a_parameter_of_the_spec_goes_before_the_secrets() -> None:
    harness = Harness()
    harness.secrets.data[NAMESPACE, "zoho-oauth"]["authParams.region"] = "secret"
    await ready(harness, **with_auth_params(region="plain"))
    assert harness.platform.arguments["connections.create"][0][0]["auth"]["params"]["region"] == "plain"


async def test_a_parameter_that_becomes_required_is_named_before_credentials_are_replaced() -> None:
    harness = Harness()
    resource = await ready(harness)
    spec = harness.platform.connection_specs[ZOHO_CONNECTION_SPEC_ID]
    needy = AuthSpec("Zoho OAuth", ("region",))
    harness.platform.connection_specs[ZOHO_CONNECTION_SPEC_ID] = replace(spec, auth_specs=(needy,))
    harness.clock.time += 1
    assert (await resource.visit()).outcome.is_done, "nothing has to be sent"
    harness.secrets.data[NAMESPACE, "zoho-oauth"]["clientSecret"] = "rotated-value"
    assert (await resource.visit()).outcome.reason == "AuthParamMissing"
    assert patched(harness) == []


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
    harness = Harness()
    resource = harness.connection(**with_auth_params(**params))
    assert (await resource.visit()).outcome.reason == "EndpointRefused"
    assert f"spec.platform.authParams.{next(iter(params))}" in resource.condition("Synced")[2]
    assert harness.platform.connections == {}

    existing = await ready(Harness())
    existing.edit(lambda spec: spec["platform"].update(authParams=params))
    assert (await existing.visit()).outcome.reason == "EndpointRefused"
    assert patched(existing.harness) == []


async def test_no_new_token_goes_to_a_foreign_host_that_was_there_before_the_rule(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    harness = Harness()
    with monkeypatch.context() as before_the_rule:
        before_the_rule.setattr("crmflow.reconcile.sources.sign_in.foreign_hosts", lambda *_: [])
        resource = await ready(harness, **with_auth_params(endpoint="evil.com"))
    harness.zoho.token = "1000.eeee.ffff"
    assert (await resource.visit(full=False)).outcome.reason == "EndpointRefused"
    assert patched(harness) == []


async def test_auth_params_are_merged_last() -> None:
    harness = Harness()
    params = {"endpoint": "www.zohoapis.eu", "useEncryptedEndpoints": "true"}
    await ready(harness, **with_auth_params(**params))
    [remote] = harness.platform.connections.values()
    assert params.items() <= remote.auth_params.items()
    assert len(remote.auth_params) == 7


async def test_a_conflict_is_read_compared_and_tried_again() -> None:
    harness = Harness()
    resource = await ready(harness)
    resource.edit(lambda spec: spec.update(displayName="New"))
    harness.platform.fail("connections.patch", CONFLICT, times=2)
    result = await resource.visit()
    assert result.outcome.is_done
    changes = [call for call in result.calls if call in ("connections.get", "connections.patch")]
    assert changes == ["connections.get", "connections.patch"] * 3


async def test_a_conflict_over_what_somebody_else_has_done_by_now_ends_in_peace() -> None:
    harness = Harness()
    resource = await ready(harness)
    resource.edit(lambda spec: spec.update(displayName="New"))
    harness.platform.fail("connections.patch", CONFLICT, after=True, times=1)
    result = await resource.visit()
    assert result.outcome.is_done
    assert patched(harness) == [["/name"]]
    assert result.events == []


async def test_a_conflict_each_time_is_tried_in_a_later_pass() -> None:
    harness = Harness()
    resource = await ready(harness)
    resource.edit(lambda spec: spec.update(displayName="New"))
    harness.platform.fail("connections.patch", CONFLICT)
    result = await resource.visit()
    assert (result.outcome.outcome_class, result.outcome.reason) == (
        OutcomeClass.TRANSIENT,
        "VersionConflict",
    )
    harness.platform.heal()
    assert (await resource.visit()).outcome.is_done


async def test_credentials_that_platform_does_not_take_are_stalled_until_they_are_put_back() -> None:
    harness = Harness()
    resource = await ready(harness)
    harness.platform.fail("connections.patch", NOT_SUPPORTED)
    harness.secrets.data[NAMESPACE, "zoho-oauth"]["clientSecret"] = "rotated-value"
    result = await resource.visit()
    assert (result.outcome.outcome_class, result.outcome.reason) == (
        OutcomeClass.STALLED,
        "PatchNotSupported",
    )
    message = resource.condition("Synced")[2]
    for part in ("PATCH is not supported", "goes on with those it has", "another ZohoSourceConnection"):
        assert part in message
    assert "connections.test" not in result.calls

    harness.secrets.data[NAMESPACE, "zoho-oauth"]["clientSecret"] = "zoho-client-secret"
    assert (await resource.visit()).outcome.is_done


async def test_a_name_is_still_patched_where_credentials_are_not() -> None:
    harness = Harness()
    resource = await ready(harness)
    harness.platform.fail("connections.patch", NOT_SUPPORTED, times=1)
    harness.secrets.data[NAMESPACE, "zoho-oauth"]["clientSecret"] = "rotated-value"
    resource.edit(lambda spec: spec.update(displayName="New"))
    assert (await resource.visit()).outcome.reason == "PatchNotSupported"
    assert patched(harness) == [["/name", "/auth/params"], ["/name"]]
    [remote] = harness.platform.connections.values()
    assert remote.name.startswith("New [")


MASKED = {"clientSecret": "****", "accessToken": "****", "refreshToken": "****"}
OMITTED: Mapping[str, Any] = dict.fromkeys(MASKED)


@pytest.mark.parametrize("secrets_on_read", [MASKED, OMITTED, {}], ids=["masked", "omitted", "echoed"])
async def test_a_parameter_that_somebody_changed_is_restored(
    secrets_on_read: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    harness = Harness()
    show_secrets_as(harness, secrets_on_read, monkeypatch)
    resource = await ready(harness)
    await resource.visit()
    assert patched(harness) == []
    edit_remotely(harness, endpoint="crm.zoho.eu/elsewhere")
    result = await resource.visit()
    assert result.outcome.is_done
    assert [event.reason for event in result.events] == ["DriftRepaired"]
    assert resource.status["lastDrift"]["fields"] == ["baseConnection.auth.params"]
    [remote] = harness.platform.connections.values()
    assert remote.auth_params["endpoint"] == "crm.zoho.eu/crm/private"
    assert (await resource.visit()).events == []
    assert patched(harness) == [["/auth/params"]]


async def test_a_form_of_its_own_that_platform_shows_is_no_drift(monkeypatch: pytest.MonkeyPatch) -> None:
    harness = Harness()
    show_secrets_as(
        harness, {**MASKED, "endpoint": "https://CRM.ZOHO.EU", "clientId": "1000.****"}, monkeypatch
    )
    resource = await ready(harness)
    await resource.visit()
    harness.secrets.data[NAMESPACE, "zoho-oauth"]["clientSecret"] = "rotated-value"
    await resource.visit()
    await resource.visit()
    assert patched(harness) == [["/auth/params"]], "the rotation alone"


def show_secrets_as(harness: Harness, view: Mapping[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Have reads show parameters as ``view`` says, None: not at all."""
    read = harness.platform.get

    async def shown(collection: AnyCollection, object_id: str) -> Any:
        remote = await read(collection, object_id)
        if collection is not CONNECTIONS:
            return remote
        seen = (
            {**remote.auth_params, **view}
            if remote.auth_params["endpoint"] == ENDPOINT
            else remote.auth_params
        )
        return replace(remote, auth_params={name: value for name, value in seen.items() if value is not None})

    monkeypatch.setattr(harness.platform, "get", shown)


ENDPOINT = "crm.zoho.eu/crm/private"


async def test_a_withdrawn_source_that_takes_no_changes_leaves_what_works_ready() -> None:
    harness = Harness()
    resource = await ready(harness)
    harness.clock.time += 1
    harness.platform.connection_specs.clear()
    refused = remote_error(ErrorClass.TERMINAL, "SourceNotOffered", "no such connection spec")
    harness.platform.fail("connections.patch", refused)
    resource.edit(lambda spec: spec.update(displayName="New"))
    assert (await resource.visit()).outcome.is_done
    assert resource.condition("Ready")[0] == "True"
    assert resource.condition("Synced")[:2] == ("False", "SourceNotOffered")
    assert resource.condition("SourceOffered")[:2] == ("False", "ConnectionSpecWithdrawn")


async def test_a_base_connection_that_status_lost_is_found_though_the_source_is_withdrawn() -> None:
    harness = Harness()
    resource = await ready(harness)
    rebuilt = harness.connection()
    harness.clock.time += 1
    harness.platform.connection_specs.clear()
    assert (await rebuilt.visit()).outcome.is_done
    assert rebuilt.status["baseConnection"]["id"] == resource.status["baseConnection"]["id"]
    assert rebuilt.condition("SourceOffered")[:2] == ("False", "ConnectionSpecWithdrawn")
    assert "as long as its test succeeds" in rebuilt.condition("SourceOffered")[2]
    assert harness.timeline.count("connections.create") == 1


async def test_a_base_connection_that_vanishes_after_the_withdrawal_is_not_attempted_anew() -> None:
    harness = Harness()
    resource = await ready(harness)
    harness.clock.time += 1
    harness.platform.connection_specs.clear()
    harness.platform.connections.clear()
    for _ in range(3):
        assert (await resource.visit()).outcome.outcome_class is OutcomeClass.STALLED
    assert resource.condition("Ready")[1] == "ConnectionSpecWithdrawn"
    assert "can't be made anew" in resource.condition("Ready")[2]
    assert harness.timeline.count("connections.create") == 1
