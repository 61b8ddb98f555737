"""Records and deleted records, page by page (zoho.md 3.6)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from .call import Call, integer
from .errors import (
    CrmError,
    NotModified,
    invalid_data,
    invalid_module,
    module_not_supported,
    required_param_missing,
)
from .limits import DAY_SECONDS
from .model import Module, Record

MAX_FIELDS = 50
MAX_PER_PAGE = 200
SORT_FIELDS = ("id", "Created_Time", "Modified_Time")
SORT_ORDERS = ("asc", "desc")
DELETED_TYPES = ("all", "recycle", "permanent")


def records(call: Call) -> dict[str, Any] | None:
    """``GET /{module}``; None (204) if there is nothing on the page."""
    module = usable_module(call, call.path["module"])
    names = _field_names(call)
    if "cvid" in call.query:  # there are no custom views here
        raise invalid_data("cvid")
    sort_by = _choice(call, "sort_by", SORT_FIELDS, "id")
    sort_order = _choice(call, "sort_order", SORT_ORDERS, "desc")
    per_page = integer(call.query, "per_page", MAX_PER_PAGE, highest=MAX_PER_PAGE)
    bound = (module.api_name, ",".join(names), sort_by, sort_order, str(per_page), _since_header(call))
    start = _start(call, bound, per_page)

    found = _changed(call, list(call.state.visible(module).values()), "Modified_Time")
    found.sort(key=lambda record: _sort_key(record, sort_by), reverse=sort_order == "desc")
    shown = found[start : start + per_page]
    if not shown:
        return None
    more = start + per_page < len(found)
    return {
        "data": [_project(record, names, module) for record in shown],
        "info": {
            "call": False,
            "per_page": per_page,
            "count": len(shown),
            "page": start // per_page + 1,
            "more_records": more,
            "sort_by": sort_by,
            "sort_order": sort_order,
            **_page_tokens(call, bound, start, per_page, more),
            "email": False,
        },
    }


def deleted(call: Call) -> dict[str, Any] | None:
    """``GET /{module}/deleted``."""
    module = usable_module(call, call.path["module"])
    kind = _choice(call, "type", DELETED_TYPES, "all")
    page = integer(call.query, "page", 1)
    per_page = integer(call.query, "per_page", MAX_PER_PAGE, highest=MAX_PER_PAGE)
    found = [gone for gone in call.state.visibly_deleted(module) if kind in ("all", gone["type"])]
    found = _changed(call, found, "deleted_time")
    shown = found[(page - 1) * per_page : page * per_page]
    if not shown:
        return None
    return {
        "data": shown,
        "info": {
            "per_page": per_page,
            "count": len(shown),
            "page": page,
            "more_records": page * per_page < len(found),
        },
    }


def count(call: Call) -> dict[str, int]:
    """``GET /{module}/actions/count``, of all or of what ``email``, ``phone`` or ``word`` finds."""
    module = usable_module(call, call.path["module"])
    for name in ("cvid", "criteria"):  # no custom views here, and no criteria
        if name in call.query:
            raise invalid_data(name)
    found = list(call.state.visible(module).values())
    for kind in ("email", "phone"):
        if wanted := call.query.get(kind):
            names = [name for name, spec in module.fields.items() if spec.data_type == kind]
            found = [record for record in found if wanted in [record.get(name) for name in names]]
    if word := call.query.get("word", "").casefold():
        found = [record for record in found if any(word in text.casefold() for text in _texts(record))]
    return {"count": len(found)}


def _texts(record: Record) -> list[str]:
    return [value for value in record.values() if isinstance(value, str)]


def usable_module(call: Call, name: str) -> Module:
    """The module of a record path; raises INVALID_MODULE or NOT_SUPPORTED."""
    module = call.organization.modules.get(name)
    if module is None:
        raise invalid_module(resource_path_index=0)
    if not module.api_supported:
        raise module_not_supported(resource_path_index=0)
    return module


def _field_names(call: Call) -> list[str]:
    names = [name.strip() for name in call.query.get("fields", "").split(",") if name.strip()]
    if not names:
        raise required_param_missing("fields")
    if len(names) > MAX_FIELDS:
        raise CrmError(
            400,
            "LIMIT_EXCEEDED",
            "the number of fields exceeds the limit",
            {"limit": MAX_FIELDS, "param_name": "fields"},
        )
    return names


def _choice(call: Call, name: str, allowed: tuple[str, ...], default: str) -> str:
    value = call.query.get(name, default)
    if value not in allowed:
        raise invalid_data(name, supported_values=list(allowed))
    return value


def _start(call: Call, bound: tuple[str, ...], per_page: int) -> int:
    switches, token = call.state.switches, call.query.get("page_token")
    if token is None:
        page = integer(call.query, "page", 1)
        if page * per_page > switches.discrete_page_limit:
            raise CrmError(
                400,
                "DISCRETE_PAGINATION_LIMIT_EXCEEDED",
                "use page_token to get records beyond the limit",
                {"limit": switches.discrete_page_limit},
            )
        return (page - 1) * per_page
    if "page" in call.query:
        raise CrmError(
            400,
            "AMBIGUITY_DURING_PROCESSING",
            "page and page_token exclude each other",
            {"ambiguity_due_to": [{"param_name": "page"}, {"param_name": "page_token"}]},
        )
    start = call.state.page_tokens.start(token, call.user.id, bound)
    if start + per_page > switches.page_token_limit:
        raise CrmError(
            400,
            "PAGINATION_LIMIT_EXCEEDED",
            "records beyond the limit are not available by page_token",
            {"param_name": "page_token"},
        )
    return start


def _page_tokens(
    call: Call, bound: tuple[str, ...], start: int, per_page: int, more: bool
) -> dict[str, str | None]:
    def give(where: int) -> str:
        return call.state.page_tokens.give(call.user.id, bound, where)

    expiry = datetime.fromtimestamp(call.state.now() + DAY_SECONDS, call.organization.timezone)
    return {
        "next_page_token": give(start + per_page) if more else None,
        "previous_page_token": give(max(0, start - per_page)) if start else None,
        "page_token_expiry": expiry.isoformat(timespec="seconds") if more or start else None,
    }


def _since_header(call: Call) -> str:
    return call.headers.get("If-Modified-Since", "")


def _changed(call: Call, records: list[Record], field: str) -> list[Record]:
    """Those changed at or after If-Modified-Since; raises :class:`NotModified` if none was."""
    header = _since_header(call)
    if not header:
        return records
    try:
        since = datetime.fromisoformat(header)
    except ValueError:
        # Only ISO 8601 is documented; how Zoho refuses anything else is not.
        raise invalid_data("If-Modified-Since") from None
    if since.tzinfo is None:
        since = since.replace(tzinfo=call.organization.timezone)
    changed = [record for record in records if datetime.fromisoformat(record[field]) >= since]
    if not changed:
        raise NotModified
    return changed


def _sort_key(record: Record, sort_by: str) -> tuple[float, int]:
    identifier = int(record["id"])
    if sort_by == "id":
        return 0.0, identifier
    return datetime.fromisoformat(record[sort_by]).astimezone(UTC).timestamp(), identifier


def _project(record: Record, names: list[str], module: Module) -> Record:
    """``id`` and the wanted fields that the module has, in the order asked for."""
    return {"id": record["id"], **{name: record.get(name) for name in names if name in module.fields}}
