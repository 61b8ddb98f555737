"""The create rule: what may exist already is looked up before it is created.

An intent (slot, full remote name, time) is in status before the POST, and leaves it together with the id, or
when the answer proves that nothing was created. An intent without an id on a later pass means that an answer
was lost: look for the key; not found and still within the grace, wait; else create. An intent that is new in
this pass needs no look-up once a complete listing shows everything that an earlier process can have created.

A hit by key belongs to this resource, or to one of the same name before it, and is taken; or it is somebody
else's, and then nothing is created. So one object at the most is made while the index of a service lags by
less than the grace; beyond that the surplus is found and removed within one poll.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from crmflow.aep.listings import Collection, Listed
from crmflow.aep.models import Created
from crmflow.api.base import DeletionPolicy, Intent
from crmflow.reconcile.engine import Pass
from crmflow.reconcile.outcome import Outcome, stalled, waiting
from crmflow.reconcile.ownership import Verdict, judge, owner_in
from crmflow.reconcile.remote import delete_object
from crmflow.transport.errors import ErrorClass, RemoteError

AnyPass = Pass[Any, Any]


class NotCreatedError(Exception):
    """Nothing is created, for now or for good; carries the outcome to return."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.message)
        self.outcome = outcome


@dataclass(frozen=True)
class Wanted:
    """A remote object to have: where it belongs, and the name and description that its creation gives it."""

    slot: str
    collection: Collection
    name: str
    description: str


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


async def ensure(
    pass_: AnyPass, wanted: Wanted, post: Callable[[], Awaitable[Created]], *, fresh: bool
) -> str:
    """The id of the object, created now or found. Raises RemoteError, NotCreatedError.

    ``fresh`` says that its intent is new in this pass.
    """
    intent = intents(pass_)[wanted.slot]
    found = _take(pass_, wanted, await _hits(pass_, wanted, fresh=fresh))
    if found is not None:
        _settle(pass_, wanted.slot)
        return found.id
    if not fresh:
        left = seconds_left(pass_, intent.time)
        if left > 0:
            raise _pending(wanted.slot, left, "It is looked for before anything else is done.")
        again = Intent(slot=wanted.slot, name=wanted.name, time=pass_.utcnow)
        _keep(pass_, {**intents(pass_), wanted.slot: again})
        await pass_.journal.checkpoint()
    try:
        created = await post()
    except RemoteError as error:
        if not error.maybe_applied:
            _settle(pass_, wanted.slot)
        raise
    _settle(pass_, wanted.slot)
    item = Listed(created.id, created.etag or "", wanted.name, wanted.description, "", pass_.now)
    pass_.inventory.created(wanted.collection, item)
    return created.id


async def find(pass_: AnyPass, wanted: Wanted) -> str | None:
    """The id of the object if there is one, where nothing may be created. Raises RemoteError,
    NotCreatedError.
    """
    lost = wanted.slot in intents(pass_)
    found = _take(pass_, wanted, await _hits(pass_, wanted, fresh=not lost))
    if found is not None:
        _settle(pass_, wanted.slot)
    return found.id if found is not None else None


async def find_unrecorded(pass_: AnyPass, slot: str, collection: Collection) -> tuple[str, ...]:
    """For deletion: our objects that a lost create may have left behind. Raises NotCreatedError within the
    grace, as long as there are none: what shows only after the resource is gone would be nobody's. With
    Orphan, what can't be reached any more is left as it is.
    """
    intent, leaves = intents(pass_).get(slot), pass_.deletion_policy is DeletionPolicy.ORPHAN
    if intent is None or (leaves and pass_.platform_client is None):
        return ()
    try:
        hits = await pass_.inventory.look_up(collection, pass_.identity.key(slot), lost=True)
    except RemoteError as error:
        if leaves and error.error_class is ErrorClass.TERMINAL:
            return ()
        raise
    found = tuple(item.id for item in hits if judge(pass_.identity, item.description) is not Verdict.FOREIGN)
    if not found and (left := seconds_left(pass_, intent.time)) > 0:
        until = (intent.time + timedelta(seconds=pass_.services.create_grace)).astimezone(UTC)
        raise _pending(
            slot,
            left,
            f"It is looked for until {until:%Y-%m-%dT%H:%M:%SZ}, so that nothing stays behind that "
            "nobody knows of; then this goes on by itself.",
        )
    return found


async def remove_duplicates(pass_: AnyPass, slot: str, collection: Collection, keep: str) -> None:
    """Delete what else carries our key and is ours, unless something is built on it."""
    for item in pass_.inventory.with_key(collection, pass_.identity.key(slot)):
        if item.id == keep or judge(pass_.identity, item.description) is Verdict.FOREIGN:
            continue
        if pass_.inventory.is_built_on(item.id):
            continue
        try:
            await delete_object(pass_, collection, item.id)
        except RemoteError as error:
            if error.error_class not in (ErrorClass.IN_USE, ErrorClass.WAIT):
                raise
        else:
            pass_.tell("DuplicateRemoved", "Delete", f"Removed a second {slot} of this resource, {item.id}.")


def forget(pass_: AnyPass, slot: str) -> None:
    """Drop the intent of ``slot``."""
    _settle(pass_, slot)


def intents(pass_: AnyPass) -> dict[str, Intent]:
    """The open intents by slot."""
    return {intent.slot: intent for intent in pass_.status.intents or ()}


async def _hits(pass_: AnyPass, wanted: Wanted, *, fresh: bool) -> Sequence[Listed]:
    key = pass_.identity.key(wanted.slot)
    if fresh and pass_.inventory.covers_predecessors:
        return pass_.inventory.with_key(wanted.collection, key)
    try:
        return await pass_.inventory.look_up(wanted.collection, key, lost=not fresh)
    except RemoteError:
        if fresh:  # nothing was sent, so there is nothing to be looked for later
            _settle(pass_, wanted.slot)
        raise


def _take(pass_: AnyPass, wanted: Wanted, hits: Sequence[Listed]) -> Listed | None:
    """The hit that is this resource's, of several the one in use, else the oldest; None without any hit.
    Raises NotCreatedError for a foreign one.
    """
    if not hits:
        return None
    ours = [item for item in hits if judge(pass_.identity, item.description) is not Verdict.FOREIGN]
    if not ours:
        owner = owner_in(hits[0].description)
        raise NotCreatedError(
            stalled(
                "Conflict",
                f"A {wanted.slot} with the key of this resource exists, {hits[0].id}, and "
                + (f"belongs to {owner}. " if owner else "nothing in its description says whose it is. ")
                + "Nothing is created. Give one installation another instance, or delete or rename the "
                "object.",
            )
        )
    item = next((item for item in ours if pass_.inventory.is_built_on(item.id)), ours[0])
    other = pass_.inventory.holder_of(item.id)
    if other is not None:
        raise NotCreatedError(
            stalled(
                "Conflict",
                f"The {wanted.slot} {item.id} is held by {other} already. Nothing is created.",
            )
        )
    if judge(pass_.identity, item.description) is Verdict.PREDECESSOR:
        pass_.tell(
            "TakenOver",
            "TakeOver",
            f"Took over the {wanted.slot} {item.id} of an earlier resource of this name.",
        )
    return item


def _pending(slot: str, left: float, text: str) -> NotCreatedError:
    return NotCreatedError(
        waiting(
            "CreatePending",
            f"The answer to creating the {slot} was lost. {text}",
            retry_after=min(left, 10.0),
        )
    )


def seconds_left(pass_: AnyPass, since: datetime) -> float:
    """How long what was created at ``since`` may still take to show in a listing."""
    return since.timestamp() + pass_.services.create_grace - pass_.now


def _settle(pass_: AnyPass, slot: str) -> None:
    _keep(pass_, {other: intent for other, intent in intents(pass_).items() if other != slot})


def _keep(pass_: AnyPass, kept: Mapping[str, Intent]) -> None:
    pass_.record(intents=tuple(kept[slot] for slot in sorted(kept)) or None)
