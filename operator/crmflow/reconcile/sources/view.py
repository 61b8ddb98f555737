"""What Platform's explore shows of one table of Zoho CRM (platform.md 5), and what is said where that is not
enough for a dataflow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from crmflow.aep.models import Column, Table
from crmflow.http.errors import RemoteError
from crmflow.reconcile.sources.causes import quoted
from crmflow.sentences import naming, some

_NO_TABLES = (
    "It sees no table at all: give the profile of the user who consented the permission to view the "
    "modules, or authorize the connection as another user."
)
_NO_FIELDS = (
    "Platform shows no column of it at all: give the profile of the user who consented the field-level "
    "permission to read the module's fields, or authorize the connection as another user."
)
_DATES = "It has the date-time columns {}. Name one of them in deltaColumn."
_NO_DATES = (
    "Platform shows no date-time column of it, and without one a dataflow can't recur. To read the table "
    "once, set schedule.frequency to Once, and remove deltaColumn, schedule.interval and schedule.backfill. "
    "To read it again and again, add a date-time field to the module in Zoho CRM and name it in deltaColumn. "
    "If the module has one, such as Modified_Time, give the profile of the user who consented the "
    "field-level permission to read it."
)
"""The ways out for a module that has no date-time column, or shows none to the grant (platform.md 6.1: 1367,
1369)."""


@dataclass(frozen=True)
class SourceView:
    """What the source shows of a table."""

    name: str
    """As the spec has it."""
    table: Table | None
    """None if there is none of that name."""
    tables: Sequence[Table] = ()
    columns: Mapping[str, Column] = field(default_factory=dict)
    refusal: RemoteError | None = None
    """Why the columns of the table, or the tables, can't be read though the base connection is there."""

    @property
    def not_delivered(self) -> Sequence[str]:
        """The fields of the table that nothing delivers."""
        return ()

    def untracked(self, columns: Sequence[str]) -> Sequence[str]:
        """Those of ``columns`` whose changes do not make a record count as changed."""
        return ()

    @property
    def lacks_columns(self) -> str:
        """The reason for columns that a flow can't have."""
        return "ColumnNotFound"

    def is_date(self, column: str) -> bool:
        """Whether the column can be a delta column."""
        return column in self._dates

    @property
    def no_table(self) -> str:
        """That there is no such table, and which there are."""
        names = [table.name for table in self.tables]
        others = naming("Tables go by the API names of modules; there are {}.", names, none=_NO_TABLES)
        return f'Platform sees no table "{self.name}" in Zoho CRM. {others}'

    def not_readable(self, refusal: RemoteError, connection: str, connection_id: str) -> str:
        """That the table was refused, or all of them; ``connection`` is the resource of the base
        connection.
        """
        if self.table is None:
            return (
                f"Platform does not list the tables of base connection {connection_id}, which exists: "
                f'{quoted(refusal)} The condition Tested of ZohoSourceConnection "{connection}" tells more.'
            )
        return (
            f'Platform lists table "{self.name}" and does not read it: {quoted(refusal)} Base connection '
            f"{connection_id} works: the table alone is refused. Look in Zoho whether the profile of the "
            "grant's user may see the module and its fields, or choose another table. If the profile may see "
            "them, ask Adobe."
        )

    def no_columns(self, missing: Sequence[str], delta: str | None) -> str:
        """That the table has not all columns, and which it has. ``delta``: the delta column."""
        has = naming("It has {}.", self.columns, none=_NO_FIELDS)
        ways_out = f" {_NO_DATES}" if delta in missing and self.columns and not self._dates else ""
        return f'Table "{self.name}" has no column {some(missing)}. {has}{ways_out}'

    def no_delta(self, column: str) -> str:
        """That the column can't tell changed records, and which can."""
        others = naming(_DATES, self._dates, none=_NO_DATES)
        if column not in self.columns:
            return f'Table "{self.name}" has no column "{column}" to tell changed records by. {others}'
        return (
            f'Column "{column}" of table "{self.name}" holds no date and time, so it can\'t tell changed '
            f"records. {others}"
        )

    def vanished(self, columns: Sequence[str]) -> str:
        """That ``columns`` of a flow that exists are gone, or the table."""
        what = f"columns {some(columns, 40)} of table" if self.table else "table"
        return (
            f'Platform no longer sees the {what} "{self.name}", which the flow reads. Restore them in Zoho '
            "CRM, or give the user of the grant access to them again; else delete the resource and create it "
            "anew without them."
        )

    @property
    def _dates(self) -> list[str]:
        return [column.name for column in self.columns.values() if column.is_date]
