"""The Data Landing Zone of a sandbox: where files are dropped for Platform, what opens it, and explore's view
of it (landing-zone.md E.1, E.2, K.1).
"""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

from pydantic import SecretStr

from crmflow.aep import fields
from crmflow.aep.collection import Query, Raw
from crmflow.aep.errors import Meaning
from crmflow.aep.models import (
    LandingZone,
    LandingZoneCredentials,
    LandingZoneEntry,
    LandingZoneProvider,
)
from crmflow.http.client import Answer
from crmflow.http.errors import ErrorClass, RemoteError
from crmflow.observability.redaction import register

SERVICE = "Connectors"
ZONE_PATH = "/data/foundation/connectors/landingzone"
CREDENTIALS_PATH = f"{ZONE_PATH}/credentials"
CONNECTION_SPEC_ID = "26f526f2-58f4-4712-961d-e41bf1ccc0e8"
"""The landing zone's connection specification, which needs no base connection (landing-zone.md E.2)."""

_USER_DROP_ZONE = ("type", "user_drop_zone")
"""The one that sources read; every other type is a destination's or another product's."""
ZONE = Query([_USER_DROP_ZONE])
REFRESH = Query([_USER_DROP_ZONE, ("action", "refresh")])
ROOT = Query([("objectType", "root")])

UNSUPPORTED = Meaning(
    ErrorClass.TERMINAL,
    "LandingZoneProviderUnsupported",
    "Use a sandbox whose landing zone is on Azure, or Platform's own Zoho CRM source if it is still offered.",
)
"""Of a landing zone on AWS."""
ON_AWS = (
    "the Data Landing Zone of this sandbox is a bucket of Amazon S3, and files can be written to Azure Blob "
    "Storage only"
)


def folder_query(path: str) -> Query:
    """What is asked for the contents of a folder; paths begin with the container's name."""
    return Query([("objectType", "folder"), ("object", path)])


def file_query(path: str) -> Query:
    """What is asked for the columns and first rows of a delimited file."""
    return Query([("objectType", "file"), ("object", path), ("fileType", "delimited"), ("preview", "true")])


def zone(answer: Answer) -> LandingZone:
    """Where the landing zone is. Raises RemoteError for any other answer."""
    body = fields.obj(answer.json())
    if _is_on_aws(body):
        path = fields.obj(body, "dlzPath")
        place = "/".join(filter(None, (fields.text(path, "bucketName"), fields.text(path, "dlzFolder"))))
        days = fields.obj(body, "dataTTL").get("timeQuantity")
        return LandingZone(LandingZoneProvider.AWS, place, fields.integer(days))
    container = fields.text(body, "containerName")
    if not container:
        raise answer.unreadable("no landing zone")
    return LandingZone(LandingZoneProvider.AZURE, container, fields.integer(body.get("containerTTL")))


def credentials(answer: Answer) -> LandingZoneCredentials:
    """What opens the container. Raises RemoteError for a landing zone on AWS, and for any other answer."""
    body = fields.obj(answer.json())
    if _is_on_aws(body):
        raise _on_aws(answer)
    uri, token = fields.text(body, "SASUri"), fields.text(body, "SASToken")
    for secret in (uri, token, urlsplit(uri).query, *_signatures(uri), *_signatures(f"?{token}")):
        register(secret)
    container, account = fields.text(body, "containerName"), fields.text(body, "storageAccountName")
    if not (container and account and urlsplit(uri).netloc and _signatures(uri)):
        raise answer.unreadable("no credentials")
    return LandingZoneCredentials(
        container, account, SecretStr(uri), fields.instant(fields.text(body, "expiryDate"))
    )


def entries(answer: Answer) -> tuple[LandingZoneEntry, ...]:
    """What is directly in a folder. Raises RemoteError for any other answer."""
    found = fields.items(answer.json())
    if found is None:
        raise answer.unreadable("no listing")
    return tuple(
        LandingZoneEntry(
            fields.text(raw, "name"),
            fields.text(raw, "path").strip("/"),
            fields.text(raw, "type").lower() == "folder",
        )
        for raw in found
    )


def _is_on_aws(body: Raw) -> bool:
    return "amazon" in fields.text(body, "dlzProvider").lower() or "bucketName" in fields.obj(body, "dlzPath")


def _on_aws(answer: Answer) -> RemoteError:
    return RemoteError(
        answer.call.service,
        answer.call.operation,
        UNSUPPORTED.error_class,
        UNSUPPORTED.reason,
        ON_AWS,
        advice=UNSUPPORTED.advice,
        status=answer.status,
        maybe_applied=answer.call.changes,
    )


def _signatures(uri: str) -> list[str]:
    """What makes a SAS a secret, as it is written in the URI and as it is signed."""
    query = urlsplit(uri).query
    written = [part.removeprefix("sig=") for part in query.split("&") if part.startswith("sig=")]
    return [*filter(None, written), *parse_qs(query).get("sig", ())]
