"""A CRM API with one module, as a transfer uses it (landing-zone.md F, K.7)."""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from collections.abc import Callable
from datetime import datetime
from typing import Any

import httpx

Record = dict[str, Any]
PART = 3
"""Rows of one bulk read job."""


class FakeZoho:
    """``before`` is called with each request's operation, and may answer in its place."""

    def __init__(self, columns: list[str], records: list[Record]) -> None:
        self.columns = columns
        self.records = records
        self.deleted: list[tuple[str, str]] = []
        """Ids and times."""
        self.tokens = {"token-1"}
        self.calls: list[str] = []
        self.before: Callable[[str], httpx.Response | None] = lambda _: None
        self.header = list(columns)
        self._jobs: dict[str, tuple[list[Record], int]] = {}

    def __call__(self, request: httpx.Request) -> httpx.Response:
        operation, answer = self._route(request)
        self.calls.append(operation)
        if request.headers["authorization"].removeprefix("Zoho-oauthtoken ") not in self.tokens:
            return refusal(401, "INVALID_TOKEN")
        return self.before(operation) or answer()

    def _route(self, request: httpx.Request) -> tuple[str, Callable[[], httpx.Response]]:
        path, body = request.url.path, json.loads(request.content or b"null")
        if path.endswith("/deleted"):
            return "deleted", self._deleted
        if path.endswith("/coql"):
            query = body["select_query"]
            return (
                ("count", lambda: self._count(query))
                if "COUNT" in query
                else ("page", lambda: self._page(query))
            )
        if path.endswith("/read"):
            return "create", lambda: self._create(body["query"])
        if path.endswith("/result"):
            return "result", lambda: self._result(path.split("/")[-2])
        return "job", lambda: self._job(path.split("/")[-1])

    def _create(self, query: dict[str, Any]) -> httpx.Response:
        if token := query.get("page_token"):
            rows, begin = self._jobs[token][0], self._jobs[token][1] + PART
        else:
            low, high = (one["value"] for one in query["criteria"]["group"])
            rows, begin = (
                [one for one in reversed(self.records) if _at(low) <= _at(one["Modified_Time"]) < _at(high)],
                0,
            )
        self._jobs[job := str(len(self._jobs) + 1)] = (rows, begin)
        return httpx.Response(201, json={"data": [{"details": {"id": job}}]})

    def _job(self, job: str) -> httpx.Response:
        rows, begin = self._jobs[job]
        more = begin + PART < len(rows)
        result = {
            "count": len(rows[begin : begin + PART]),
            "more_records": more,
            "next_page_token": job if more else None,
        }
        return httpx.Response(200, json={"data": [{"state": "COMPLETED", "result": result}]})

    def _result(self, job: str) -> httpx.Response:
        rows, begin = self._jobs[job]
        table = io.StringIO()
        writer = csv.writer(table)
        writer.writerow(self.header)
        for row in rows[begin : begin + PART]:
            writer.writerow([_bulk(row.get({"Id": "id"}.get(name, name))) for name in self.header])
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
            file.writestr(f"{job}.csv", table.getvalue())
        return httpx.Response(200, content=archive.getvalue())

    def _in(self, query: str) -> list[Record]:
        low, high = re.findall(r"Modified_Time (?:>=|<) '([^']+)'", query)[:2]
        rows = [one for one in self.records if _at(low) <= _at(one["Modified_Time"]) < _at(high)]
        return sorted(rows, key=lambda one: (_at(one["Modified_Time"]), int(one["id"])))

    def _count(self, query: str) -> httpx.Response:
        return httpx.Response(200, json={"data": [{"COUNT(id)": len(self._in(query))}]})

    def _page(self, query: str) -> httpx.Response:
        names = query.removeprefix("select ").partition(" from ")[0].split(",")
        rows = self._in(query)
        if place := re.search(r"\(Modified_Time = '([^']+)' and id > (\d+)\)", query):
            after = (_at(place[1]), int(place[2]))
            rows = [one for one in rows if (_at(one["Modified_Time"]), int(one["id"])) > after]
        rows = rows[:PART]
        if not rows:
            return httpx.Response(204)
        return httpx.Response(200, json={"data": [{name: one.get(name) for name in names} for one in rows]})

    def _deleted(self) -> httpx.Response:
        if not self.deleted:
            return httpx.Response(204)
        shown = [{"id": one, "deleted_time": at} for one, at in self.deleted]
        return httpx.Response(200, json={"data": shown, "info": {"more_records": False}})


def refusal(status: int, code: str, **details: Any) -> httpx.Response:
    """An error as Zoho words it."""
    return httpx.Response(status, json={"code": code, "details": details, "message": "…", "status": "error"})


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _bulk(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return str(value["id"])
    return ";".join(value) if isinstance(value, list) else str(value)
