"""Catalog: datasets and batches (platform.md 9)."""

from __future__ import annotations

import copy
import re
import secrets
from collections.abc import Iterator
from typing import Any

from aiohttp import web

from tests.emulators.aep import errors, jsonpatch
from tests.emulators.aep.gateway import Context, context
from tests.emulators.aep.media import major_version
from tests.emulators.aep.numbers import whole
from tests.emulators.aep.resource import Author, milliseconds
from tests.emulators.core.web import ServiceError, answer, errors_as, read_json, slash_optional

Record = dict[str, Any]

_MAXIMUM = 100
_OPERATORS = re.compile(r"(==|!=|>=|<=|=|~|>|<)")
_READ_ONLY = (
    "imsOrg",
    "version",
    "created",
    "updated",
    "createdClient",
    "createdUser",
    "updatedUser",
    "viewId",
    "files",
    "classification",
)
_PATCH_TYPE = "application/json-patch+json"
_PROFILE = ("unifiedProfile", "unifiedIdentity")


def app() -> web.Application:
    """The application below ``/data/foundation/catalog``."""
    application = web.Application(middlewares=[errors_as(errors.generic_http)])
    application.router.add_routes(
        slash_optional(
            [
                web.get("/dataSets", _list_datasets),
                web.post("/dataSets", _create),
                web.get("/dataSets/{id}", _get),
                web.put("/dataSets/{id}", _replace),
                web.patch("/dataSets/{id}", _patch),
                web.delete("/dataSets/{id}", _delete),
                web.patch("/v2/dataSets/{id}", _patch_nested),
                web.get("/batches", _list_batches),
                web.get("/batches/{id}", _get_batch),
                web.get("/lastBatches", _last_batches),
            ]
        )
    )
    return application


def dataset(organization: str, author: Author, now: float, body: Record, id: str) -> Record:
    """The kept form of a dataset."""
    time = milliseconds(now)
    return {
        "name": body["name"],
        "description": body.get("description", ""),
        "tags": {
            "adobe/pqs/table": [re.sub(r"\W+", "_", body["name"].lower())],
            "adobe/siphon/table/format": ["delta"],
            **copy.deepcopy(body.get("tags", {})),
        },
        "classification": {"dataBehavior": "record", "managedBy": "CUSTOMER"},
        "schemaRef": dict(body["schemaRef"]),
        "enableErrorDiagnostics": body.get("enableErrorDiagnostics") is True,
        "imsOrg": organization,
        "version": "1.0.0",
        "created": time,
        "updated": time,
        "createdClient": author.client,
        "createdUser": author.user,
        "updatedUser": author.user,
        "viewId": secrets.token_hex(12),
        "files": f"@/dataSetFiles?dataSetId={id}",
    }


async def _list_datasets(request: web.Request) -> web.Response:
    ctx = context(request)
    known = {id: d for id, d in ctx.sandbox.datasets.items() if ctx.listed(d["created"] / 1000)}
    found = _filtered(known, request, ("name", "description"))
    return answer({id: _projected(record, request) for id, record in found})


async def _create(request: web.Request) -> web.Response:
    ctx = context(request)
    body = _checked(ctx, await read_json(request))
    names = {record["name"] for record in ctx.sandbox.datasets.values()}
    if ctx.switches.nameUniqueness == "refused" and body["name"] in names:
        raise _bad_request(f"The name {body['name']} is taken")
    id = secrets.token_hex(12)
    ctx.sandbox.datasets[id] = dataset(ctx.state.organization, ctx.author, ctx.now, body, id)
    return answer([f"@/dataSets/{id}"], 201, {"Location": f"{request.path.rstrip('/')}/{id}"})


async def _get(request: web.Request) -> web.Response:
    id, record = _found(request)
    return answer({id: _projected(record, request)})


async def _replace(request: web.Request) -> web.Response:
    id, record = _matched(request)
    return _updated(request, id, record, await read_json(request))


async def _patch(request: web.Request) -> web.Response:
    """JSON Patch under its own media type, else the members that are given take the place of the old ones."""
    id, record = _matched(request)
    body = await read_json(request)
    if request.content_type == _PATCH_TYPE:
        changed = record
        try:
            for operation in jsonpatch.operations(body):
                changed = jsonpatch.apply(changed, operation)
        except jsonpatch.PatchError as error:
            raise _bad_request(str(error)) from None
    elif isinstance(body, dict):
        changed = {**record, **body}
    else:
        raise _bad_request(f"A JSON object is expected; a list of operations comes as {_PATCH_TYPE}")
    return _updated(request, id, record, changed)


async def _patch_nested(request: web.Request) -> web.Response:
    """Version 2 merges to any depth and makes the objects that are missing on the way."""
    id, record = _matched(request)
    body = await read_json(request)
    if not isinstance(body, dict):
        raise _bad_request("A JSON object is expected")
    return _updated(request, id, record, _merged(record, body))


async def _delete(request: web.Request) -> web.Response:
    """Irreversible; an unknown id may give an empty list (platform.md 9)."""
    ctx = context(request)
    id = request.match_info["id"]
    if id not in ctx.sandbox.datasets and ctx.switches.unknownDatasetDelete == "refused":
        raise errors.generic(404, "NotFoundError", f"Dataset {id} does not exist")
    gone = ctx.sandbox.datasets.pop(id, None)
    return answer([] if gone is None else [f"@/dataSets/{id}"])


async def _list_batches(request: web.Request) -> web.Response:
    ctx = context(request)
    wanted = request.query.get("dataSet")
    of_dataset = {
        id: batch
        for id, batch in ctx.sandbox.batches.items()
        if wanted is None or wanted in (related["id"] for related in batch["relatedObjects"])
    }
    return answer({id: _projected(b, request) for id, b in _filtered(of_dataset, request, ("status",))})


async def _get_batch(request: web.Request) -> web.Response:
    id = request.match_info["id"]
    batch = context(request).sandbox.batches.get(id)
    if batch is None:
        raise errors.generic(404, "NotFoundError", f"Batch {id} does not exist")
    return answer({id: batch})


async def _last_batches(request: web.Request) -> web.Response:
    ctx = context(request)
    wanted = [id for id in request.query.get("dataSetId", "").split(",") if id]
    return answer(
        {
            id: {"lastBatchId": record.get("lastBatchId"), "lastBatchStatus": record.get("lastBatchStatus")}
            for id, record in ctx.sandbox.datasets.items()
            if not wanted or id in wanted
        }
    )


def _found(request: web.Request) -> tuple[str, Record]:
    id = request.match_info["id"]
    record = context(request).sandbox.datasets.get(id)
    if record is None:
        raise errors.generic(404, "NotFoundError", f"Dataset {id} does not exist")
    return id, record


def _matched(request: web.Request) -> tuple[str, Record]:
    """The dataset to change, if it has the version that the client wants to meet, or to avoid."""
    id, record = _found(request)
    for header, is_to_match in (("If-Match", True), ("If-None-Match", False)):
        versions = {text.strip().strip('"') for text in request.headers.get(header, "").split(",")}
        matches = bool(versions & {record["version"], str(record["updated"]), "*"})
        if header in request.headers and matches != is_to_match:
            detail = f"{header}: the dataset has version {record['version']}"
            raise errors.generic(412, "PreconditionFailedError", detail)
    return id, record


def _checked(ctx: Context, body: Any) -> Record:
    if not isinstance(body, dict) or not isinstance(body.get("name"), str) or not body["name"].strip():
        raise _bad_request("name is missing")
    reference = body.get("schemaRef")
    if not isinstance(reference, dict):
        raise _bad_request("schemaRef is missing")
    version = major_version(reference.get("contentType"))
    if version not in ctx.sandbox.schemas.get(str(reference.get("id")), {}):
        raise _bad_request(f"The schema {reference.get('id')} has no version {version}")
    tags = body.get("tags", {})
    if not isinstance(tags, dict) or not all(isinstance(v, list) for v in tags.values()):
        raise _bad_request("tags: lists of strings are expected")
    schema = ctx.sandbox.schemas[str(reference["id"])][int(version or 0)]
    if "union" not in schema["meta:immutableTags"] and any(_enables(tags.get(name)) for name in _PROFILE):
        raise _bad_request("The schema is not enabled for Profile")
    return body


def _enables(tag: Any) -> bool:
    """With a space and without (platform.md 16.1.19)."""
    return isinstance(tag, list) and any(str(text).replace(" ", "") == "enabled:true" for text in tag)


def _updated(request: web.Request, id: str, record: Record, changed: Any) -> web.Response:
    ctx = context(request)
    major, minor, patch = record["version"].split(".")
    ctx.sandbox.datasets[id] = {
        **_checked(ctx, changed),
        **{name: record[name] for name in _READ_ONLY},
        "version": f"{major}.{minor}.{int(patch) + 1}",
        "updated": milliseconds(ctx.now),
        "updatedUser": ctx.author.user,
    }
    return answer([f"@/dataSets/{id}"])


def _merged(record: Record, changes: Record) -> Record:
    merged = copy.deepcopy(record)
    for name, value in changes.items():
        both = isinstance(value, dict) and isinstance(merged.get(name), dict)
        merged[name] = _merged(merged[name], value) if both else value
    return merged


def _filtered(
    records: dict[str, Record], request: web.Request, exact: tuple[str, ...]
) -> list[tuple[str, Record]]:
    parameters = request.query
    found = [
        (id, record)
        for id, record in records.items()
        if all(str(record.get(n)) in parameters[n].split(",") for n in exact if n in parameters)
        and all(_property(record, text) for text in parameters.getall("property", []))
        and all(_tagged(record, text) for text in parameters.getall("tags", []))
    ]
    for direction, name in _order(parameters.get("orderBy", "")):
        found.sort(key=lambda entry, name=name: _sort_key(entry[1], name), reverse=direction)  # type: ignore[misc]
    start = _number(parameters.get("start"), "start", 0)
    limit = _number(parameters.get("limit"), "limit", 20)
    if not 1 <= limit <= _MAXIMUM:
        raise _bad_request(f"limit: 1 to {_MAXIMUM} is expected")
    return found[start : start + limit]


def _property(record: Record, text: str) -> bool:
    """``path``, ``path==value`` or ``path~regex``, with a dotted path."""
    path, operator, want = [*_OPERATORS.split(text, maxsplit=1), "", ""][:3]
    value: Any = record
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    if not operator:
        return value is not None
    have = "" if value is None else str(value)
    if operator == "!=":
        return have != want
    if operator != "~":
        return have == want
    try:
        return re.search(want, have) is not None
    except re.error:
        raise _bad_request(f"property: {want!r} is not a regular expression") from None


def _tagged(record: Record, text: str) -> bool:
    name, _, value = text.partition(":")
    values = [str(v).replace(" ", "") for v in record.get("tags", {}).get(name, [])]
    return bool(values) if not value else value.replace(" ", "") in values


def _order(text: str) -> Iterator[tuple[bool, str]]:
    for part in reversed([p for p in text.split(",") if p]):
        direction, _, name = part.rpartition(":")
        yield direction == "desc", name


def _sort_key(record: Record, name: str) -> tuple[int, str]:
    value = record.get(name)
    return (value, "") if isinstance(value, int) else (0, str(value or ""))


def _projected(record: Record, request: web.Request) -> Record:
    names = [n for n in request.query.get("properties", "").split(",") if n]
    if not names or "*" in names:
        return record
    return {name: record[name] for name in names if name in record}


def _number(text: str | None, name: str, default: int) -> int:
    if text is None:
        return default
    number = whole(text)
    if number is None:
        raise _bad_request(f"{name}: a number is expected")
    return number


def _bad_request(detail: str) -> ServiceError:
    return errors.generic(400, "BadRequestError", detail)
