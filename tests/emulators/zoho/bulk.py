"""Bulk read: a job that writes a ZIP of CSV (zoho.md 3.8)."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from datetime import datetime
from typing import Any

from . import access
from .call import Call, File
from .errors import CrmError, invalid_data, invalid_module, mandatory_not_found, module_not_supported
from .limits import DAY_SECONDS
from .model import BulkJob

UNSUPPORTED_MODULES = ("Notes", "Attachments", "Emails")
FILE_TYPES = ("csv",)


def create(call: Call) -> dict[str, Any]:
    """``POST /read``: answers before anything is read."""
    body = call.body if isinstance(call.body, dict) else {}
    query = body.get("query")
    if not isinstance(query, dict):
        raise mandatory_not_found("query")
    file_type = body.get("file_type", "csv")
    if file_type not in FILE_TYPES:
        raise invalid_data("file_type", supported_values=list(FILE_TYPES))
    job = _job(call, query, str(file_type))
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
    job = _find(call)
    state = _state(call, job)
    shown: dict[str, Any] = {
        "id": job.id,
        "operation": "read",
        "state": state,
        "query": {"module": {"api_name": job.module}, "fields": list(job.fields), "page": job.page},
        "created_by": job.created_by,
        "created_time": _instant(call, job.created_at),
        "file_type": job.file_type,
    }
    if state == "COMPLETED":
        shown["result"] = {
            "page": job.page,
            "per_page": call.state.switches.bulk_page_rows,
            "count": len(job.rows),
            "download_url": f"/crm/bulk/v8/read/{job.id}/result",
            "more_records": job.more,
            "next_page_token": None,
        }
    return {"data": [shown]}


def result(call: Call) -> File:
    """``GET /read/{job_id}/result``: the file, which lives for a day."""
    job = _find(call)
    age = call.state.now() - job.created_at
    if _state(call, job) != "COMPLETED" or age > DAY_SECONDS:
        raise _not_found()
    return File(f"{job.id}.zip", "application/zip", _zipped(job))


def _job(call: Call, query: dict[str, Any], file_type: str) -> BulkJob:
    named = query.get("module")
    name = named.get("api_name") if isinstance(named, dict) else None
    module = call.organization.modules.get(str(name))
    if module is None:
        raise invalid_module()
    access.check_module(call.state, call.organization, call.user, module.api_name)
    if module.api_name in UNSUPPORTED_MODULES or not module.api_supported:
        raise module_not_supported()
    fields, page = query.get("fields"), query.get("page", 1)
    known = ("id", *module.fields)
    if fields is not None and not (isinstance(fields, list) and all(field in known for field in fields)):
        raise invalid_data("fields")
    if not isinstance(page, int) or isinstance(page, bool) or page < 1:
        raise invalid_data("page")
    per_page = call.state.switches.bulk_page_rows
    found, start = list(module.records.values()), (page - 1) * per_page
    serial = call.state.new_serial()
    return BulkJob(
        str(int(call.organization.id) + 900_000_000 + serial),
        call.organization.zgid,
        module.api_name,
        tuple(fields or known),
        page,
        file_type,
        call.state.now(),
        {"id": call.user.id, "name": call.user.full_name},
        [dict(record) for record in found[start : start + per_page]],
        start + per_page < len(found),
    )


def _find(call: Call) -> BulkJob:
    job = call.state.bulk_jobs.get(call.path["job_id"])
    if job is None or job.zgid != call.organization.zgid:
        raise _not_found()
    return job


def _state(call: Call, job: BulkJob) -> str:
    switches = call.state.switches
    done = (call.state.now() - job.created_at) / switches.bulk_seconds if switches.bulk_seconds else 1.0
    if done >= 1:
        return switches.bulk_outcome
    return "ADDED" if done < 1 / 3 else "QUEUED" if done < 2 / 3 else "IN PROGRESS"


def _not_found() -> CrmError:
    return CrmError(
        404, "RESOURCE_NOT_FOUND", "the requested resource does not exist", {"resource": "job_id"}
    )


def _zipped(job: BulkJob) -> bytes:
    table = io.StringIO()
    writer = csv.writer(table)
    writer.writerow(job.fields)
    writer.writerows([_cell(record.get(name)) for name in job.fields] for record in job.rows)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(f"{job.id}.csv", table.getvalue())
    return archive.getvalue()


def _cell(value: Any) -> str:
    """A lookup is its id; what else is structured, JSON text."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict) and "id" in value:
        return str(value["id"])
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else str(value)


def _instant(call: Call, at: float) -> str:
    return datetime.fromtimestamp(at, call.organization.timezone).isoformat(timespec="seconds")
