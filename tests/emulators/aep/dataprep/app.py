"""Data Prep as one application."""

from __future__ import annotations

import json
import uuid
from typing import Any

from aiohttp import web

from tests.emulators.aep import errors
from tests.emulators.aep.dataprep import expression, functions, mapping_sets
from tests.emulators.aep.dataprep.mapper import Mapper
from tests.emulators.aep.dataprep.validation import problems
from tests.emulators.aep.gateway import Context, context
from tests.emulators.aep.numbers import whole
from tests.emulators.core.web import ServiceError, answer, errors_as, read_json, slash_optional


def app() -> web.Application:
    """The application below ``/data/foundation/conversion``."""
    application = web.Application(middlewares=[errors_as(errors.generic_http)])
    application.router.add_routes(
        slash_optional(
            [
                web.get("/mappingSets", _list),
                web.post("/mappingSets", _create),
                web.post("/mappingSets/validate", _validate),
                web.post("/mappingSets/preview", _preview),
                web.get("/mappingSets/{id}", _get),
                web.put("/mappingSets/{id}", _replace),
                web.delete("/mappingSets/{id}", _delete),
                web.get("/mappingSets/{id}/mappings", _mappings),
                web.get("/mappingSets/{id}/mappings/{mapping}", _one_mapping),
                web.post("/languages/el/validate", _validate_expression),
                web.get("/languages/el/functions", _functions),
                web.get("/languages/el/operators", _operators),
            ]
        )
    )
    return application


async def _list(request: web.Request) -> web.Response:
    """Offset paging; limit and start are both required, though they have defaults."""
    ctx, parameters = context(request), request.query
    defaults = {"limit": "10", "start": "0"} if ctx.switches.mappingSetPaging == "optional" else {}
    limit, start = (_number(parameters.get(name, defaults.get(name)), name) for name in ("limit", "start"))
    if limit < 1:
        raise mapping_sets.bad_request("limit: at least 1 is expected")
    found = [
        _shown(request, id, versions[-1])
        for id, versions in ctx.sandbox.mapping_sets.items()
        if parameters.get("name") in (None, versions[-1]["name"])
        and ctx.listed(versions[-1]["createdDate"] / 1000)
    ]
    order = parameters.get("orderBy", "").strip()
    if order:
        name = {"createdDate": "createdDate", "updatedDate": "modifiedDate"}.get(order.lstrip("+- "))
        if name is None:
            raise mapping_sets.bad_request("orderBy: createdDate or updatedDate is expected")
        found.sort(key=lambda s: int(s[name]), reverse=order.startswith("-"))
    shown = found[start : start + limit]
    links = {}
    if start + limit < len(found):
        links["next"] = {"href": f"/mappingSets?limit={limit}&start={start + limit}"}
    return answer({"data": shown, "_page": {"count": len(shown), "limit": limit}, "_links": links})


async def _create(request: web.Request) -> web.Response:
    ctx = context(request)
    kept = await _body(ctx, request)
    names = {versions[-1]["name"] for versions in ctx.sandbox.mapping_sets.values()} - {None}
    if ctx.switches.nameUniqueness == "refused" and kept["name"] in names:
        raise mapping_sets.bad_request(f"The name {kept['name']} is taken")
    id = uuid.uuid4().hex
    ctx.sandbox.mapping_sets[id] = [kept]
    return answer(mapping_sets.summary(id, kept))


async def _get(request: web.Request) -> web.Response:
    id, found = _version(context(request), request)
    return answer(_shown(request, id, found))


async def _replace(request: web.Request) -> web.Response:
    """A new version, of which only future runs take notice."""
    ctx = context(request)
    id, versions = _versions(ctx, request)
    kept = await _body(ctx, request)
    last = versions[-1]
    if ctx.switches.mappingSetPut == "onChange" and mapping_sets.same_content(last, kept):
        return answer(mapping_sets.shown(id, last))
    kept |= {
        "version": last["version"] + 1,
        "createdDate": last["createdDate"],
        "createdBy": last["createdBy"],
    }
    if ctx.switches.mappingSetOldVersions == "dropped":
        versions.clear()
    versions.append(kept)
    return answer(mapping_sets.shown(id, kept))


async def _delete(request: web.Request) -> web.Response:
    """Not published; AEPP calls it (platform.md 8)."""
    ctx = context(request)
    if ctx.switches.mappingSetDelete == "refused":
        raise errors.generic_http(request, 405, "Method Not Allowed")
    id, _ = _versions(ctx, request)
    del ctx.sandbox.mapping_sets[id]
    return web.Response(status=204)


async def _mappings(request: web.Request) -> web.Response:
    _, found = _version(context(request), request)
    return answer([mapping_sets.shown_mapping(mapping) for mapping in found["mappings"]])


async def _one_mapping(request: web.Request) -> web.Response:
    _, found = _version(context(request), request)
    wanted = request.match_info["mapping"]
    for mapping in found["mappings"]:
        if mapping["id"] == wanted:
            return answer(mapping_sets.shown_mapping(mapping))
    raise _not_found(f"There is no mapping {wanted}")


async def _validate(request: web.Request) -> web.Response:
    """One entry per mapping; what is wrong is an answer, not an error."""
    ctx = context(request)
    kept = mapping_sets.normalized(await read_json(request), ctx.now, ctx.author.user)
    entries = [
        {"status": "FAILED", "errors": [p.shown() for p in found]}
        if found
        else {"status": "SUCCESS", "errors": None}
        for found in problems(ctx.sandbox, kept)
    ]
    return answer({"validationResponse": entries})


async def _preview(request: web.Request) -> web.Response:
    ctx = context(request)
    body = await read_json(request)
    if not isinstance(body, dict):
        raise mapping_sets.bad_request("data and mappingSet are expected")
    rows = body.get("data")
    rows = [rows] if isinstance(rows, dict) else rows
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise mapping_sets.bad_request("data: a list of rows is expected")
    kept = mapping_sets.normalized(body.get("mappingSet"), ctx.now, ctx.author.user)
    mapper = Mapper(kept["mappings"])
    results = [_mapped(mapper, row) for row in rows]
    if ctx.switches.previewAnswer == "object":
        return answer(results[0] if results else {"data": {}, "errors": None})
    return answer(results)


async def _validate_expression(request: web.Request) -> web.Response:
    body = await read_json(request)
    text = body.get("expression") if isinstance(body, dict) else None
    if not isinstance(text, str):
        raise mapping_sets.bad_request("expression is missing")
    sample = _sample(body.get("sampleData"))
    try:
        node = expression.parse(text)
    except expression.ExpressionError:
        return answer(False)
    columns = None if sample is None else set(sample)
    valid = columns is None or all(path.split(".")[0] in columns for path in expression.paths(node))
    return answer(valid)


async def _functions(request: web.Request) -> web.Response:
    return answer([{"function": name} for name in sorted(functions.NAMES)])


async def _operators(request: web.Request) -> web.Response:
    return answer([{"operatorSymbol": name} for name in functions.OPERATORS])


def _shown(request: web.Request, id: str, found: mapping_sets.MappingSet) -> mapping_sets.MappingSet:
    """The set as read, with the whole schema that it writes if ``expandSchema`` asks for that."""
    shown = mapping_sets.shown(id, found)
    if request.query.get("expandSchema", "").lower() == "true":
        schema_id, version = mapping_sets.output_schema(found)
        document = context(request).sandbox.schemas.get(str(schema_id), {}).get(version or 0)
        shown["outputSchema"]["jsonSchema"] = document
    return shown


async def _body(ctx: Context, request: web.Request) -> mapping_sets.MappingSet:
    kept = mapping_sets.normalized(await read_json(request), ctx.now, ctx.author.user)
    id, version = mapping_sets.output_schema(kept)
    if version not in ctx.sandbox.schemas.get(str(id), {}):
        raise mapping_sets.bad_request(f"The schema {id} has no version {version}")
    return kept


def _versions(ctx: Context, request: web.Request) -> tuple[str, list[mapping_sets.MappingSet]]:
    id = request.match_info["id"]
    versions = ctx.sandbox.mapping_sets.get(id)
    if versions is None:
        raise _not_found(f"There is no mapping set {id}")
    return id, versions


def _version(ctx: Context, request: web.Request) -> tuple[str, mapping_sets.MappingSet]:
    """The version asked for; which one that is by default is an unknown (platform.md 16.3.12)."""
    id, versions = _versions(ctx, request)
    text = request.query.get("version")
    if text is None and ctx.switches.mappingSetDefaultVersion == "latest":
        return id, versions[-1]
    wanted = 0 if text is None else _number(text, "version")
    found = mapping_sets.find(ctx.sandbox, id, wanted)
    if found is None:
        raise _not_found(f"There is no version {wanted} of the mapping set {id}")
    return id, found


def _mapped(mapper: Mapper, row: dict[str, Any]) -> dict[str, Any]:
    data, failures = mapper(row)
    names = ("source", "destination", "sourceType")
    failed = [
        {**{n: failure.mapping[n] for n in names}, "exception": failure.reason, "columnName": None}
        for failure in failures
    ]
    return {"data": data, "errors": failed or None}


def _sample(text: Any) -> dict[str, Any] | None:
    if not isinstance(text, str) or not text:
        return None
    try:
        sample = json.loads(text)
    except ValueError:
        raise mapping_sets.bad_request("sampleData is not JSON") from None
    return sample if isinstance(sample, dict) else None


def _number(text: str | None, name: str) -> int:
    if text is None:
        raise mapping_sets.bad_request(f"{name} is missing")
    number = whole(text)
    if number is None:
        raise mapping_sets.bad_request(f"{name}: a number is expected")
    return number


def _not_found(detail: str) -> ServiceError:
    return errors.generic(404, "NotFoundError", detail)
