"""The create rule for what bears a name of the user's, schemas and datasets: the name is the lookup key.

Whoever needs such an object looks it up by its name; one hit is it. Before it is created, an intent is in the
status of the resource that creates it, and every other resource of the cluster that wants the same object
waits for that intent: as long as a listing may lag behind a create, nobody else makes one. Within the process
a lock per name does the same, and what was created here is remembered.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from crmflow.reconcile import creation
from crmflow.reconcile.creation import NotCreatedError
from crmflow.reconcile.engine import Pass
from crmflow.reconcile.outcome import Outcome, stalled, waiting

AnyPass = Pass[Any, Any]


def has_intent(pass_: AnyPass, slot: str, name: str) -> bool:
    """True if this resource began to create the object and has not seen the end of that."""
    intent = creation.intents(pass_).get(slot)
    return intent is not None and intent.name == name


def await_others(pass_: AnyPass, slot: str, name: str) -> None:
    """Nobody else is creating the object. Raises NotCreatedError."""
    for since in pass_.services.peers.intents_of_others(str(pass_.identity), slot, name):
        left = creation.seconds_left(pass_, since)
        if left > 0:
            raise NotCreatedError(_pending(f'Another dataflow is creating the {slot} "{name}".', left))


async def announce(pass_: AnyPass, slot: str, name: str) -> None:
    """The intent to create the object is in status. Raises NotCreatedError while the answer to an earlier
    attempt may still come to light.
    """
    intent = creation.intents(pass_).get(slot)
    if intent is not None and intent.name == name:
        left = creation.seconds_left(pass_, intent.time)
        if left > 0:
            raise NotCreatedError(_pending(f'The answer to creating the {slot} "{name}" was lost.', left))
    if intent is not None:
        creation.forget(pass_, slot)
    await creation.announce(pass_, {slot: name})


def ambiguous(slot: str, name: str, ids: Sequence[str], field: str) -> Outcome:
    """A name that several objects bear says nothing."""
    return stalled(
        "Ambiguous",
        f'{len(ids)} {slot}s have the {"title" if slot == "schema" else "name"} "{name}": '
        f"{', '.join(ids[:20])}. Set {field} to one of them instead, or rename the others.",
    )


def _pending(what: str, left: float) -> Outcome:
    text = f"{what} It is looked for before anything else is done."
    return waiting("CreatePending", text, retry_after=min(left, 10.0))
