"""The create rule for what bears a name of the user's, schemas and datasets: the name is the lookup key.

Whoever needs such an object looks it up by its name; one hit is it. Before it is created, an intent is in the
status of the resource that creates it, and every other resource of the cluster that wants the same object
waits for that intent: as long as a listing may lag behind a create, nobody else makes one. Within the process
a lock per name does the same, and what was created here is remembered.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from crmflow.aep.collection import AnyCollection, Collection
from crmflow.aep.errors import found
from crmflow.aep.models import Created
from crmflow.http.errors import RemoteError
from crmflow.reconcile.core import creation
from crmflow.reconcile.core.engine import AnyPass
from crmflow.reconcile.core.outcome import PassEndedError, StalledError
from crmflow.reconcile.ports import Platform
from crmflow.sentences import some

T = TypeVar("T")


def has_intent(pass_: AnyPass, slot: str, name: str) -> bool:
    """True if this resource began to create the object and has not seen the end of that."""
    intent = creation.intents(pass_).get(slot)
    return intent is not None and intent.name == name


def await_others(pass_: AnyPass, slot: str, name: str) -> None:
    """Nobody else is creating the object. Raises PassEndedError."""
    for since in pass_.services.lister.intents_of_others(str(pass_.identity), slot, name):
        left = creation.seconds_left(pass_, since)
        if left > 0:
            raise creation.pending(f'Another dataflow is creating the {slot} "{name}".', left)


async def announce(pass_: AnyPass, slot: str, name: str) -> None:
    """The intent to create the object is in status. Raises PassEndedError while the answer to an earlier
    attempt may still come to light.
    """
    intent = creation.intents(pass_).get(slot)
    if intent is not None:
        left = creation.seconds_left(pass_, intent.time) if intent.name == name else 0.0
        if left > 0:
            raise creation.pending(f'The answer to creating the {slot} "{name}" was lost.', left)
        creation.forget(pass_, slot)
    await creation.begin(pass_, {slot: name})


async def made_here(
    pass_: AnyPass, platform: Platform, collection: Collection[T, Any], key: tuple[str, ...]
) -> Sequence[T]:
    """What this process made under ``key`` and a listing need not show yet. Raises RemoteError."""
    names = pass_.services.created_names
    object_id = names.known(key)
    if object_id is None:
        return ()
    made = await found(platform.get(collection, object_id))
    if made is None:
        names.forget(key)
        return ()
    return (made,)


async def post(
    pass_: AnyPass, platform: Platform, collection: AnyCollection, slot: str, body: Mapping[str, Any]
) -> Created:
    """Create the object; its intent stays unless nothing can have come of that. Raises RemoteError."""
    try:
        return await platform.create(collection, body)
    except RemoteError as error:
        if not error.maybe_applied:
            creation.forget(pass_, slot)
        raise


def ambiguous(slot: str, name: str, ids: Sequence[str], field: str) -> PassEndedError:
    """A name that several objects bear says nothing."""
    return StalledError(
        "Ambiguous",
        f'{len(ids)} {slot}s have the {"title" if slot == "schema" else "name"} "{name}": '
        f"{some(ids, 20)}. Set {field} to one of them instead, or rename the others.",
    )
