"""What is known of a file wherever it is found: with the blob, since whoever wrote it may be gone."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from crmflow.transfer.declaration import Declaration, Instant

Count = Annotated[int, Field(ge=0)]


class FileMetadata(BaseModel):
    """Metadata of a blob; its names have neither case nor underscores there (landing-zone.md K.2)."""

    model_config = ConfigDict(
        frozen=True,
        alias_generator=lambda name: name.replace("_", ""),
        populate_by_name=True,
        use_attribute_docstrings=True,
    )

    form_version: Literal["1"] = "1"
    """The declaration's; a later one has to read this one too."""
    window_begin: Instant
    window_end: Instant
    extraction: Count
    attempt: Count
    rows: Count
    """Rows of living records."""
    deleted: Count
    """Rows that mark a deletion."""
    bytes: Count
    count_before: Count
    """``COUNT(id)`` of the window before the first row was read, and after the last one."""
    count_after: Count

    @classmethod
    def of(cls, found: Mapping[str, str]) -> Self | None:
        """What ``found`` says; None if no transfer wrote it."""
        try:
            return cls.model_validate(found)
        except ValidationError:
            return None

    def headers(self) -> dict[str, str]:
        """As it is written."""
        values = self.model_dump(by_alias=True)
        return {
            name: value.isoformat() if isinstance(value, datetime) else str(value)
            for name, value in values.items()
        }

    def is_of(self, declaration: Declaration) -> bool:
        """Whether it is this extraction of this window, by whichever attempt."""
        declared = (declaration.window.begin, declaration.window.end, declaration.extraction)
        return (self.window_begin, self.window_end, self.extraction) == declared
