"""What a transfer is told to do. The operator writes it into the Job's arguments, which may be those of the
version before: so it has a form version. It holds no secret.
"""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

FORM_VERSION = 1
DELETED_COLUMN = "crmflow_deleted"
"""``true`` in the row of a deleted record, ``false`` in every other, where deletions are marked."""

_SEGMENT = r"[A-Za-z0-9_-][A-Za-z0-9._-]*"
_API_NAME = r"^[A-Za-z][A-Za-z0-9_]*$"
ApiName = Annotated[str, Field(pattern=_API_NAME, max_length=100)]


def _utc(value: datetime) -> datetime:
    if value.microsecond:
        raise ValueError("must be in whole seconds, which is what Zoho counts in")
    return value.astimezone(UTC)


Instant = Annotated[AwareDatetime, AfterValidator(_utc)]


class Way(StrEnum):
    """How the rows are read."""

    BULK = "Bulk"
    """By Bulk Read, in parts of 200,000 rows; 200 columns at the most, COQL takes its place beyond."""
    COQL = "COQL"
    """Page by page."""


class DeletedRows(StrEnum):
    """What becomes of records that were deleted in the window."""

    IGNORE = "Ignore"
    MARK = "Mark"
    """Each has a row with its id, marked in the column ``crmflow_deleted``."""


class Form(BaseModel):
    """JSON between operator and transfer, in camel case."""

    model_config = ConfigDict(
        frozen=True, alias_generator=to_camel, populate_by_name=True, use_attribute_docstrings=True
    )


class Window(Form):
    """Rows whose cursor lies in [begin, end)."""

    begin: Instant
    end: Instant

    @model_validator(mode="after")
    def _has_a_length(self) -> Self:
        if self.begin >= self.end:
            raise ValueError("must end after it begins")
        return self


class Declaration(Form):
    """One window of one module, for one file."""

    model_config = ConfigDict(extra="forbid")

    form_version: Literal[1]
    zoho_api_url: Annotated[str, Field(pattern=r"^https?://[^\s?#@]+$")]
    """Base of the organization's CRM API (zoho.md 2)."""
    module: ApiName
    columns: Annotated[tuple[ApiName, ...], Field(min_length=1, max_length=1000)]
    """The file's header, in this order."""
    date_times: tuple[ApiName, ...] = ()
    """Those of ``columns`` that hold an instant."""
    cursor: ApiName = "Modified_Time"
    """The date-time field that the window is about."""
    window: Window
    extraction: Annotated[int, Field(ge=0, lt=10**6)]
    """The n-th extraction of the window: part of the file's name."""
    attempt: Annotated[int, Field(ge=0, lt=10**6)]
    """The n-th Job of the extraction: part of the ids of its blocks and of nothing else."""
    folder: Annotated[str, Field(pattern=rf"^{_SEGMENT}(/{_SEGMENT})*$", max_length=900)]
    """Below the container that the SAS URI names."""
    way: Way
    deleted_records: DeletedRows = DeletedRows.IGNORE

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if len(set(self.columns)) != len(self.columns):
            raise ValueError("columns must differ")
        if unknown := set(self.date_times) - set(self.columns):
            raise ValueError(f"dateTimes has no column {min(unknown)}")
        if self.deleted_records is DeletedRows.MARK and "id" not in self.columns:
            raise ValueError("deletedRecords: Mark needs the column id")
        if DELETED_COLUMN in self.columns:
            raise ValueError(f"{DELETED_COLUMN} is written where deletions are marked, and is no column")
        return self

    @property
    def marks_deletions(self) -> bool:
        """Whether the file has the column ``crmflow_deleted``."""
        return self.deleted_records is DeletedRows.MARK

    @property
    def file(self) -> str:
        """Path of the blob below the container: the same for every attempt (landing-zone.md K.6)."""
        return f"{self.folder}/{file_name(self.window, self.extraction)}"


def file_name(window: Window, extraction: int) -> str:
    """A file within its folder. The landing zone takes no colons (landing-zone.md E.4)."""
    begin, end = (f"{when:%Y%m%dT%H%M%SZ}" for when in (window.begin, window.end))
    return f"{begin}-{end}-{extraction}.csv"
