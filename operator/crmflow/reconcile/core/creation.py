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

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from crmflow.aep.models import Listed
from crmflow.api.base import DeletionPolicy, Intent
from crmflow.http.errors import ErrorClass, RemoteError
from crmflow.reconcile.core.engine import AnyPass
from crmflow.reconcile.core.outcome import PassEndedError, StalledError, WaitingError
from crmflow.reconcile.core.ownership import Verdict, judge, owner_in
from crmflow.reconcile.core.plan import Effect, Plan
from crmflow.reconcile.core.sandbox import SandboxClient
from crmflow.reconcile.external.remote_object import DESCRIPTION, NAME, RemoteObject, Values, body

AnyObject = RemoteObject[Any]


async def announce(pass_: AnyPass, plan: Plan) -> set[str]:
    """Write intents for all that ``plan`` creates before the first POST; the slots that are new in this
    pass.
    """
    return await begin(pass_, {a.kind.slot: a.values[NAME] for a in plan.of(Effect.CREATE)})


async def begin(pass_: AnyPass, names: Mapping[str, str]) -> set[str]:
    """Write intents for ``names``, slot → full remote name; the slots that are new in this pass."""
    known = intents(pass_)
    fresh = {slot: name for slot, name in names.items() if slot not in known}
    if fresh:
        added = {slot: Intent(slot=slot, name=name, time=pass_.utcnow) for slot, name in fresh.items()}
        _keep(pass_, {**known, **added})
        await pass_.journal.checkpoint()
    return set(fresh)


async def ensure(
    pass_: AnyPass, sandbox: SandboxClient, kind: AnyObject, values: Values, *, fresh: bool
) -> tuple[str, bool]:
    """The id of the object, and whether it was created with ``values``, not found. ``fresh`` says that its
    intent is new in this pass. Raises RemoteError, and PassEndedError where nothing is created, for now or
    for good.
    """
    intent, name = intents(pass_)[kind.slot], values[NAME]
    found = await find(pass_, sandbox, kind, fresh=fresh)
    if found is not None:
        return found, False
    if not fresh:
        left = seconds_left(pass_, intent.time)
        if left > 0:
            raise pending(f"The answer to creating the {kind.slot.name} was lost.", left)
        again = Intent(slot=kind.slot, name=name, time=pass_.utcnow)
        _keep(pass_, {**intents(pass_), kind.slot: again})
        await pass_.journal.checkpoint()
    try:
        created = await sandbox.platform.create(kind.collection, body(values))
    except RemoteError as error:
        if not error.maybe_applied:
            forget(pass_, kind.slot)
        raise
    forget(pass_, kind.slot)
    item = Listed(created.id, created.etag or "", name, values[DESCRIPTION], "", pass_.now)
    sandbox.inventory.created(kind.collection, item)
    return created.id, True


async def find(pass_: AnyPass, sandbox: SandboxClient, kind: AnyObject, *, fresh: bool) -> str | None:
    """The id of the object if there is one, which ends its intent. ``fresh`` says that none is older than
    this pass. Raises RemoteError and PassEndedError.
    """
    found = _take(pass_, sandbox, kind, await _hits(pass_, sandbox, kind, fresh=fresh))
    if found is None:
        return None
    forget(pass_, kind.slot)
    return found.id


async def find_predecessor(pass_: AnyPass, sandbox: SandboxClient, kind: AnyObject) -> str | None:
    """The id of an object that bears the key of this resource, before it begins to make one; whose it is, is
    judged when it is taken. Raises RemoteError.
    """
    hits = await _hits(pass_, sandbox, kind, fresh=True)
    return hits[0].id if hits else None


async def find_unrecorded(pass_: AnyPass, sandbox: SandboxClient | None, kind: AnyObject) -> tuple[str, ...]:
    """For deletion: our objects that a lost create may have left behind. Raises PassEndedError within the
    grace, as long as there are none: what shows only after the resource is gone would be nobody's. With
    Orphan, what can't be reached any more is left as it is.
    """
    intent = intents(pass_).get(kind.slot)
    if intent is None or sandbox is None:
        return ()
    try:
        hits = await sandbox.inventory.look_up(kind.collection, pass_.identity.key(kind.slot), lost=True)
    except RemoteError as error:
        if pass_.deletion_policy is DeletionPolicy.ORPHAN and error.error_class is ErrorClass.TERMINAL:
            return ()
        raise
    found = tuple(item.id for item in hits if judge(pass_.identity, item.description) is not Verdict.FOREIGN)
    if not found and (left := seconds_left(pass_, intent.time)) > 0:
        until = (intent.time + timedelta(seconds=pass_.services.create_grace)).astimezone(UTC)
        raise pending(
            f"The answer to creating the {kind.slot.name} was lost.",
            left,
            f"It is looked for until {until:%Y-%m-%dT%H:%M:%SZ}, so that nothing stays behind that nobody "
            "knows of; then this goes on by itself.",
        )
    return found


async def remove_duplicates(pass_: AnyPass, sandbox: SandboxClient, kind: AnyObject, keep: str) -> None:
    """Delete what else carries our key and is ours, unless something is built on it."""
    for item in sandbox.inventory.with_key(kind.collection, pass_.identity.key(kind.slot)):
        if item.id == keep or judge(pass_.identity, item.description) is Verdict.FOREIGN:
            continue
        if sandbox.inventory.is_built_on(item.id):
            continue
        try:
            await sandbox.delete(kind, item.id)
        except RemoteError as error:
            if error.error_class not in (ErrorClass.IN_USE, ErrorClass.WAIT):
                raise
        else:
            text = f"Removed a second {kind.slot.name} of this resource, {item.id}."
            pass_.record_event("DuplicateRemoved", "Delete", text)


def forget(pass_: AnyPass, slot: str) -> None:
    """Drop the intent of ``slot``."""
    _keep(pass_, {other: intent for other, intent in intents(pass_).items() if other != slot})


def intents(pass_: AnyPass) -> dict[str, Intent]:
    """The open intents by slot."""
    return {intent.slot: intent for intent in pass_.status.intents or ()}


async def _hits(pass_: AnyPass, sandbox: SandboxClient, kind: AnyObject, *, fresh: bool) -> Sequence[Listed]:
    key = pass_.identity.key(kind.slot)
    if fresh and sandbox.inventory.covers_predecessors:
        return sandbox.inventory.with_key(kind.collection, key)
    try:
        return await sandbox.inventory.look_up(kind.collection, key, lost=not fresh)
    except RemoteError:
        if fresh:  # nothing was sent, so there is nothing to be looked for later
            forget(pass_, kind.slot)
        raise


def _take(pass_: AnyPass, sandbox: SandboxClient, kind: AnyObject, hits: Sequence[Listed]) -> Listed | None:
    """The hit that is this resource's, of several the one in use, else the oldest; None without any hit.
    Raises PassEndedError for a foreign one.
    """
    if not hits:
        return None
    ours = [item for item in hits if judge(pass_.identity, item.description) is not Verdict.FOREIGN]
    if not ours:
        owner = owner_in(hits[0].description)
        raise StalledError(
            "Conflict",
            f"A {kind.slot.name} with the key of this resource exists, {hits[0].id}, and "
            + (f"belongs to {owner}. " if owner else "nothing in its description says whose it is. ")
            + "Nothing is created. Give one installation another instance, or delete or rename the "
            "object.",
        )
    item = next((item for item in ours if sandbox.inventory.is_built_on(item.id)), ours[0])
    other = sandbox.inventory.recorded_by(item.id)
    if other is not None:
        text = f"The {kind.slot.name} {item.id} is held by {other} already. Nothing is created."
        raise StalledError("Conflict", text)
    if judge(pass_.identity, item.description) is Verdict.PREDECESSOR:
        text = f"Took over the {kind.slot.name} {item.id} of an earlier resource of this name."
        pass_.record_event("TakenOver", "TakeOver", text)
    return item


def pending(
    what: str, left: float, then: str = "It is looked for before anything else is done."
) -> PassEndedError:
    """A create may still come to light, for so many seconds."""
    return WaitingError("CreatePending", f"{what} {then}", retry_after=min(left, 10.0))


def seconds_left(pass_: AnyPass, since: datetime) -> float:
    """How long what was created at ``since`` may still take to show in a listing."""
    return since.timestamp() + pass_.services.create_grace - pass_.now


def _keep(pass_: AnyPass, kept: Mapping[str, Intent]) -> None:
    pass_.record(intents=tuple(kept[slot] for slot in sorted(kept)) or None)
