"""The create rule: a create that may have happened is looked up before it is repeated.

An intent (slot, full remote name, time) is in status before the POST, and leaves it together with the id, or
when the answer proves that nothing was created. An intent without an id on a later pass means that an answer
was lost: look the name up; not found and still within the grace, wait; else create. So one object at the most
is made while the service's index lags by less than the grace.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any

from crmflow.aep.models import Created
from crmflow.api.base import Intent
from crmflow.reconcile.engine import Pass
from crmflow.reconcile.outcome import Outcome, waiting
from crmflow.transport.errors import RemoteError

AnyPass = Pass[Any, Any]


class StillPendingError(Exception):
    """A create whose answer was lost may still show up; carries the outcome to return."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.message)
        self.outcome = outcome


async def announce(pass_: AnyPass, names: Mapping[str, str]) -> set[str]:
    """Write intents for ``names`` (slot → full remote name) before the first POST; the slots that are new in
    this pass.
    """
    known = intents(pass_)
    fresh = {slot: name for slot, name in names.items() if slot not in known}
    if fresh:
        added = {slot: Intent(slot=slot, name=name, time=pass_.utcnow) for slot, name in fresh.items()}
        _keep(pass_, {**known, **added})
        await pass_.journal.checkpoint()
    return set(fresh)


async def create_once(
    pass_: AnyPass, slot: str, name: str, collection: str, fresh: bool, post: Callable[[], Awaitable[Created]]
) -> str:
    """The id of the object in ``slot``, created now or found from an earlier try. Raises RemoteError,
    StillPendingError.

    ``name`` is the full remote name that ``post`` gives it; ``collection`` is Flow Service's name for the
    kind of object; ``fresh`` says that its intent is new in this pass.
    """
    intent = intents(pass_)[slot]
    if not fresh:
        found = await pass_.platform.find_ids(collection, intent.name)
        if found:
            _settle(pass_, slot)
            return found[0]
        left = _seconds_left(pass_, intent.time)
        if left > 0:
            raise StillPendingError(
                waiting(
                    "CreatePending",
                    f"The answer to creating the {slot} was lost. It is looked for before it is created "
                    "again.",
                    retry_after=min(left, 10.0),
                )
            )
        _keep(pass_, {**intents(pass_), slot: Intent(slot=slot, name=name, time=pass_.utcnow)})
        await pass_.journal.checkpoint()
    try:
        created = await post()
    except RemoteError as error:
        if not error.maybe_applied:
            _settle(pass_, slot)
        raise
    _settle(pass_, slot)
    return created.id


async def find_unrecorded(pass_: AnyPass, slot: str, collection: str) -> tuple[str, ...]:
    """For deletion: the objects that a lost create may have left behind. Raises StillPendingError within the
    grace.
    """
    intent = intents(pass_).get(slot)
    if intent is None:
        return ()
    found = tuple(await pass_.platform.find_ids(collection, intent.name))
    if not found and (left := _seconds_left(pass_, intent.time)) > 0:
        raise StillPendingError(
            waiting(
                "CreatePending",
                f"The answer to creating the {slot} was lost. It is looked for before the resource goes.",
                retry_after=min(left, 10.0),
            )
        )
    return found


def forget(pass_: AnyPass, slot: str) -> None:
    """Drop the intent of ``slot``."""
    _settle(pass_, slot)


def intents(pass_: AnyPass) -> dict[str, Intent]:
    """The open intents by slot."""
    return {intent.slot: intent for intent in pass_.status.intents or ()}


def _seconds_left(pass_: AnyPass, since: datetime) -> float:
    return since.timestamp() + pass_.services.create_grace - pass_.now


def _settle(pass_: AnyPass, slot: str) -> None:
    _keep(pass_, {other: intent for other, intent in intents(pass_).items() if other != slot})


def _keep(pass_: AnyPass, kept: Mapping[str, Intent]) -> None:
    pass_.record(intents=tuple(kept[slot] for slot in sorted(kept)) or None)
