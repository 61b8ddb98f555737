"""Bulk read: a job that writes a ZIP of CSV (zoho.md 3.8, landing-zone.md F.1, K.7)."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import zipfile
import zlib
from collections.abc import Iterator
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from . import access
from .bulk_criteria import predicate
from .bulk_errors import refusal
from .call import Call, File
from .errors import CrmError, invalid_data
from .limits import DAY_SECONDS
from .model import BulkJob, BulkPart, BulkQuery, Module, Record

UNSUPPORTED_MODULES = ("Notes", "Attachments", "Emails")
FILE_TYPES = ("csv", "ics")
MAX_FIELDS = 200
DOWNLOADS_PER_MINUTE = 10
_RUN_STARTS = 2 / 3
"""When a job begins to read, in parts of its life: that is when its state becomes IN PROGRESS."""


def create(call: Call) -> dict[str, Any]:
    """``POST /read``: answers before anything is read."""
    body = call.body if isinstance(call.body, dict) else {}
    if not body:
        raise refusal(call, "REQUEST_BODY_IS_EMPTY", name="query")
    query = body.get("query")
    if not isinstance(query, dict):
        raise refusal(call, "MANDATORY_NOT_FOUND", name="query")
    _check_callback(call, body.get("callback"))
    job = (
        _continued(call, query) if "page_token" in query else _new(call, query, body.get("file_type", "csv"))
    )
    _check_jobs_at_once(call)
    call.state.bulk_jobs[job.id] = job
    details = {
        "id": job.id,
        "operation": "read",
        "state": "ADDED",
        "created_by": job.created_by,
        "created_time": _instant(call, job.created_at),
    }
    added = {
        "status": "success",
        "code": "ADDED_SUCCESSFULLY",
        "message": "Added successfully.",
        "details": details,
    }
    return {"data": [added], "info": {}}


def status(call: Call) -> dict[str, Any]:
    """``GET /read/{job_id}``."""
    job = _find(call, 404)
    state = _state(call, job)
    shown: dict[str, Any] = {
        "id": job.id,
        "operation": "read",
        "state": state,
        "query": {
            "module": {"api_name": job.query.module},
            "fields": list(job.query.fields),
            "page": job.page,
        },
        "created_by": job.created_by,
        "created_time": _instant(call, job.created_at),
        "file_type": job.query.file_type,
    }
    if job.query.criteria is not None:
        shown["query"]["criteria"] = job.query.criteria
    if state == "COMPLETED":
        part = _part(call, job)
        shown["result"] = {
            "page": job.page,
            "per_page": job.per_page,
            "count": len(part.rows),
            "download_url": f"/crm/bulk/v8/read/{job.id}/result",
            "more_records": part.next_token is not None,
            "next_page_token": part.next_token,
        }
    return {"data": [shown]}


def result(call: Call) -> File:
    """``GET /read/{job_id}/result``: the file, which lives for a day."""
    job = _find(call, 400)
    _count_download(call)
    if _state(call, job) != "COMPLETED" or call.state.now() >= _ends(job) + DAY_SECONDS:
        raise _not_found(400)
    part, header = _part(call, job), _header(call, job.query.fields)
    blank = _blank(call, job.query)

    def content() -> bytes:
        if part.file is None:
            part.file = _zipped(job.id, header, _cells(part, blank))
        return part.file

    return File(f"{job.id}.zip", "application/zip", content)


# --- making jobs ------------------------------------------------------------------------------------------


def _new(call: Call, query: dict[str, Any], file_type: Any) -> BulkJob:
    if file_type not in FILE_TYPES:
        raise invalid_data("file_type", supported_values=list(FILE_TYPES))
    module = _module(call, query)
    if file_type == "ics" and module.api_name != "Events":
        raise refusal(call, "JOB_NOT_SUPPORTED", name="file_type")
    page, most = query.get("page", 1), call.state.switches.bulk_pages
    if not isinstance(page, int) or isinstance(page, bool) or page < 1:
        raise invalid_data("page")
    if page > most:
        raise CrmError(400, "PAGE_RANGE_EXCEEDED", "the page is out of range", {"max_limit": most})
    predicate(call, module, query.get("criteria"))
    asked = BulkQuery(
        module.api_name, _fields(call, module, query.get("fields")), query.get("criteria"), str(file_type)
    )
    return _job(call, asked, page, (page - 1) * call.state.switches.bulk_page_rows)


def _continued(call: Call, query: dict[str, Any]) -> BulkJob:
    """The next part of an earlier job: the token stands for all that was asked then."""
    if set(query) != {"page_token"}:
        details = {"param_name": "page_token"}
        raise CrmError(400, "TOKEN_BOUND_DATA_MISMATCH", "page_token is to be sent alone", details)
    part = call.state.bulk_tokens.get(str(query["page_token"]))
    if part is None or part.zgid != call.organization.zgid:
        raise invalid_data("page_token")
    if call.state.now() >= part.token_expires:
        details = {"api_name": "page_token", "json_path": "$.query.page_token"}
        code = call.state.switches.bulk_expired_token_code
        raise CrmError(400, code, "the page_token is expired", details)
    access.check_module(call.state, call.organization, call.user, part.query.module)
    snapshot = part.read_at if call.state.switches.bulk_parts == "snapshot" else None
    return _job(call, part.query, part.page + 1, part.end, snapshot)


def _job(call: Call, query: BulkQuery, page: int, start: int, snapshot: float | None = None) -> BulkJob:
    serial = call.state.new_serial()
    return BulkJob(
        id=str(int(call.organization.id) + 900_000_000 + serial),
        zgid=call.organization.zgid,
        query=query,
        page=page,
        start=start,
        per_page=call.state.switches.bulk_page_rows,
        created_at=call.state.now(),
        created_by={"id": call.user.id, "name": call.user.full_name},
        seconds=call.state.switches.bulk_seconds,
        snapshot=snapshot,
    )


def _module(call: Call, query: dict[str, Any]) -> Module:
    named = query.get("module")
    name = named.get("api_name") if isinstance(named, dict) else None
    module = call.organization.modules.get(str(name))
    if module is None:
        raise refusal(call, "MODULE_NOT_AVAILABLE", name="module")
    access.check_module(call.state, call.organization, call.user, module.api_name)
    if module.api_name in UNSUPPORTED_MODULES or not module.api_supported:
        raise refusal(call, "JOB_NOT_SUPPORTED", name="module")
    return module


def _fields(call: Call, module: Module, fields: Any) -> tuple[str, ...]:
    known = ("id", *(name for name in module.fields if name != "id"))
    if fields is None:
        return known[:MAX_FIELDS]
    if not isinstance(fields, list) or not all(field in known for field in fields):
        raise refusal(call, "FIELD_NOT_AVAILABLE", name="fields")
    if len(fields) > MAX_FIELDS:
        details = {"limit": MAX_FIELDS, "param_name": "fields"}
        raise CrmError(400, "LIMIT_EXCEEDED", "the number of fields exceeds the limit", details)
    return tuple(fields) if "id" in fields else ("id", *fields)


def _check_callback(call: Call, callback: Any) -> None:
    if callback is None:
        return
    url = callback.get("url") if isinstance(callback, dict) else None
    if not isinstance(url, str) or urlsplit(url).scheme != "https" or not urlsplit(url).hostname:
        raise refusal(call, "INVALID_CALLBACK_URL", name="callback")
    if str(callback.get("method", "post")).lower() != "post":
        raise refusal(call, "INVALID_CALLBACK_METHOD", name="callback")


def _check_jobs_at_once(call: Call) -> None:
    most = call.state.switches.bulk_jobs_at_once
    jobs = [job for job in call.state.bulk_jobs.values() if job.zgid == call.organization.zgid]
    if most is not None and sum(call.state.now() < _ends(job) for job in jobs) >= most:
        raise _too_many("the number of jobs exceeds the limit")


# --- running them -----------------------------------------------------------------------------------------


def _find(call: Call, missing: int) -> BulkJob:
    job = call.state.bulk_jobs.get(call.path["job_id"])
    if job is None or job.zgid != call.organization.zgid:
        raise _not_found(missing)
    return job


def _ends(job: BulkJob) -> float:
    return job.created_at + job.seconds


def _state(call: Call, job: BulkJob) -> str:
    done = (call.state.now() - job.created_at) / job.seconds if job.seconds else 1.0
    if done >= 1:
        job.outcome = job.outcome or call.state.switches.bulk_outcome
        return job.outcome
    return "ADDED" if done < 1 / 3 else "QUEUED" if done < _RUN_STARTS else "IN PROGRESS"


def _part(call: Call, job: BulkJob) -> BulkPart:
    """What the job read. Records that change after it began are as they were then (K.7)."""
    if job.part is None:
        read_at = job.snapshot or job.created_at + job.seconds * _RUN_STARTS
        module = call.organization.modules[job.query.module]
        fits = predicate(call, module, job.query.criteria)
        seen = module.as_of(read_at - call.state.switches.visibility_lag)
        found = [record for record in seen.values() if fits(record)]
        found.sort(key=_unsorted)
        end = job.start + job.per_page
        part = BulkPart(
            job.zgid,
            job.query,
            job.page,
            found[job.start : end],
            read_at,
            end,
            token_expires=_ends(job) + DAY_SECONDS,
        )
        if end < len(found):
            part.next_token = hashlib.sha256(f"{job.id}:{end}".encode()).hexdigest()
            call.state.bulk_tokens[part.next_token] = part
        job.part = part
    return job.part


def _unsorted(record: Record) -> tuple[int, str]:
    """An order that nobody can take for one."""
    return zlib.crc32(record["id"].encode()), record["id"]


def _count_download(call: Call) -> None:
    now = call.state.now()
    recent = [at for at in call.state.bulk_downloads.get(call.organization.zgid, []) if at > now - 60]
    if len(recent) >= DOWNLOADS_PER_MINUTE:
        raise _too_many("too many downloads")
    call.state.bulk_downloads[call.organization.zgid] = [*recent, now]


def _too_many(message: str) -> CrmError:
    return CrmError(429, "TOO_MANY_REQUESTS", message)


def _not_found(status: int) -> CrmError:
    """404 on a job's status, 400 on its result (F.1)."""
    return CrmError(
        status, "RESOURCE_NOT_FOUND", "the requested resource does not exist", {"resource": "job_id"}
    )


# --- the file ---------------------------------------------------------------------------------------------


def _header(call: Call, fields: tuple[str, ...]) -> list[str]:
    return [call.state.switches.bulk_id_header if name == "id" else name for name in fields]


def _blank(call: Call, query: BulkQuery) -> set[str]:
    """Fields of which bulk read tells nothing."""
    specs = call.organization.modules[query.module].fields
    return {name for name in query.fields if name in specs and specs[name].encrypted}


def _cells(part: BulkPart, blank: set[str]) -> Iterator[list[str]]:
    names = part.query.fields
    for record in part.rows:
        yield ["" if name in blank else _cell(record.get(name)) for name in names]


def _zipped(id: str, header: list[str], rows: Iterator[list[str]]) -> bytes:
    archive = io.BytesIO()
    with (
        zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file,
        file.open(f"{id}.csv", "w", force_zip64=True) as member,
        io.TextIOWrapper(member, encoding="utf-8", newline="") as text,
    ):
        writer = csv.writer(text)
        writer.writerow(header)
        writer.writerows(rows)
    return archive.getvalue()


def _cell(value: Any) -> str:
    """A lookup is its id, a multi-select ``a;b``; what else is structured, JSON text."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict) and "id" in value:
        return str(value["id"])
    if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
        return ";".join(value)
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else str(value)


def _instant(call: Call, at: float) -> str:
    return datetime.fromtimestamp(at, call.organization.timezone).isoformat(timespec="seconds")
