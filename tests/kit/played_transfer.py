"""``crmflow transfer`` in this process, for a pod that nobody runs."""

from __future__ import annotations

import base64
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from crmflow.blob.block_blob import BlockBlob
from crmflow.blob.service import BlobService
from crmflow.clock import Clock
from crmflow.http.client import HttpClient
from crmflow.transfer.credentials import Credentials
from crmflow.transfer.declaration import Declaration
from crmflow.transfer.program import outcome
from crmflow.transfer.report import Report
from crmflow.transfer.transfer import Transfer

Object = Mapping[str, Any]


async def play(pod: Object, secret: Object, http: HttpClient, clock: Clock) -> Report:
    """What the transfer of a pod spec reports, with the Secret as it is now."""
    arguments = pod["containers"][0]["args"]
    text = arguments[arguments.index("--declaration") + 1].replace("$$", "$")
    declaration = Declaration.model_validate_json(text)
    with tempfile.TemporaryDirectory() as folder:
        for key, value in secret["data"].items():
            (Path(folder) / key).write_text(base64.b64decode(value).decode())
        credentials = Credentials(Path(folder), clock)
        file = BlockBlob(BlobService(http, credentials), declaration.file)
        transfer = Transfer(declaration, http, credentials, file, clock)
        return (await outcome(transfer)).model_copy(update={"credits": transfer.credits})


def secret_name(pod: Object) -> str:
    """The Secret that a pod of a transfer mounts."""
    (name,) = [one["secret"]["secretName"] for one in pod["volumes"] if "secret" in one]
    return str(name)


def ended(pod: Object, report: Report) -> dict[str, Any]:
    """The status of the pod once its transfer has said that."""
    container = pod["containers"][0]
    message = report.model_dump_json(by_alias=True, exclude_none=True)
    status = {
        "name": container["name"],
        "image": container["image"],
        "imageID": "",
        "ready": False,
        "restartCount": 0,
        "state": {"terminated": {"exitCode": report.exit_code, "message": message}},
    }
    return {"phase": "Failed" if report.exit_code else "Succeeded", "containerStatuses": [status]}
