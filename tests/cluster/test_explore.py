"""``kubectl crmflow explore`` and ``allowlist`` on a real API server, against emulated Platform and Zoho."""

from __future__ import annotations

import pytest
import yaml

from crmflow.aep.egress import packaged_allow_list
from tests.kit import manifests
from tests.kit.canary import visible
from tests.kit.plugin import READ_CONNECTIONS, Plugin
from tests.kit.tenant import CONNECTION, Tenant

NAME = manifests.CONNECTION
EUROPE = packaged_allow_list().ranges_of("NLD2")


@pytest.mark.parametrize("naming", ["plain", "prefixed"])
def test_tables_columns_and_rows(ready: Tenant, plugin: Plugin, naming: str) -> None:
    ready.control.switch("aep", tableNaming=naming)
    path = "Crm.Contacts" if naming == "prefixed" else "Contacts"

    tables = plugin("explore", NAME)
    assert tables.status == 0, tables.stderr
    assert tables.lines[0] == ["TABLE", "PATH"]
    assert ["Contacts", path] in tables.lines
    assert {"name": "Contacts", "path": path} in plugin("explore", NAME, "-o", "json").json()

    columns = plugin("explore", NAME, "Contacts")
    assert ["Modified_Time", "date-time", "candidate"] in columns.lines
    assert ["Email", "string"] in columns.lines
    as_yaml = yaml.safe_load(plugin("explore", NAME, path, "-o", "yaml").stdout)
    assert (as_yaml["table"], as_yaml["path"]) == ("Contacts", path)
    assert {"name": "Modified_Time", "type": "date-time", "deltaColumn": True} in as_yaml["columns"]


@pytest.mark.parametrize("columns", ["xdm", "meta"])
def test_rows_reach_the_terminal_and_nothing_else(ready: Tenant, plugin: Plugin, columns: str) -> None:
    ready.control.switch("aep", exploreColumns=columns)
    shown = plugin("explore", NAME, "Contacts", "--preview", "--rows=3", "-o", "json")
    assert shown.status == 0, shown.stderr
    rows = shown.json()["rows"]
    assert len(rows) == 3
    emails = [row["Email"] for row in rows]
    assert all("@" in email for email in emails)

    table = plugin("explore", NAME, "Contacts", "--preview", "--rows=2", "--columns=Email, Last_Name")
    assert [line[0] for line in table.lines] == ["Email", *emails[:2]]
    assert "@" not in table.stderr

    some = plugin("explore", NAME, "Contacts", "--preview")
    assert len(some.lines) == 11
    assert "--columns" in some.stderr

    everything = {**visible(ready.cluster, ready.namespace), "operator log": ready.operator.log}
    assert [name for name, text in everything.items() if emails[0] in text] == []


def test_what_is_not_there(ready: Tenant, plugin: Plugin) -> None:
    misspelled = plugin("explore", NAME, "contact")
    assert (misspelled.status, misspelled.stdout) == (1, "")
    assert 'no table "contact"' in misspelled.stderr
    assert "Did you mean Contacts?" in misspelled.stderr
    assert "Leave the table out" in plugin("explore", NAME, "Xyzzy").stderr
    column = plugin("explore", NAME, "Contacts", "--preview", "--columns=Nope")
    assert (column.status, "no column Nope" in column.stderr) == (1, True)
    nobody = plugin("explore", "zoho-us")
    assert (nobody.status, 'no ZohoSourceConnection "zoho-us"' in nobody.stderr) == (1, True)


def test_zoho_refuses_platform(ready: Tenant, plugin: Plugin) -> None:
    ready.control.switch("zoho", ipBlock="source")
    refused = plugin("explore", NAME)
    assert (refused.status, refused.stdout) == (1, "")
    assert "Access denied from this IP address" in refused.stderr
    assert "Allowed IPs" in refused.stderr


def test_before_there_is_a_base_connection(tenant: Tenant, plugin: Plugin) -> None:
    tenant.apply_connection()
    early = plugin("explore", NAME)
    assert early.status == 1
    assert "no base connection" in early.stderr
    assert f"kubectl crmflow doctor {NAME} -n {tenant.namespace}" in early.stderr


def test_without_the_right_to_read_secrets(ready: Tenant, plugin: Plugin) -> None:
    plugin.give_rights(READ_CONNECTIONS)
    refused = plugin("explore", NAME)
    assert (refused.status, refused.stdout) == (1, "")
    assert f'refused Secret "{manifests.PLATFORM_SECRET}": 403' in refused.stderr
    assert plugin("allowlist", NAME).stdout.splitlines() == list(EUROPE)  # the operator has published them


def test_the_allow_list(ready: Tenant, plugin: Plugin) -> None:
    plain = plugin("allowlist", NAME)
    assert (plain.status, plain.stdout.splitlines()) == (0, list(EUROPE))
    assert plugin("allowlist").stdout == plain.stdout
    assert plugin("allowlist", NAME, "-o", "json").json() == {"region": "NLD2", "ranges": list(EUROPE)}
    published = ready.get(CONNECTION)["status"]["ipAllowList"]
    assert published == {"region": "NLD2", "ranges": list(EUROPE)}
    unknown = plugin("allowlist", "--region=VA6")
    assert (unknown.status, unknown.stdout) == (1, "")
    assert 'region "VA6"' in unknown.stderr


def test_the_allow_list_before_anything_works(tenant: Tenant, plugin: Plugin) -> None:
    tenant.apply_secrets(
        refreshToken="1000.00000000000000000000000000000000.00000000000000000000000000000000"
    )
    tenant.apply_connection()
    assert plugin("allowlist", NAME).stdout.splitlines() == list(EUROPE)


def test_which_connection(tenant: Tenant, plugin: Plugin) -> None:
    none = plugin("allowlist")
    assert (none.status, "holds no connection" in none.stderr) == (1, True)
    tenant.apply_connection()
    tenant.cluster.apply(manifests.connection(tenant.namespace, "zoho-us"))
    several = plugin("allowlist")
    assert (several.status, "holds zoho-eu, zoho-us" in several.stderr) == (1, True)


@pytest.fixture
def landing(tenant: Tenant) -> Tenant:
    """The tenant with a connection whose records get into Platform through the landing zone."""
    tenant.apply_secrets()
    tenant.apply_connection(transport="LandingZone")
    return tenant


def test_modules_and_fields_of_zoho_itself(landing: Tenant, plugin: Plugin) -> None:
    tables = plugin("explore", NAME)
    assert tables.status == 0, tables.stderr
    assert tables.lines[0] == ["TABLE", "LABEL"]
    assert ["Contacts", "Contacts"] in tables.lines
    assert "does not deliver the records of" in tables.stderr
    assert "Notes" in tables.stderr
    assert {"name": "Contacts", "label": "Contacts"} in plugin("explore", NAME, "-o", "json").json()

    columns = plugin("explore", NAME, "Contacts", "-o", "json").json()["columns"]
    by_name = {column["name"]: column for column in columns}
    assert columns[0]["name"] == "id"
    assert by_name["Modified_Time"]["deltaColumn"]
    assert by_name["Owner"] == {
        "name": "Owner",
        "type": "ownerlookup",
        "deltaColumn": False,
        "delivered": True,
        "inFiles": "the id",
    }
    left_out = [column["name"] for column in columns if not column["delivered"]]
    assert left_out
    shown = {line[0]: " ".join(line[1:]) for line in plugin("explore", NAME, "Contacts").lines}
    assert shown["Modified_Time"] == "date-time candidate in UTC"
    assert shown[left_out[0]].endswith("not at all: no file has this type")


def test_rows_as_they_stand_in_files(landing: Tenant, plugin: Plugin) -> None:
    found = plugin("explore", NAME, "Contacts", "--preview", "--rows=3", "-o", "json")
    assert found.status == 0, found.stderr
    rows = found.json()["rows"]
    assert len(rows) == 3
    for row in rows:
        assert row["Owner"].isdecimal()
        assert row["Modified_Time"].endswith("Z")
    table = plugin("explore", NAME, "Contacts", "--preview", "--rows=2", "--columns=Email,Last_Name")
    assert [line[0] for line in table.lines] == ["Email", *(row["Email"] for row in rows[:2])]
    assert "@" not in table.stderr


def test_what_zoho_does_not_show(landing: Tenant, plugin: Plugin) -> None:
    misspelled = plugin("explore", NAME, "contact")
    assert (misspelled.status, misspelled.stdout) == (1, "")
    assert 'no module "contact"' in misspelled.stderr
    assert "Did you mean Contacts?" in misspelled.stderr
    assert "does not deliver the records of Notes" in plugin("explore", NAME, "Notes").stderr
    landing.apply_secrets(
        refreshToken="1000.00000000000000000000000000000000.00000000000000000000000000000000"
    )
    refused = plugin("explore", NAME)
    assert (refused.status, refused.stdout) == (1, "")
    assert f"kubectl crmflow authorize {NAME} -n {landing.namespace}" in refused.stderr
