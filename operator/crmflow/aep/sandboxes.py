"""Sandbox management (platform.md 13)."""

from __future__ import annotations

from datetime import UTC, datetime

from crmflow.aep import fields
from crmflow.aep.gateway import Service
from crmflow.aep.models import Sandbox
from crmflow.observability.redaction import sanitise

SERVICE = "Sandboxes"
_WORD = 64
_PATH = "/data/foundation/sandbox-management/"


class Sandboxes(Service):
    """The sandboxes of the organisation."""

    async def sandboxes(self) -> tuple[Sandbox, ...]:
        """The sandboxes that the credential's role contains."""
        answer = await self._gateway.send(SERVICE, "sandboxes.list", "GET", _PATH)
        body = answer.json()
        if not isinstance(body, dict) or "sandboxes" not in body:
            raise answer.unreadable("no sandboxes")
        return tuple(
            Sandbox(
                name=fields.text(raw, "name"),
                state=sanitise(fields.text(raw, "state"), _WORD),
                type=fields.text(raw, "type"),
                region=sanitise(fields.text(raw, "region"), _WORD),
                modified_at=_instant(fields.text(raw, "lastModifiedDate")),
            )
            for raw in fields.objects(body["sandboxes"])
        )


def _instant(text: str) -> float | None:
    """Seconds since the epoch; a time without an offset is UTC."""
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (instant if instant.tzinfo else instant.replace(tzinfo=UTC)).timestamp()
