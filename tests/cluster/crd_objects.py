"""One valid resource per kind with every field set, and edits of it."""

from __future__ import annotations

import copy
from typing import Any

from crmflow.api.kinds import API_VERSION, CRM_DATAFLOW, CRM_DATAFLOW_RUN, ZOHO_SOURCE_CONNECTION, Kind

Resource = dict[str, Any]
Edit = tuple[str, Any]
"""A path, such as ``spec.mapping[0].target``, and the value that it gets."""

REMOVED = object()
"""As the value of an edit: take the field away."""

CONDITION = {
    "type": "Ready",
    "status": "True",
    "observedGeneration": 1,
    "lastTransitionTime": "2026-01-31T08:00:00Z",
    "reason": "Succeeded",
    "message": "All is well.",
}
INTENT = {"slot": "flow", "name": "crm-demo.contacts [crmflow:i:h]", "time": "2026-01-31T08:00:00Z"}

FLOW_RECORD: dict[str, Any] = {
    "flow": {"id": "f1", "state": "enabled", "stateSince": "2026-01-31T08:00:00Z"},
    "sourceConnectionId": "s1",
    "targetConnectionId": "t1",
    "mappingSet": {"id": "m1", "version": 0, "contentHash": "0a1b2c3d"},
    "schema": {
        "id": "https://ns.adobe.com/acme/schemas/0f1e2d",
        "title": "Contacts",
        "version": "application/vnd.adobe.xed-full+json;version=1",
    },
    "dataset": {"id": "6889f4f89b982b2b90bc1207", "name": "Contacts", "profileEnabled": True},
    "source": {
        "baseConnectionId": "5f2e7a6c",
        "connection": "zoho-eu",
        "table": "Contacts",
        "deltaColumn": "Modified_Time",
        "deletedRecords": "Mark",
    },
    "transport": "LandingZone",
    "landingZone": {"path": "dlz-user-container/crmflow/eu/crm/contacts/0-0a1b2c3d"},
    "extraction": {
        "cursor": "2026-01-31T08:55:00Z",
        "cursorSetTime": "2026-01-31T08:57:00Z",
        "fullReadTime": "2026-01-25T08:55:00Z",
        "appliedCursor": "backfill",
        "lastWindow": {
            "start": "2026-01-31T07:55:00Z",
            "end": "2026-01-31T08:55:00Z",
            "rows": 95,
            "deleted": 5,
            "completionTime": "2026-01-31T08:58:00Z",
        },
    },
    "pendingWindows": [
        {
            "start": "2026-01-31T07:55:00Z",
            "end": "2026-01-31T08:55:00Z",
            "tick": "2026-01-31T09:00:00Z",
            "expectedRows": 95,
            "firstExtraction": 0,
            "extraction": 1,
            "attempt": 2,
            "started": True,
            "retryTime": "2026-01-31T08:59:00Z",
            "exitCode": 10,
            "file": {
                "completionTime": "2026-01-31T08:58:00Z",
                "rows": 95,
                "deleted": 5,
                "bytes": 12_000,
                "countBefore": 95,
                "countAfter": 95,
            },
            "retriedRun": "r1",
            "retries": 1,
            "retryRequestTime": "2026-01-31T10:00:00Z",
        }
    ],
    "undeliveredColumns": ["Record_Image"],
    "columns": ["id", "Email", "First_Name", "Last_Name", "Modified_Time"],
    "schedule": {
        "startTime": "2026-01-31T08:00:00Z",
        "backfill": True,
        "effectiveStartTime": "2026-01-31T09:00:00Z",
        "readsOn": True,
    },
    "lastRun": {
        "id": "r1",
        "state": "partialSuccess",
        "startTime": "2026-01-31T09:00:00Z",
        "completionTime": "2026-01-31T09:05:00Z",
        "records": {"read": 100, "written": 95, "skipped": 1, "failed": 4},
        "bytes": {"read": 12_000_000_000, "written": 11_000_000_000},
        "errors": [{"code": "INGEST-1212-400", "message": "Not a date.", "records": 4}],
    },
    "recentRuns": [
        {
            "id": "r1",
            "state": "partialSuccess",
            "window": {"start": "2026-01-31T08:00:00Z", "end": "2026-01-31T09:00:00Z"},
            "startTime": "2026-01-31T09:00:00Z",
            "completionTime": "2026-01-31T09:05:00Z",
            "records": {"read": 100, "written": 95, "skipped": 1, "failed": 4},
            "bytes": {"read": 12_000_000_000, "written": 11_000_000_000},
            "files": 1,
            "cause": "INGEST-1212-400: Not a date.",
            "requestedBy": "contacts-november",
            "retryOf": "r0",
        }
    ],
    "runRetries": [
        {
            "run": "r0",
            "state": "Due",
            "retries": 1,
            "requestTime": "2026-01-31T09:10:00Z",
            "retryTime": "2026-01-31T10:00:00Z",
            "runs": ["r1"],
            "cause": "The flow is not enabled.",
        }
    ],
    "ingested": {"until": "2026-01-31T08:55:00Z", "lastSuccessTime": "2026-01-31T09:05:00Z"},
    "gap": {
        "noticedTime": "2026-01-31T10:00:00Z",
        "since": "2026-01-31T09:00:00Z",
        "until": "2026-01-31T11:00:00Z",
    },
    "slotRevision": 1,
}
"""All that status records of a flow."""

OF_A_DATAFLOW = ("lastRun", "recentRuns", "runRetries", "ingested", "gap")
"""What of it a run does not have."""

MAXIMAL: dict[str, Resource] = {
    ZOHO_SOURCE_CONNECTION.kind: {
        "spec": {
            "displayName": "Zoho CRM, Europe",
            "description": "Sales organization",
            "zoho": {
                "dataCenter": "EU",
                "environment": "Production",
                "credentialsSecretRef": {"name": "zoho-oauth"},
                "scopes": ["ZohoCRM.modules.READ", "ZohoCRM.settings.READ"],
            },
            "platform": {
                "organization": "1A2B3C4D5E6F7A8B9C0D1E2F@AdobeOrg",
                "sandbox": "prod",
                "credentialsSecretRef": {"name": "adobe-platform"},
                "authParams": {"usePeerVerification": "true", "endpoint": "crm.zoho.eu/crm/private"},
            },
            "transport": "PlatformSource",
            "connectionId": "5f2e7a6c-0b1d-4c3e-8a9f-1b2c3d4e5f60",
            "tokenPush": "OnRefresh",
            "resyncInterval": "1h30m",
            "paused": True,
            "managementPolicy": "Observe",
            "deletionPolicy": "Orphan",
        },
        "status": {
            "observedGeneration": 1,
            "conditions": [CONDITION],
            "baseConnection": {"id": "5f2e7a6c", "state": "enabled"},
            "adopted": True,
            "deletionPolicy": "Orphan",
            "zohoOrganization": {
                "id": "12345",
                "name": "Acme",
                "type": "production",
                "edition": "enterprise",
                "timeZone": "Europe/Berlin",
            },
            "token": {"secretHash": "0a1b2c3d", "shownHash": "4e5f6a7b"},
            "ipAllowList": {"region": "VA7", "ranges": ["20.42.2.0/23", "20.42.4.0/26"]},
            "testFailures": 1,
            "nextTestTime": "2026-01-01T00:02:30Z",
            "transport": "PlatformSource",
            "landingZone": {"container": "dlz-user-container", "expiryTime": "2026-04-30T00:00:00Z"},
            "tables": 12,
            "lastDrift": {"time": "2026-01-31T10:00:00Z", "fields": ["baseConnection.name"]},
            "intents": [INTENT],
            "lastHandledReconcileAt": "2026-01-31T10:00:00Z",
            "servedBy": "crmflow-system/crmflow",
        },
    },
    CRM_DATAFLOW.kind: {
        "spec": {
            "displayName": "Contacts",
            "description": "Contacts of the sales organization",
            "connectionRef": {"name": "zoho-eu"},
            "source": {"table": "Contacts", "columns": ["id", "Email", "First_Name", "Last_Name"]},
            "target": {
                "schema": {
                    "title": "Contacts",
                    "create": {
                        "class": "https://ns.adobe.com/xdm/context/profile",
                        "fieldGroups": ["https://ns.adobe.com/xdm/context/profile-person-details"],
                        "primaryIdentity": {"path": "personalEmail.address", "namespace": "Email"},
                        "enableForProfileIrreversibly": True,
                    },
                },
                "dataset": {
                    "name": "Contacts",
                    "create": {"profile": True, "upsert": True, "errorDiagnostics": True},
                },
            },
            "mapping": [
                {"target": "personalEmail.address", "source": "Email"},
                {"target": "person.name.fullName", "expression": 'concat(First_Name," ",Last_Name)'},
                {"target": "_acme.origin", "value": "zoho"},
            ],
            "deltaColumn": {"name": "Modified_Time"},
            "schedule": {
                "frequency": "Hour",
                "interval": 1,
                "startTime": "2026-01-31T08:00:00Z",
                "backfill": True,
            },
            "transport": "LandingZone",
            "extract": {"deletedRecords": "Mark", "fullReadEvery": "168h"},
            "ingestion": {"enabled": False, "errorDiagnostics": True, "partialIngestionPercent": 5},
            "runs": {"retryLimit": 3},
            "flowId": "0b1d4c3e-5f2e-7a6c-8a9f-1b2c3d4e5f60",
            "resyncInterval": "30m",
            "paused": True,
            "replacementPolicy": "Automatic",
            "managementPolicy": "Observe",
            "deletionPolicy": "Delete",
        },
        "status": {
            **FLOW_RECORD,
            "observedGeneration": 1,
            "conditions": [CONDITION],
            "adopted": True,
            "deletionPolicy": "Delete",
            "totals": {
                "runsSucceeded": 7,
                "runsPartiallySucceeded": 1,
                "runsFailed": 0,
                "records": {"read": 800, "written": 795, "skipped": 1, "failed": 4},
                "bytes": {"read": 96_000_000_000, "written": 88_000_000_000},
                "windows": 8,
                "windowRows": 800,
                "windowBytes": 96_000_000_000,
                "differences": 0,
                "countedUntil": "2026-01-31T10:00:00Z",
            },
            "lastDrift": {"time": "2026-01-31T10:00:00Z", "fields": ["flow"]},
            "intents": [INTENT],
            "lastHandledReconcileAt": "2026-01-31T10:00:00Z",
            "servedBy": "crmflow-system/crmflow",
            "platform": {"organization": "7C51A9F0C0FFEE0A495EF1A2@AdobeOrg", "sandbox": "prod"},
            "plan": {
                "hash": "0a1b2c3d4e5f",
                "fields": ["spec.source.table"],
                "actions": [
                    {"action": "Create", "object": "flow"},
                    {"action": "Delete", "object": "flow", "id": "f0"},
                ],
                "reads": {
                    "begin": "Predecessor",
                    "since": "2026-01-31T09:00:00Z",
                    "twice": "what changed in the period before that time",
                    "lost": "what changes until the first run of the new flow",
                },
                "state": "RolledBack",
                "budget": {
                    "profileBatchesPerDay": 24.0,
                    "zohoCredits": 130,
                    "zohoCreditsPerDay": 192,
                },
                "approved": "Annotation",
                "failure": "Platform refuses the flow.",
                "retryTime": "2026-01-31T10:10:00Z",
            },
            "predecessor": {
                **FLOW_RECORD,
                "handoverTime": "2026-01-31T11:00:00Z",
                "disabledTime": "2026-01-31T11:05:00Z",
                "irreversible": True,
            },
        },
    },
    CRM_DATAFLOW_RUN.kind: {
        "spec": {
            "dataflowRef": {"name": "contacts"},
            "window": {"start": "2026-01-30T08:00:00Z", "end": "2026-01-31T08:00:00Z"},
            "ttlSecondsAfterFinished": 3600,
        },
        "status": {
            **{name: value for name, value in FLOW_RECORD.items() if name not in OF_A_DATAFLOW},
            "observedGeneration": 1,
            "conditions": [CONDITION],
            "servedBy": "crmflow-system/crmflow",
            "dataflowUid": "0b1d4c3e-5f2e-7a6c-8a9f-1b2c3d4e5f60",
            "platform": {"organization": "7C51A9F0C0FFEE0A495EF1A2@AdobeOrg", "sandbox": "prod"},
            "window": {"start": "2026-01-30T08:00:00Z", "end": "2026-01-31T08:00:00Z"},
            "startTime": "2026-02-01T08:00:00Z",
            "completionTime": "2026-02-01T08:10:00Z",
            "files": {"count": 1, "rows": 95, "bytes": 12_000},
            "request": {
                "flowId": "f1",
                "retriedRun": "r0",
                "requestTime": "2026-02-01T08:00:00Z",
                "knownRuns": ["r0"],
            },
            "run": FLOW_RECORD["lastRun"],
            "result": {"failed": False, "reason": "Succeeded", "message": "95 records were read."},
            "intents": [INTENT],
            "lastHandledReconcileAt": "2026-01-31T10:00:00Z",
        },
    },
}
"""One valid resource per kind with every field set."""

ALTERNATIVES: dict[str, dict[str, tuple[Edit, ...]]] = {
    ZOHO_SOURCE_CONNECTION.kind: {
        "spec.transport": (
            ("spec.connectionId", REMOVED),
            ("spec.managementPolicy", "Manage"),
            ("spec.platform.authParams", REMOVED),
        ),
    },
    CRM_DATAFLOW.kind: {
        "spec.source.columns": (("spec.extract.deletedRecords", "Ignore"),),
        "spec.transport": (("spec.extract", REMOVED),),
        "spec.target.schema.id": (
            ("spec.target.schema", {"id": "https://ns.adobe.com/acme/schemas/0f1e2d"}),
            ("spec.target.dataset.create", REMOVED),
        ),
        "spec.target.dataset.id": (("spec.target.dataset", {"id": "6889f4f89b982b2b90bc1207"}),),
        "spec.mappingSetRef": (
            ("spec.mapping", REMOVED),
            ("spec.mappingSetRef", {"id": "93ddfa69c4864d978832b1e5ef6ec3b9", "version": 2}),
        ),
    },
    CRM_DATAFLOW_RUN.kind: {
        "spec.window.start": (("spec.window.end", "2999-12-31T23:59:59-12:00"),),
        "spec.window.end": (("spec.window.start", "1970-01-01T00:00:00Z"),),
    },
}
"""What makes a maximal resource valid with a field that excludes another one, or whatever its value, by kind
and path of the field.
"""

ONCE: tuple[Edit, ...] = (
    ("spec.schedule", {"frequency": "Once", "startTime": "2026-01-31T08:00:00Z"}),
    ("spec.deltaColumn", REMOVED),
    ("spec.extract.fullReadEvery", REMOVED),
)


def context(kind: Kind, path: str) -> tuple[Edit, ...]:
    """The edits without which the field at ``path`` can't be set."""
    below = (".", "[")
    for field, edits in ALTERNATIVES[kind.kind].items():
        if path == field or (path.startswith(field) and path.removeprefix(field).startswith(below)):
            return edits
    return ()


def resource(kind: Kind, name: str, edits: tuple[Edit, ...] = ()) -> Resource:
    """The maximal resource of ``kind`` with ``edits``."""
    edited = {
        "apiVersion": API_VERSION,
        "kind": kind.kind,
        "metadata": {"name": name},
        **copy.deepcopy(MAXIMAL[kind.kind]),
    }
    for path, value in edits:
        _edit(edited, path, value)
    return edited


def _steps(path: str) -> list[str | int]:
    steps: list[str | int] = []
    for part in path.split("."):
        name, *indexes = part.replace("]", "").split("[")
        steps += [name, *map(int, indexes)]
    return steps


def _edit(obj: Resource, path: str, value: Any) -> None:
    *parents, last = _steps(path)
    target: Any = obj
    for step in parents:
        target = target[step]
    if value is REMOVED:
        del target[last]
    elif isinstance(target, list) and last == len(target):
        target.append(copy.deepcopy(value))
    else:
        target[last] = copy.deepcopy(value)


def concrete(kind: Kind, path: str) -> str:
    """``path`` with each ``[]`` as the index of the first item that has what follows, and ``{}`` as a key."""
    value: Any = resource(kind, "any", context(kind, path))
    found = ""
    parts = path.replace("[]", ".[]").replace("{}", ".{}").split(".")
    for position, part in enumerate(parts):
        if part == "[]":
            following = parts[position + 1] if position + 1 < len(parts) else None
            index = next(i for i, item in enumerate(value) if following is None or following in item)
            found, value = f"{found}[{index}]", value[index]
        elif part == "{}":
            key = next(iter(value))
            found, value = f"{found}.{key}", value[key]
        else:
            found, value = f"{found}.{part}" if found else part, value[part]
    return found


def value_at(kind: Kind, path: str) -> Any:
    value: Any = resource(kind, "any", context(kind, path))
    for step in _steps(path):
        value = value[step]
    return value
