"""Catalog: datasets (platform.md 9)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from crmflow.aep import fields
from crmflow.aep.collection import Collection, Named, Query, Raw, Selection, Verb
from crmflow.aep.models import Created, DataSet
from crmflow.http.client import Answer

_LISTED_AT_MOST = "100"
"""As many as Catalog gives (platform.md 15)."""


@dataclass(frozen=True, eq=False, repr=False)
class _DataSets(Collection[DataSet, DataSet]):
    """Catalog answers with a map of ids."""

    service: ClassVar[str] = "Catalog"
    base_path: ClassVar[str] = "/data/foundation/catalog"

    def queries(self, selection: Selection) -> Iterable[Query]:
        if not isinstance(selection, Named):
            raise self.selection_error(selection)
        return [Query([("name", selection.name), ("limit", _LISTED_AT_MOST), ("start", "0")])]

    def page(self, answer: Answer) -> list[Raw]:
        body = answer.json()
        if not isinstance(body, dict):
            raise answer.unreadable("no listing")
        return [{**fields.obj(body, dataset_id), "id": dataset_id} for dataset_id in body]

    def found(self, answer: Answer, object_id: str) -> Raw | None:
        raw = fields.obj(answer.json(), object_id)
        return {**raw, "id": object_id} if raw else None

    def created(self, answer: Answer, known_id: str = "") -> Created:
        references = fields.texts(answer.json())
        dataset_id = references[0].rpartition("/")[2] if references else ""
        if not dataset_id:
            raise answer.unreadable("no id")
        return Created(dataset_id)


def _dataset(raw: Raw) -> DataSet:
    schema_ref = fields.obj(raw, "schemaRef")
    # Written with and without a space (platform.md 16.1).
    written = fields.texts(fields.obj(raw, "tags").get("unifiedProfile"))
    tags = {tag.replace(" ", "").lower() for tag in written}
    return DataSet(
        id=fields.text(raw, "id"),
        name=fields.text(raw, "name"),
        schema_id=fields.text(schema_ref, "id"),
        content_type=fields.text(schema_ref, "contentType"),
        profile_enabled="enabled:true" in tags,
        upserts="isupsert:true" in tags,
    )


DATA_SETS = _DataSets("dataSets", _dataset, _dataset, frozenset({Verb.LIST, Verb.GET, Verb.CREATE}))
"""Datasets, which the operator reads and creates, and never changes. One that has expired is not found."""
