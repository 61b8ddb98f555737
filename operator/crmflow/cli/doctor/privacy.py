"""What a report leaves out beside secrets: who the organizations and people are."""

from __future__ import annotations

import re

from crmflow.cli.connection import Connection
from crmflow.observability.redaction import redact

_SHAPES = (
    (re.compile(r"[0-9A-Za-z]+@AdobeOrg\b"), "<organization>"),
    (re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+"), "<e-mail address>"),
)


class Privacy:
    """Values that are known to identify somebody, and what takes their place."""

    def __init__(self) -> None:
        self._hidden: dict[str, str] = {}

    def hide_connection(self, connection: Connection) -> None:
        """The organizations of a connection."""
        self._hide(connection.spec.platform.organization, "<organization>")
        if (pinned := connection.status.zoho_organization) is not None:
            self.hide_organization(pinned.id, pinned.name or "")

    def hide_organization(self, organization_id: str, name: str) -> None:
        """A Zoho organization."""
        self._hide(organization_id, "<Zoho organization id>")
        self._hide(name, "<Zoho organization>")

    def hide_user(self, name: str, email: str) -> None:
        """A Zoho user."""
        self._hide(name, "<Zoho user>")
        self._hide(email, "<e-mail address>")

    def apply(self, text: str) -> str:
        """``text`` without secrets, and without what identifies somebody."""
        # By line: over the end of one, "token:" would take what follows it for its value.
        text = "\n".join(map(redact, text.split("\n")))
        for value in sorted(self._hidden, key=len, reverse=True):
            text = text.replace(value, self._hidden[value])
        for shape, replacement in _SHAPES:
            text = shape.sub(replacement, text)
        return text

    def _hide(self, value: str, replacement: str) -> None:
        if value:
            self._hidden[value] = replacement
