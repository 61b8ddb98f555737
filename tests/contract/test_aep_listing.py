"""Filtering, sorting and paging of Flow Service (platform.md 3)."""

from __future__ import annotations

import pytest

from tests.contract.aep import FLOW, Aep
from tests.emulators.aep import seed_data as ids
from tests.emulators.core.server import Emulators


async def _connections(aep: Aep, *names: str) -> list[str]:
    made = []
    for name in names:
        aep.emulators.clock.advance(1)
        found = await aep.post(
            "/connections", {**aep.connection_body(), "name": name, "description": f"d {name}"}
        )
        made.append(found.body["id"])
    return made


async def _names(aep: Aep, *properties: str, **parameters: str) -> list[str]:
    found = await aep.get("/connections", *properties, **parameters)
    assert found.status == 200, found.body
    return [item["name"] for item in found.body["items"]]


@pytest.mark.parametrize(
    ("properties", "wanted"),
    [
        (["name==b"], ["b"]),
        (['name=="b"'], ["b"]),
        (["name==a,c"], ["a", "c"]),
        (['name=="a","c"'], ["a", "c"]),
        (["description==d a"], ["a"]),
        (["name==a", "state==enabled"], ["a"]),
        (["name==a", "state==disabled"], []),
        ([f"connectionSpec.id=={ids.ZOHO_SPEC}"], ["a", "b", "c"]),
        (["auth.specName==Basic Authentication"], ["a", "b", "c"]),
        (["createdAt>0"], ["a", "b", "c"]),
        (["createdAt<1"], []),
        (["name>=b"], ["b", "c"]),
        (["name<=b"], ["a", "b"]),
        (["name==B"], []),
    ],
)
async def test_filters(aep: Aep, properties: list[str], wanted: list[str]) -> None:
    await _connections(aep, "a", "b", "c")
    assert await _names(aep, *properties) == wanted


async def test_a_comma_inside_quotes_is_no_list(aep: Aep) -> None:
    await _connections(aep, "a,b", "a")
    assert await _names(aep, 'name=="a,b"') == ["a,b"]
    assert await _names(aep, "name==a,b") == ["a"]


@pytest.mark.parametrize(
    ("property_", "code"),
    [
        ("name~a", "1440-400"),
        ("name<=a,b", "1443-400"),
        ("color==red", "1448-400"),
        ("name=a", "1449-400"),
        ("name!=a", "1449-400"),
        ("name", "1450-400"),
        ("==a", "1450-400"),
        ('name=="a"b', "1454-400"),
    ],
)
async def test_bad_filters(aep: Aep, property_: str, code: str) -> None:
    assert (await aep.get("/connections", property_)).code == code


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"limit": "0"}, "1453-400"),
        ({"limit": "many"}, "1453-400"),
        ({"limit": "9" * 5000}, "1453-400"),
        ({"count": "maybe"}, "1453-400"),
        ({"count": "true", "limit": "1"}, "1401-400"),
        ({"orderby": "color"}, "1452-400"),
        ({"continuationToken": "nonsense"}, "1454-400"),
    ],
)
async def test_bad_parameters(aep: Aep, parameters: dict[str, str], code: str) -> None:
    assert (await aep.get("/connections", **parameters)).code == code


async def test_order(aep: Aep) -> None:
    await _connections(aep, "b", "a", "c")
    assert await _names(aep) == ["b", "a", "c"]
    assert await _names(aep, orderby="name") == ["a", "b", "c"]
    assert await _names(aep, orderby="-name") == ["c", "b", "a"]
    assert await _names(aep, orderby="+name") == ["a", "b", "c"]
    assert await _names(aep, orderby="-createdAt") == ["c", "a", "b"]
    found = await aep.call("GET", "/connections?orderby=+name")  # an unescaped plus arrives as a space
    assert [item["name"] for item in found.body["items"]] == ["a", "b", "c"]


async def test_count_says_a_number_and_nothing_else(aep: Aep) -> None:
    await _connections(aep, "a", "b")
    assert (await aep.get("/connections", "name==a", count="true")).body == {"count": 1}
    assert (await aep.get("/connections", count="true")).body == {"count": 2}


async def test_pages_are_linked_and_complete(aep: Aep) -> None:
    await _connections(aep, *"edcba")
    found = await aep.get("/connections", "name>=b", orderby="name", limit="2")
    names = []
    pages = 0
    while True:
        pages += 1
        names += [item["name"] for item in found.body["items"]]
        if "next" not in found.body["_links"]:
            break
        href = found.body["_links"]["next"]["href"]
        assert href.startswith("/connections?continuationToken=")  # relative to the base path
        found = await aep.call("GET", FLOW + href)
    assert (names, pages) == (["b", "c", "d", "e"], 2)
    assert found.body["_links"] == {}


async def test_a_client_may_repeat_its_parameters_beside_the_token(aep: Aep) -> None:
    await _connections(aep, *"abc")
    first = await aep.get("/connections", limit="2", orderby="name")
    token = first.body["_links"]["next"]["href"].split("=", 1)[1]
    assert await _names(aep, limit="2", orderby="name", continuationToken=token) == ["c"]


async def test_a_page_has_at_most_a_hundred(aep: Aep, emulators: Emulators) -> None:
    await _connections(aep, *(f"{n:03}" for n in range(101)))
    found = (await aep.get("/connections", limit="1000")).body
    assert len(found["items"]) == 100
    assert "next" in found["_links"]
    assert len((await aep.get("/connections")).body["items"]) == emulators.aep.switches.defaultPageSize


async def test_a_single_get_is_a_list_of_one(aep: Aep) -> None:
    (id,) = await _connections(aep, "a")
    found = (await aep.get(f"/connections/{id}")).body
    assert [item["id"] for item in found["items"]] == [id]
    assert found["_links"] == {}
    assert (await aep.call("GET", f"/connections/{id}/")).body == found


@pytest.mark.parametrize(
    ("kind", "property_"),
    [
        ("sourceConnections", "baseConnectionId=={connections}"),
        ("sourceConnections", "params.tableName==Contacts"),
        ("sourceConnections", "params.columns[].name==Email"),
        ("sourceConnections", "inheritedAttributes.baseConnection.id=={connections}"),
        ("targetConnections", f"params.dataSetId=={ids.CONTACTS_DATASET}"),
        ("flows", "sourceConnectionIds[]=={sourceConnections}"),
        ("flows", "targetConnectionIds[]=={targetConnections}"),
        ("flows", f"flowSpec.id=={ids.CRM_FLOW_SPEC}"),
        ("flows", "inheritedAttributes.sourceConnections[].baseConnection.id=={connections}"),
        ("flows", "inheritedAttributes.properties.isSourceFlow==true"),
        ("flows", "scheduleParams.frequency==hour"),
        ("flows", "state==enabled"),
    ],
)
async def test_documented_queries(aep: Aep, kind: str, property_: str) -> None:
    await aep.flow()
    found = await aep.get(f"/{kind}", property_.format(**aep.made))
    assert [item["id"] for item in found.body["items"]] == [aep.made[kind]]
    absent = property_.split("==")[0] + "==nothing"
    assert (await aep.get(f"/{kind}", absent)).body["items"] == []


async def test_flow_specs_are_found_by_name(aep: Aep) -> None:
    found = (await aep.get("/flowSpecs", 'name=="CRMToAEP"')).body["items"]
    assert [spec["id"] for spec in found] == [ids.CRM_FLOW_SPEC]
    assert len(found[0]["sourceConnectionSpecIds"]) == 36
    assert ids.ZOHO_SPEC in found[0]["sourceConnectionSpecIds"]
    assert found[0]["targetConnectionSpecIds"] == [ids.DATA_LAKE_SPEC]
    decoy = (await aep.get("/flowSpecs", "name==CloudStorageToAEP")).body["items"][0]
    assert decoy["id"] == ids.CLOUD_STORAGE_FLOW_SPEC
    assert ids.ZOHO_SPEC not in decoy["sourceConnectionSpecIds"]


async def test_a_search_takes_the_filters_in_its_body(aep: Aep) -> None:
    await _connections(aep, "a", "b")
    body = {"queryString": "property=name==a&property=state==enabled", "limit": 1, "orderby": "name"}
    assert [i["name"] for i in (await aep.post("/connections/search", body)).body["items"]] == ["a"]
    assert (await aep.post("/connections/search", {"count": True})).body == {"count": 2}
    first = (await aep.post("/connections/search", {"limit": 1, "orderby": "-name"})).body
    token = first["_links"]["next"]["href"].split("=", 1)[1]
    second = (await aep.post(f"/connections/search?continuationToken={token}")).body
    assert [i["name"] for i in first["items"] + second["items"]] == ["b", "a"]
