"""The landing zone of a sandbox: what is asked, what is read out of the answers, and what stays secret."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from pydantic import SecretStr

from crmflow.aep.flow_service import SOURCE_CONNECTIONS
from crmflow.aep.gateway import ReadOnlyError
from crmflow.aep.models import (
    LandingZone,
    LandingZoneCredentials,
    LandingZoneEntry,
    LandingZoneProvider,
    SourceFiles,
)
from crmflow.http.errors import ErrorClass, RemoteError
from crmflow.observability.redaction import redact
from tests.unit.aep.fake import Fake, error

ZONE = "/data/foundation/connectors/landingzone?type=user_drop_zone"
CREDENTIALS = "/data/foundation/connectors/landingzone/credentials?type=user_drop_zone"
EXPLORE = "/data/foundation/flowservice/connectionSpecs/26f526f2-58f4-4712-961d-e41bf1ccc0e8/explore"
TOKEN = "sv=2020-04-08&si=dlz-1234&sr=c&sp=racwdlm&sig=c2lnbmF0dXJl%2Bof%2Fit%3D"
URI = f"https://acct.blob.core.windows.net/dlz-user-container?{TOKEN}"
AZURE = {
    "containerName": "dlz-user-container",
    "SASToken": TOKEN,
    "storageAccountName": "acct",
    "SASUri": URI,
    "expiryDate": "2024-01-06",
}
PLACE_ON_AWS = {"bucketName": "dlz-prod", "dlzFolder": "user_drop_zone/1"}
AWS = {
    "credentials": {
        "clientId": "c",
        "awsAccessKeyId": "k",
        "awsSecretAccessKey": "s",
        "awsSessionToken": "t",
    },
    "dlzPath": PLACE_ON_AWS,
    "dlzProvider": "Amazon S3",
    "expiryTime": 1735689600,
}
DAY_OF_THE_END = 1704499200.0


def without(name: str) -> dict[str, Any]:
    body: dict[str, Any] = copy.deepcopy(AZURE)
    del body[name]
    return body


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            {"containerName": "dlz-user-container", "containerTTL": "7"},
            LandingZone(LandingZoneProvider.AZURE, "dlz-user-container", 7),
        ),
        ({"containerName": "dlz"}, LandingZone(LandingZoneProvider.AZURE, "dlz", None)),
        (
            {
                "dlzPath": PLACE_ON_AWS,
                "dataTTL": {"timeUnit": "days", "timeQuantity": 7},
                "dlzProvider": "Amazon S3",
            },
            LandingZone(LandingZoneProvider.AWS, "dlz-prod/user_drop_zone/1", 7),
        ),
    ],
    ids=["azure", "azure without a life", "aws"],
)
async def test_where_it_is(body: Any, expected: LandingZone) -> None:
    fake = Fake(body)
    assert await fake.client.landing_zone() == expected
    assert fake.line == ("GET", ZONE)


@pytest.mark.parametrize(
    ("body", "end"),
    [(AZURE, DAY_OF_THE_END), (without("expiryDate"), None), ({**AZURE, "expiryDate": "soon"}, None)],
    ids=["with its end", "without", "unreadable"],
)
async def test_what_opens_it(body: Any, end: float | None) -> None:
    fake = Fake(body)
    found = await fake.client.landing_zone_credentials()
    assert found == LandingZoneCredentials("dlz-user-container", "acct", SecretStr(URI), end)
    assert fake.line == ("GET", CREDENTIALS)


async def test_what_opens_it_does_not_show() -> None:
    found = await Fake(AZURE).client.landing_zone_credentials()
    for text in (repr(found), str(found), redact(f"PUT {URI}"), redact(TOKEN), redact("c2lnbmF0dXJl+of/it=")):
        assert "c2lnbmF0dXJl" not in text


@pytest.mark.parametrize(
    "body",
    [[], {}, without("SASUri"), without("storageAccountName"), {**AZURE, "SASUri": "https://a.example/c"}],
    ids=["a list", "nothing", "no URI", "no account", "no signature"],
)
async def test_credentials_that_open_nothing(body: Any) -> None:
    with pytest.raises(RemoteError) as raised:
        await Fake(body).client.landing_zone_credentials()
    assert (raised.value.error_class, raised.value.reason) == (ErrorClass.TRANSIENT, "UnreadableAnswer")


async def test_no_landing_zone_is_taken_for_one() -> None:
    with pytest.raises(RemoteError) as raised:
        await Fake({"message": "ok"}).client.landing_zone()
    assert raised.value.reason == "UnreadableAnswer"


async def test_aws_is_not_supported() -> None:
    with pytest.raises(RemoteError) as raised:
        await Fake(AWS).client.landing_zone_credentials()
    assert (raised.value.error_class, raised.value.reason) == (
        ErrorClass.TERMINAL,
        "LandingZoneProviderUnsupported",
    )
    assert "Azure" in raised.value.advice


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ((403, {"title": "ForbiddenError", "status": 403}), (ErrorClass.TERMINAL, "PermissionDenied")),
        (error("FLOW-2120-403"), (ErrorClass.TERMINAL, "PermissionDenied")),
        ((400, {"title": "BadRequestError", "status": 400}), (ErrorClass.TERMINAL, "RequestRefused")),
        ((404, None), (ErrorClass.NOT_FOUND, "NotFound")),
        ((503, "<html>busy</html>"), (ErrorClass.TRANSIENT, "Unavailable")),
    ],
)
async def test_refusals_mean_what_they_mean_elsewhere(answer: Any, expected: tuple[ErrorClass, str]) -> None:
    with pytest.raises(RemoteError) as raised:
        await Fake(answer).client.landing_zone_credentials()
    assert (raised.value.error_class, raised.value.reason) == expected
    assert not raised.value.maybe_applied


async def test_a_person_has_new_credentials_made() -> None:
    fake = Fake(AZURE)
    assert (await fake.client.refresh_landing_zone_credentials()).sas_uri.get_secret_value() == URI
    assert fake.line == ("POST", f"{CREDENTIALS}&action=refresh")


async def test_nobody_who_only_reads_makes_new_ones() -> None:
    fake = Fake(AZURE)
    reader = fake.client.read_only()
    with pytest.raises(ReadOnlyError):
        await reader.refresh_landing_zone_credentials()
    assert not fake.requests
    assert (await reader.landing_zone_credentials()).container == "dlz-user-container"


@pytest.mark.parametrize(
    ("folder", "query"),
    [
        (None, "objectType=root"),
        ("dlz-user-container/crmflow", "objectType=folder&object=dlz-user-container%2Fcrmflow"),
    ],
)
async def test_what_is_in_a_folder(folder: str | None, query: str) -> None:
    shown = [
        {"type": "file", "name": "a.csv", "path": "dlz-user-container/a.csv", "canPreview": True},
        {"type": "folder", "name": "crmflow", "path": "dlz-user-container/crmflow/"},
    ]
    fake = Fake(shown)
    assert await fake.client.landing_zone_entries(folder) == (
        LandingZoneEntry("a.csv", "dlz-user-container/a.csv", is_folder=False),
        LandingZoneEntry("crmflow", "dlz-user-container/crmflow", is_folder=True),
    )
    assert fake.line == ("GET", f"{EXPLORE}?{query}")


async def test_what_is_in_a_file() -> None:
    columns = [{"name": name, "type": "string", "xdm": {"type": "string"}} for name in ("id", "Email")]
    fake = Fake(
        {"format": "flat", "schema": {"columns": columns}, "data": [{"id": "1", "Email": "a@b.example"}]}
    )
    found = await fake.client.landing_zone_file("dlz-user-container/a b.csv")
    assert [column.name for column in found.columns] == ["id", "Email"]
    assert found.rows == ({"id": "1", "Email": "a@b.example"},)
    assert "a@b.example" not in repr(found)
    assert fake.line[1].partition("?")[0] == EXPLORE
    assert dict(fake.request.url.params) == {
        "objectType": "file",
        "object": "dlz-user-container/a b.csv",
        "fileType": "delimited",
        "preview": "true",
    }


async def test_a_source_connection_that_reads_files() -> None:
    raw = {
        "id": "sc",
        "data": {"format": "Delimited", "properties": {"columnDelimiter": ";", "compressionType": "gzip"}},
        "params": {"path": "dlz-user-container/x/", "type": "Folder", "recursive": True},
        "connectionSpec": {"id": "26f526f2-58f4-4712-961d-e41bf1ccc0e8", "version": "1.0"},
    }
    found = await Fake({"items": [raw]}).client.get(SOURCE_CONNECTIONS, "sc")
    assert found.files == SourceFiles("dlz-user-container/x/", "folder", "delimited", ";", "", "gzip")
    assert found.base_connection_id == ""
    table = {**raw, "params": {"tableName": "Contacts"}}
    assert (await Fake({"items": [table]}).client.get(SOURCE_CONNECTIONS, "sc")).files is None
