"""What the plugin says of values that are not what they look like; it never shows them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import cast

import pytest
from pydantic import SecretStr

from crmflow.cli import oauth_client
from crmflow.cli.cluster import Cluster
from crmflow.cli.credentials import platform_credentials, zoho_credentials
from crmflow.cli.doctor.checks import Check, Level, Subject
from crmflow.cli.doctor.resource import check_secret
from crmflow.cli.problem import Problem
from crmflow.cli.secret import SecretContents
from tests.unit.cli.connections import connection

ZOHO = {"clientId": "1000.CLIENT", "clientSecret": "0123456789abcdef", "refreshToken": "1000.aaaa.bbbb"}


class OneSecret:
    """A cluster with one Secret."""

    namespace = "team"

    def __init__(self, data: Mapping[str, str]) -> None:
        self._data = {key: SecretStr(value) for key, value in data.items()}

    async def secret(self, name: str) -> SecretContents:
        return SecretContents(self._data)


async def doctor(data: Mapping[str, str]) -> Check:
    cluster, told = cast(Cluster, OneSecret(data)), connection({})
    check, _ = await check_secret(Subject.ZOHO_CREDENTIALS, told.zoho_secret, zoho_credentials(cluster, told))
    return check


@pytest.mark.parametrize("key", list(ZOHO))
@pytest.mark.parametrize(
    ("form", "level", "what", "fix"),
    [
        ("\ufeff{}", Level.FAILED, "begins with a byte order mark", "UTF-8 without a byte order mark"),
        ("{}\u200b", Level.FAILED, "ZERO WIDTH SPACE", "Copy the value again"),
        ('"{}"', Level.WARNING, "is surrounded by quotes", "Leave them out"),
        ("key_id={}", Level.WARNING, "begins with a name", "Leave out the name"),
    ],
)
async def test_the_doctor_names_key_fault_and_cure(
    key: str, form: str, level: Level, what: str, fix: str
) -> None:
    check = await doctor({**ZOHO, key: form.format(ZOHO[key])})
    assert check.level is level
    assert f"{key} " in check.message
    assert what in check.message
    assert fix in check.fix
    assert ZOHO[key] not in check.message + check.fix


async def test_the_doctor_has_nothing_to_say_of_values_as_they_are_issued() -> None:
    assert (await doctor(ZOHO)).level is Level.OK


async def test_the_doctor_names_the_keys_that_are_there() -> None:
    assert "It has the keys client-id." in (await doctor({"client-id": "x"})).message
    assert "It is empty." in (await doctor({})).message


async def test_adobes_secret_is_looked_at_too() -> None:
    cluster = cast(Cluster, OneSecret({"clientId": "x", "clientSecret": "p8e-\u2013"}))
    with pytest.raises(Problem, match=r"clientSecret contains U\+2013 \(EN DASH\)"):
        await platform_credentials(cluster, connection({}))


@pytest.mark.parametrize(
    ("written", "what"),
    [
        ("0123456789abcdef".encode("utf-16"), "UTF-16"),
        (b"\xef\xbb\xbf0123456789abcdef\r\n", "byte order mark"),
        (b'{"client_secret": "0123456789abcdef"}', "JSON object"),
    ],
)
def test_a_file_with_the_client_secret_is_looked_at(tmp_path: Path, written: bytes, what: str) -> None:
    file = tmp_path / "client-secret"
    file.write_bytes(written)
    with pytest.raises(Problem) as raised:
        oauth_client.choose("1000.CLIENT", str(file), None, "zoho-oauth")
    assert raised.value.message.startswith("The client secret ")
    assert what in raised.value.message
    assert "0123456789abcdef" not in raised.value.message + raised.value.advice


def test_a_client_id_that_was_pasted_with_more_than_it_is(tmp_path: Path) -> None:
    stored = SecretContents({key: SecretStr(value) for key, value in ZOHO.items()})
    with pytest.raises(Problem, match="the client id contains the invisible character"):
        oauth_client.choose("1000.CLIENT\u200b", None, stored, "zoho-oauth")
