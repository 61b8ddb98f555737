"""What AEP's connector gets from Zoho with the parameters of a base connection (platform.md 3, zoho.md 6)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.zoho import Zoho
from tests.emulators.core.source import Source, SourceColumn, SourceError
from tests.emulators.zoho import ZohoAsSource


@pytest.fixture
def source(zoho: Zoho) -> Source:
    return ZohoAsSource(zoho.state)


async def parameters(zoho: Zoho, **request: Any) -> dict[str, str]:
    """Parameters of a base connection for a fresh grant."""
    grant = await zoho.grant(**request, exchange=True)
    return {
        "endpoint": "crm.zoho.eu/crm/private",
        "accountsUrl": "https://accounts.zoho.eu",
        "clientId": grant["clientId"],
        "clientSecret": grant["clientSecret"],
        "accessToken": grant["accessToken"],
        "refreshToken": grant["refreshToken"],
    }


def refusal(source: Source, params: dict[str, str]) -> str:
    with pytest.raises(SourceError) as caught:
        source.check(params)
    for name in ("clientSecret", "accessToken", "refreshToken"):
        assert not params.get(name) or params[name] not in caught.value.message
    return caught.value.message


# --- what it shows ----------------------------------------------------------------------------------


async def test_tables_are_the_usable_modules(zoho: Zoho, source: Source) -> None:
    tables = source.tables(await parameters(zoho))
    assert {"Leads", "Contacts", "Invoices", "Email_Analytics"} <= set(tables)
    assert not {"Home", "Intranet", "Old_Contracts"} & set(tables)


async def test_tables_are_those_of_the_user(zoho: Zoho, source: Source) -> None:
    assert "Leads" not in source.tables(await parameters(zoho, hiddenModules=["Leads"]))


async def test_columns_have_types_and_mark_instants(zoho: Zoho, source: Source) -> None:
    columns = {column.name: column for column in source.columns(await parameters(zoho), "Contacts")}
    assert columns["Email"] == SourceColumn("Email", "string", date_time=False)
    assert columns["Modified_Time"] == SourceColumn("Modified_Time", "string", date_time=True)
    assert columns["Date_of_Birth"].date_time is False
    assert columns["Email_Opt_Out"].type == "boolean"
    assert columns["Loyalty_Points"].type == "integer"
    assert columns["Lifetime_Value"].type == "double"
    assert "Legacy_Code" not in columns


async def test_columns_of_a_module_without_metadata_are_none(zoho: Zoho, source: Source) -> None:
    assert source.columns(await parameters(zoho), "Email_Analytics") == []


@pytest.mark.parametrize("table", ["Nothing", "Home", "Old_Contracts"])
async def test_no_such_table(zoho: Zoho, source: Source, table: str) -> None:
    params = await parameters(zoho)
    with pytest.raises(KeyError):
        source.columns(params, table)
    with pytest.raises(KeyError):
        source.rows(params, table, 10)


async def test_rows_are_flat_and_limited(zoho: Zoho, source: Source) -> None:
    params = await parameters(zoho)
    rows = source.rows(params, "Contacts", 7)
    assert len(rows) == 7
    assert list(rows[0]) == [column.name for column in source.columns(params, "Contacts")]
    assert not any(isinstance(value, (dict, list)) for row in rows for value in row.values())
    assert rows[0]["Owner"].isdigit()
    assert source.rows(params, "Vendors", 7) == []


async def test_scopes_count_for_the_connector_too(zoho: Zoho, source: Source) -> None:
    params = await parameters(zoho, scopes=["ZohoCRM.settings.modules.READ"])
    source.tables(params)
    with pytest.raises(SourceError, match="OAUTH_SCOPE_MISMATCH"):
        source.columns(params, "Leads")
    with pytest.raises(SourceError, match="OAUTH_SCOPE_MISMATCH"):
        source.rows(params, "Leads", 1)


# --- what it refuses --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["endpoint", "accountsUrl", "clientId", "clientSecret", "accessToken", "refreshToken"]
)
async def test_every_parameter_is_required(zoho: Zoho, source: Source, name: str) -> None:
    params = await parameters(zoho)
    del params[name]
    assert name in refusal(source, params)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"clientId": "1000.X"}, "invalid_client"),
        ({"clientSecret": "wrong"}, "invalid_client_secret"),
        ({"accountsUrl": "https://accounts.zoho.com", "endpoint": "crm.zoho.com"}, "invalid_client"),
        ({"accountsUrl": "https://accounts.zoho.com"}, "data center"),
        ({"accountsUrl": "https://accounts.example.com"}, "accountsUrl"),
        ({"endpoint": "crm.zoho.com"}, "data center"),
        ({"endpoint": "www.example.com"}, "data center"),
        ({"endpoint": "http://crm.zoho.eu"}, "data center"),
        ({"accessToken": "1000.a.b", "refreshToken": "1000.a.b"}, "invalid_code"),
    ],
)
async def test_wrong_parameters(zoho: Zoho, source: Source, change: dict[str, str], reason: str) -> None:
    assert reason in refusal(source, {**await parameters(zoho), **change})


@pytest.mark.parametrize(
    "endpoint",
    [
        "crm.zoho.eu",
        "crm.zoho.eu/crm/private",
        "https://crm.zoho.eu",
        "www.zohoapis.eu",
        "https://www.zohoapis.eu",
        "https://zohoapis.eu/crm/v8",
    ],
)
async def test_endpoints_of_the_data_center(zoho: Zoho, source: Source, endpoint: str) -> None:
    source.check({**await parameters(zoho), "endpoint": endpoint})


@pytest.mark.parametrize("url", ["https://accounts.zoho.eu", "https://accounts.zoho.eu/", "accounts.zoho.eu"])
async def test_accounts_urls_of_the_data_center(zoho: Zoho, source: Source, url: str) -> None:
    source.check({**await parameters(zoho), "accountsUrl": url})


async def test_sandbox_grant_at_the_production_endpoint(zoho: Zoho, source: Source) -> None:
    params = await parameters(zoho, environment="sandbox")
    assert "INVALID_TOKEN" in refusal(source, {**params, "endpoint": "https://www.zohoapis.eu"})
    source.check({**params, "endpoint": "https://sandbox.zohoapis.eu"})


async def test_revoked_refresh_token_ends_the_connection(zoho: Zoho, source: Source) -> None:
    params = await parameters(zoho)
    source.check(params)
    await zoho.change("POST", "/zoho/refresh-tokens/revoke", token=params["refreshToken"])
    assert "invalid_code" in refusal(source, params)


async def test_profile_without_api_access(zoho: Zoho, source: Source) -> None:
    assert "NO_PERMISSION" in refusal(source, await parameters(zoho, apiAccess=False))


@pytest.mark.parametrize(
    ("position", "refused"), [("none", False), ("direct", False), ("source", True), ("all", True)]
)
async def test_switch_ip_block(zoho: Zoho, source: Source, position: Any, refused: bool) -> None:
    zoho.state.switches.ip_block = position
    params = await parameters(zoho)
    if refused:
        assert "IP address" in refusal(source, params)
    else:
        source.check(params)


# --- renewal ----------------------------------------------------------------------------------------


async def test_expired_token_is_renewed_once_an_hour(zoho: Zoho, source: Source) -> None:
    params = await parameters(zoho)
    for _ in range(3):
        zoho.clock.advance(3601)
        for _ in range(15):
            source.check(params)


async def test_switch_source_renews_token(zoho: Zoho, source: Source) -> None:
    zoho.state.switches.source_renews_token = False
    params = await parameters(zoho)
    source.check(params)
    zoho.clock.advance(3600)
    assert "INVALID_TOKEN" in refusal(source, params)


async def test_renewal_is_throttled_like_everybody_s(zoho: Zoho, source: Source) -> None:
    params = await parameters(zoho)
    zoho.clock.advance(3600)
    for _ in range(10):
        await zoho.refresh(
            client_id=params["clientId"],
            client_secret=params["clientSecret"],
            refresh_token=params["refreshToken"],
        )
    assert "Access Denied" in refusal(source, params)
    zoho.clock.advance(600)
    source.check(params)
