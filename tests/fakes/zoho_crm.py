"""The CRM API of one organization in memory, as far as the operator itself asks it: modules, fields, how many
rows a window has, and what was deleted.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

import httpx
from pydantic import SecretStr

from crmflow.clock import Clock
from crmflow.http.client import HttpClient
from crmflow.zoho.api import CrmApi, Spend, uncounted
from tests.fakes.failing import Failing, Timeline

URL = "https://www.zohoapis.example"
_COUNT = re.compile(
    r"select COUNT\(id\) from (?P<module>\w+) "
    r"where \((?P<cursor>\w+) >= '(?P<begin>[^']+)' and (?P=cursor) < '(?P<end>[^']+)'\)"
)


class FakeCrm(Failing):
    """Its calls bear the names of operations: ``modules``, ``fields``, ``coqlCount``, ``deletedRecords``."""

    def __init__(self, timeline: Timeline) -> None:
        super().__init__(timeline)
        self.modules = ["Contacts", "Leads"]
        """Each has the same fields."""
        self.fields: list[dict[str, Any]] = [
            {"api_name": "Email", "data_type": "email"},
            {"api_name": "First_Name", "data_type": "text"},
            {"api_name": "Owner", "data_type": "ownerlookup"},
            {"api_name": "Modified_Time", "data_type": "datetime"},
            {"api_name": "Created_Time", "data_type": "datetime"},
            {"api_name": "Birthday", "data_type": "date"},
            {"api_name": "Due", "data_type": "formula", "formula": {"return_type": "datetime"}},
            {"api_name": "Lines", "data_type": "subform"},
        ]
        self.hidden: set[str] = set()
        """Modules that are listed, and whose fields and rows are refused."""
        self.deleted: dict[str, list[datetime]] = {}
        """When records of each module were deleted, the latest last."""
        self._rows: dict[str, dict[datetime, int]] = {}

    def modify(self, module: str, at: datetime, rows: int = 1) -> None:
        """There are so many rows more that were modified at that instant, by whatever cursor."""
        modified = self._rows.setdefault(module, {})
        modified[at] = modified.get(at, 0) + rows

    def api(self, token: SecretStr = SecretStr("1000.aa.bb"), spend: Spend = uncounted) -> CrmApi:  # noqa: B008
        """What asks it; each token is accepted."""
        return CrmApi(HttpClient(httpx.MockTransport(self._answer), Clock()), URL, token, spend=spend)

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        operation, perform = self._route(request)
        return await self.run(operation, (), perform)

    def _route(self, request: httpx.Request) -> tuple[str, Callable[[], Awaitable[httpx.Response]]]:
        match request.url.path.removeprefix("/crm/v8/"):
            case "settings/modules":
                return "modules", self._modules
            case "settings/fields":
                return "fields", lambda: self._fields(request.url.params["module"])
            case "coql" if found := _COUNT.fullmatch(json.loads(request.content)["select_query"]):
                return "coqlCount", lambda: self._count(found)
            case path if path.endswith("/deleted"):
                since = datetime.fromisoformat(request.headers["if-modified-since"])
                return "deletedRecords", lambda: self._deleted(path.partition("/")[0], since)
        raise NotImplementedError(f"{request.method} {request.url}")

    async def _modules(self) -> httpx.Response:
        shown = [{"api_name": name, "api_supported": True, "status": "visible"} for name in self.modules]
        return httpx.Response(200, json={"modules": [*shown, {"api_name": "Notes", "api_supported": True}]})

    async def _fields(self, module: str) -> httpx.Response:
        return self._refusal(module, "INVALID_MODULE") or httpx.Response(200, json={"fields": self.fields})

    async def _count(self, query: re.Match[str]) -> httpx.Response:
        begin, end = datetime.fromisoformat(query["begin"]), datetime.fromisoformat(query["end"])
        rows = self._rows.get(query["module"], {}).items()
        count = sum(number for at, number in rows if begin <= at < end)
        return self._refusal(query["module"], "INVALID_QUERY", module=query["module"]) or httpx.Response(
            200, json={"data": [{"COUNT(id)": count}]}
        )

    async def _deleted(self, module: str, since: datetime) -> httpx.Response:
        """On one page, whatever its size."""
        times = enumerate(self.deleted.get(module, []), start=1)
        found = [{"id": str(n), "deleted_time": at.isoformat()} for n, at in times if at >= since]
        if not found:
            return self._refusal(module, "INVALID_MODULE") or httpx.Response(204)
        return httpx.Response(200, json={"data": found[::-1], "info": {"more_records": False}})

    def _refusal(self, module: str, code: str, /, **details: str) -> httpx.Response | None:
        if module in self.modules and module not in self.hidden:
            return None
        return httpx.Response(400, json={"code": code, "details": details, "message": "…", "status": "error"})
