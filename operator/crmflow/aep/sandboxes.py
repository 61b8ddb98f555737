"""Sandbox management (platform.md 13)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from crmflow.aep import fields
from crmflow.aep.collection import Collection, Query, Raw, Selection, Verb
from crmflow.aep.models import Sandbox
from crmflow.http.client import Answer
from crmflow.observability.redaction import sanitize

_WORD = 64


@dataclass(frozen=True, eq=False, repr=False)
class _Sandboxes(Collection[Sandbox, Sandbox]):
    service: ClassVar[str] = "Sandboxes"
    base_path: ClassVar[str] = "/data/foundation/sandbox-management"

    @property
    def path(self) -> str:
        """The listing is the service's root."""
        return f"{self.base_path}/"

    def queries(self, selection: Selection) -> Iterable[Query]:
        if selection is not None:
            raise self.selection_error(selection)
        return [Query()]

    def page(self, answer: Answer) -> tuple[Raw, ...]:
        body = answer.json()
        if not isinstance(body, dict) or "sandboxes" not in body:
            raise answer.unreadable("no sandboxes")
        return fields.objects(body["sandboxes"])


def _sandbox(raw: Raw) -> Sandbox:
    return Sandbox(
        name=fields.text(raw, "name"),
        state=sanitize(fields.text(raw, "state"), _WORD),
        type=fields.text(raw, "type"),
        region=sanitize(fields.text(raw, "region"), _WORD),
        modified_at=fields.instant(fields.text(raw, "lastModifiedDate")),
    )


SANDBOXES = _Sandboxes("sandboxes", _sandbox, _sandbox, frozenset({Verb.LIST}))
"""The sandboxes that the credential's role contains."""
