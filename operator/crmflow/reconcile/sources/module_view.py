"""What Zoho CRM itself shows of one module (zoho.md 3.4, 3.5), and what is said where that is not enough for
a dataflow whose records we read ourselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from crmflow.aep.models import Column
from crmflow.http.errors import RemoteError
from crmflow.reconcile.sources.causes import quoted
from crmflow.reconcile.sources.view import SourceView
from crmflow.sentences import naming, some
from crmflow.zoho.tables import Delivery, Field, unreadable

_NO_MODULES = (
    "It shows none at all: give the profile of the user who consented the permission to view the modules, or "
    "authorize the connection as another user."
)
_NO_FIELDS = (
    "Zoho shows no field of it at all: give the profile of the user who consented the field-level permission "
    "to read the module's fields, or authorize the connection as another user."
)
_CURSORS = "It has the date-time columns {}. Name one of them in deltaColumn."
_NO_CURSORS = (
    "Zoho shows no date-time column of it, and without one a dataflow can't recur. To read the module once, "
    "set schedule.frequency to Once, and remove deltaColumn, schedule.interval and schedule.backfill. If the "
    "module has one, such as Modified_Time, give the profile of the user who consented the field-level "
    "permission to read it."
)


@dataclass(frozen=True)
class ModuleView(SourceView):
    """A :class:`SourceView` whose table is a module, and whose columns are the fields that are delivered."""

    fields: Sequence[Field] = ()
    """Those that are not delivered, too."""

    @property
    def not_delivered(self) -> list[str]:
        """The fields that no file can have."""
        return [field.api_name for field in self.fields if field.delivery is Delivery.NOT_DELIVERED]

    @property
    def lacks_columns(self) -> str:
        return "ColumnNotReadable"

    def untracked(self, columns: Sequence[str]) -> list[str]:
        """Formulas, whose changes do not move ``Modified_Time`` (landing-zone.md F.2)."""
        return [field.api_name for field in self.fields if field.is_formula and field.api_name in columns]

    @property
    def no_table(self) -> str:
        names = [table.name for table in self.tables]
        others = naming("There are {}.", names, none=_NO_MODULES)
        return f'Zoho CRM shows no module "{self.name}" whose records its API delivers. {others}'

    def not_readable(self, refusal: RemoteError, connection: str, connection_id: str) -> str:
        """That Zoho refuses the module; there is no base connection that could be the cause."""
        return (
            f'Zoho CRM lists module "{self.name}" and does not show its fields: {quoted(refusal)} Look in '
            "Zoho whether the profile of the grant's user may see the module and its fields, choose another "
            f'module, or authorize ZohoSourceConnection "{connection}" as another user.'
        )

    def no_columns(self, missing: Sequence[str], delta: str | None) -> str:
        if not self.fields:
            return f'Module "{self.name}" has no column {some(missing)}. {_NO_FIELDS}'
        advice = "; ".join(f'"{one.name}": {one.advice}' for one in unreadable(missing, self.fields))
        ways_out = f" {_NO_CURSORS}" if delta in missing and not self._dates else ""
        return f'Columns of module "{self.name}" can\'t be read: {advice}.{ways_out}'

    def no_delta(self, column: str) -> str:
        others = naming(_CURSORS, self._dates, none=_NO_CURSORS)
        if column not in self.columns:
            return f'Module "{self.name}" has no column "{column}" to tell changed records by. {others}'
        return (
            f'Column "{column}" of module "{self.name}" holds no date and time that Zoho stores, so it '
            f"can't tell changed records. {others}"
        )

    def vanished(self, columns: Sequence[str]) -> str:
        what = f"columns {some(columns, 40)} of module" if self.table else "module"
        return (
            f'Zoho CRM no longer shows the {what} "{self.name}", which the dataflow reads. Restore them, or '
            "give the user of the grant access to them again; else delete the resource and create it anew "
            "without them."
        )


def columns_of(fields: Sequence[Field]) -> dict[str, Column]:
    """The columns that a file can have. Only a date-time that Zoho stores tells changed records: a formula's
    value moves by itself.
    """
    return {
        field.api_name: _column(field) for field in fields if field.delivery is not Delivery.NOT_DELIVERED
    }


def _column(field: Field) -> Column:
    kind = field.data_type.lower()
    is_instant = field.delivery is Delivery.DATE_TIME
    return Column(
        name=field.api_name,
        type=kind,
        is_date=is_instant and not field.is_formula,
        raw={"name": field.api_name, "type": "string"},  # as explore shows a column of a delimited file
        format="date-time" if is_instant else "date" if kind == "date" else "",
    )
