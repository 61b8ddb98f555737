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
from tests.emulators.aep.resource import milliseconds
from tests.emulators.core.web import ServiceError, answer, errors_as, read_json

Record = dict[str, Any]

_MAXIMUM = 100
_OPERATORS = re.compile(r"(==|!=|>=|<=|=|~|>|<)")
_READ_ONLY = ("imsOrg", "version", "created", "updated", "createdClient", "viewId", "files")


def app() -> web.Application:
    """The application below ``/data/foundation/catalog``."""
    application = web.Application(middlewares=[errors_as(errors.generic_http)])
    application.router.add_routes(
        [
            web.get("/dataSets", _list_datasets),
            web.post("/dataSets", _create),
            web.get("/dataSets/{id}", _get),
            web.put("/dataSets/{id}", _replace),
            web.patch("/dataSets/{id}", _patch),
            web.delete("/dataSets/{id}", _delete),
            web.patch("/v2/dataSets/{id}", _patch),
            web.get("/batches", _list_batches),
            web.get("/batches/{id}", _get_batch),
            web.get("/lastBatches", _last_batches),
        ]
    )
    return application


def dataset(ctx_org: str, client: str, now: float, body: Record, id: str) -> Record:
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
        "imsOrg": ctx_org,
        "version": "1.0.0",
        "created": time,
        "updated": time,
        "createdClient": client,
        "viewId": secrets.token_hex(12),
        "files": f"@/dataSets/{id}/views/files",
    }


async def _list_datasets(request: web.Request) -> web.Response:
    ctx = context(request)
    found = _filtered(ctx.sandbox.datasets, request, ("name", "description"))
    return answer({id: _projected(record, request) for id, record in found})


async def _create(request: web.Request) -> web.Response:
    ctx = context(request)
    body = _checked(ctx, await read_json(request))
    id = secrets.token_hex(12)
    organization = ctx.state.organization
    ctx.sandbox.datasets[id] = dataset(organization, ctx.author.client, ctx.now, body, id)
    return answer([f"@/dataSets/{id}"], 201)


async def _get(request: web.Request) -> web.Response:
    id, record = _found(request)
    return answer({id: _projected(record, request)})


async def _replace(request: web.Request) -> web.Response:
    ctx = context(request)
    id, record = _found(request)
    body = _checked(ctx, await read_json(request))
    kept = {name: record[name] for name in _READ_ONLY}
    ctx.sandbox.datasets[id] = {**body, **kept}
    return _updated(ctx, id)


async def _patch(request: web.Request) -> web.Response:
    """JSON Patch under its own media type, else a merge."""
    ctx = context(request)
    id, record = _found(request)
    body = await read_json(request)
    if isinstance(body, list):
        changed = record
        try:
            for operation in jsonpatch.operations(body):
                changed = jsonpatch.apply(changed, operation)
        except jsonpatch.PatchError as error:
            raise _bad_request(str(error)) from None
    elif isinstance(body, dict):
        changed = _merged(record, body)
    else:
        raise _bad_request("A JSON object, or a list of operations, is expected")
    kept = {name: record[name] for name in _READ_ONLY}
    ctx.sandbox.datasets[id] = {**_checked(ctx, changed), **kept}
    return _updated(ctx, id)


async def _delete(request: web.Request) -> web.Response:
    """Irreversible; an unknown id gives an empty list."""
    ctx = context(request)
    id = request.match_info["id"]
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
    return body


def _updated(ctx: Context, id: str) -> web.Response:
    record = ctx.sandbox.datasets[id]
    major, minor, patch = record["version"].split(".")
    record |= {"version": f"{major}.{minor}.{int(patch) + 1}", "updated": milliseconds(ctx.now)}
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
