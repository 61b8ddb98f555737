"""The Secret as it is found and as it is printed."""

from __future__ import annotations

import pytest
import yaml
from pydantic import SecretStr

from crmflow.cli.secret import SecretContents, manifest, with_spelling


def stored(**data: str) -> SecretContents:
    return SecretContents({key: SecretStr(value) for key, value in data.items()})


@pytest.mark.parametrize(
    ("data", "value"),
    [
        ({"clientId": "1"}, "1"),
        ({"client_id": "1"}, "1"),
        ({"clientId": "1", "client_id": "2"}, "1"),
        ({"clientId": " \n", "client_id": "2"}, "2"),
        ({"clientId": "1\n"}, "1"),
        ({"clientId": ""}, None),
        ({}, None),
    ],
)
def test_values(data: dict[str, str], value: str | None) -> None:
    found = stored(**data).value("clientId")
    assert (found.get_secret_value() if found else None) == value


@pytest.mark.parametrize(
    ("data", "spelling"),
    [
        ({}, "refreshToken"),
        ({"refreshToken": "x"}, "refreshToken"),
        ({"refresh_token": "x"}, "refresh_token"),
        ({"refreshToken": "x", "refresh_token": "y"}, "refreshToken"),
    ],
)
def test_the_old_value_is_replaced_where_it_stands(data: dict[str, str], spelling: str) -> None:
    assert set(with_spelling({"refreshToken": SecretStr("new")}, stored(**data))) == {spelling}


def test_without_a_secret_the_documented_names_are_used() -> None:
    assert set(with_spelling({"refreshToken": SecretStr("new")}, None)) == {"refreshToken"}


@pytest.mark.parametrize("value", ["plain", 'q"uo\\te', "line\nbreak", "yes", "1000.5", "ü: #", "{}"])
def test_the_manifest_is_yaml_whatever_the_values(value: str) -> None:
    text = manifest("team-a", "zoho-oauth", {"clientSecret": SecretStr(value)})
    assert yaml.safe_load(text) == {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "zoho-oauth", "namespace": "team-a"},
        "type": "Opaque",
        "stringData": {"clientSecret": value},
    }
