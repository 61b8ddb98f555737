"""A declaration with changes."""

from __future__ import annotations

import json
from typing import Any

from crmflow.transfer.declaration import Declaration

COLUMNS = ["id", "Email", "Owner", "Note", "Modified_Time"]


def declaration(**changes: Any) -> str:
    """As the operator writes it into a Job."""
    given = {
        "formVersion": 1,
        "zohoApiUrl": "https://www.zohoapis.eu",
        "module": "Leads",
        "columns": COLUMNS,
        "dateTimes": ["Modified_Time"],
        "window": {"begin": "2026-11-04T10:00:00Z", "end": "2026-11-04T11:00:00Z"},
        "extraction": 1,
        "attempt": 2,
        "folder": "crmflow/prod/team/leads/1-abcd",
        "way": "Bulk",
        **changes,
    }
    return json.dumps(given)


def declared(**changes: Any) -> Declaration:
    """As the transfer reads it; names as in Python."""
    camel = {"date_times": "dateTimes", "deleted_records": "deletedRecords"}
    return Declaration.model_validate_json(
        declaration(**{camel.get(name, name): value for name, value in changes.items()})
    )
