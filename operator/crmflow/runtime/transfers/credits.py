"""What was spent of Zoho's credits, in the token store: one record for each organization and environment."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from crmflow.clock import Clock
from crmflow.observability.metrics import Metrics
from crmflow.reconcile.extraction.credits import DAY, Ledger, Spent
from crmflow.runtime.credentials.token_store import Document, TokenStore

_KIND = "credits"
_SPENT = "crmflow.io/spent-credits"


class StoredLedgers:
    """Implements the port CreditLedgers. A record is an annotation: nothing in it is secret."""

    def __init__(self, store: TokenStore, clock: Clock, metrics: Metrics) -> None:
        self._store = store
        self._clock = clock
        self._metrics = metrics
        self._documents: dict[str, Document] = {}
        self._asked: dict[str, tuple[datetime, int]] = {}
        """When each was last asked for, and what may be spent of it."""
        metrics.before_scrape.append(self._show)

    async def ledger(self, organization: str, allowance: int) -> Ledger:
        """What was spent in the last 24 hours. Raises RemoteError."""
        ledger = _ledger(await self._document(organization))
        self._asked[organization] = self._clock.utcnow(), allowance
        return ledger

    async def spend(self, organization: str, credits: int) -> None:
        """Record that credits were spent now. Raises RemoteError: they count all the same, in this process,
        and are recorded with what is spent next.
        """
        document = await self._document(organization)
        after = _ledger(document).with_spent(credits, self._clock.utcnow())
        entries = [[entry.at.isoformat(), entry.credits] for entry in after.entries]
        document.note({_SPENT: json.dumps(entries, separators=(",", ":"))})
        await document.save()

    async def _document(self, organization: str) -> Document:
        document = self._documents.get(organization)
        if document is None:
            document = self._documents[organization] = self._store.document(_KIND, organization)
        await document.load()
        return document

    def _show(self) -> None:
        """Bring the metrics up to date. An organization that nobody asked for within a day has none."""
        now = self._clock.utcnow()
        self._asked = {name: asked for name, asked in self._asked.items() if asked[0] + DAY > now}
        spent, allowed = self._metrics.credits_spent, self._metrics.credits_allowed
        spent.clear()
        allowed.clear()
        for organization, (_, allowance) in self._asked.items():
            spent.labels(organization).set(_ledger(self._documents[organization]).spent(now))
            allowed.labels(organization).set(allowance)


def _ledger(document: Document) -> Ledger:
    """One that somebody has edited into something else counts as empty."""
    try:
        entries = json.loads(document.annotations.get(_SPENT, "[]"))
        return Ledger(tuple(Spent(_instant(at), int(credits)) for at, credits in entries))
    except (ValueError, TypeError):
        return Ledger()


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
