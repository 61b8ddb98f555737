"""Azure's own SDK on a landing zone, as anybody would use it."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from azure.core import MatchConditions
from azure.storage.blob import BlobBlock
from azure.storage.blob.aio import ContainerClient

from tests.contract.aep import Aep
from tests.emulators.aep import seed_data as ids

CREDENTIALS = "/data/foundation/connectors/landingzone/credentials"
ZONE = "/data/foundation/connectors/landingzone"


async def credentials(aep: Aep) -> dict[str, Any]:
    """What opens the sandbox's landing zone."""
    found = await aep.get(CREDENTIALS, type="user_drop_zone")
    assert found.status == 200, found.body
    body: dict[str, Any] = found.body
    return body


@asynccontextmanager
async def opened(uri: str) -> AsyncIterator[ContainerClient]:
    """The container behind a SASUri. Nothing is tried twice: a test wants to see each answer."""
    async with ContainerClient.from_container_url(uri, retry_total=0) as container:
        yield container


async def commit(
    container: ContainerClient, name: str, *pieces: bytes, attempt: str = "0", **options: Any
) -> None:
    """Stage blocks and commit them under a name that must be new."""
    blob = container.get_blob_client(name)
    blocks = []
    for number, piece in enumerate(pieces):
        block = base64.b64encode(f"{attempt}-{number:05d}".encode()).decode()
        await blob.stage_block(block, piece)
        blocks.append(BlobBlock(block))
    options.setdefault("match_condition", MatchConditions.IfMissing)
    await blob.commit_block_list(blocks, **options)


async def names(container: ContainerClient) -> list[str]:
    """The names of all blobs."""
    return [name async for name in container.list_blob_names()]


async def put(aep: Aep, name: str, content: bytes | str) -> None:
    """A file in the sandbox's landing zone, written once."""
    async with opened((await credentials(aep))["SASUri"]) as container:
        await commit(container, name, content.encode() if isinstance(content, str) else content)


def source_body(folder: str = "crmflow/a/b", **changes: Any) -> dict[str, Any]:
    """A source connection on a folder of the landing zone; ``changes`` replace members."""
    body = {
        "name": "Landing zone",
        "data": {"format": "delimited", "properties": {"columnDelimiter": ",", "encoding": "UTF-8"}},
        "params": {"path": f"dlz-user-container/{folder}", "type": "folder", "recursive": True},
        "connectionSpec": {"id": ids.LANDING_ZONE_SPEC, "version": "1.0"},
        **changes,
    }
    return {name: value for name, value in body.items() if value is not None}


async def flow_body(
    aep: Aep,
    schedule: dict[str, Any] | None = None,
    *,
    mappings: list[Any] | None = None,
    dataset: str = ids.CONTACTS_DATASET,
    source: dict[str, Any] | None = None,
    **options: Any,
) -> dict[str, Any]:
    """A flow that reads the folder, with everything that it needs made first."""
    made = await aep.post("/sourceConnections", source or source_body())
    target = await aep.post("/targetConnections", aep.target_body(dataset))
    assert (made.status, target.status) == (201, 201), (made.body, target.body)
    params = {"mappingId": await aep.mapping_set(mappings), "mappingVersion": 0}
    return {
        "name": "Contacts from files",
        "flowSpec": {"id": ids.CLOUD_STORAGE_FLOW_SPEC, "version": "1.0"},
        "sourceConnectionIds": [made.body["id"]],
        "targetConnectionIds": [target.body["id"]],
        "transformations": [{"name": "Mapping", "params": params}],
        "options": {"errorDiagnosticsEnabled": True, "partialIngestionPercent": 5, **options},
        "scheduleParams": schedule or aep.hourly(),
    }


async def flow(aep: Aep, schedule: dict[str, Any] | None = None, **more: Any) -> str:
    """Such a flow, enabled; returns its id."""
    found = await aep.post("/flows", await flow_body(aep, schedule, **more))
    assert found.status == 201, found.body
    aep.pass_transition()
    id: str = found.body["id"]
    return id
