"""What Platform's explore shows of Zoho CRM: tables and columns, shared by everything that reads through the
same base connection (platform.md 5).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from crmflow.aep.models import Column, Table
from crmflow.reconcile.ports import Clock, Platform
from crmflow.reconcile.shared import Shared


class Explored:
    """The latest answers of each base connection. All may raise RemoteError."""

    def __init__(self, clock: Clock) -> None:
        self._tables: Shared[Sequence[Table]] = Shared(clock)
        self._columns: Shared[Sequence[Column]] = Shared(clock)

    async def tables(self, platform: Platform, connection_id: str, *, fresh: bool = False) -> Sequence[Table]:
        """The tables of Zoho CRM."""
        return await self._tables.get(connection_id, partial(platform.tables, connection_id), fresh=fresh)

    async def table(self, platform: Platform, connection_id: str, name: str) -> Table | None:
        """The table of that name or path; one that is missing may be newer than the last answer."""
        for fresh in (False, True):
            for table in await self.tables(platform, connection_id, fresh=fresh):
                if name in (table.name, table.path):
                    return table
        return None

    async def columns(
        self, platform: Platform, connection_id: str, table: Table, *, fresh: bool
    ) -> Sequence[Column]:
        """The columns of a table."""
        ask = partial(platform.columns, connection_id, table.path)
        return await self._columns.get((connection_id, table.path), ask, fresh=fresh)
