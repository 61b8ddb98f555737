"""Carrying out a plan: the one place where what was planned is created, patched, deleted and recorded."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Set

from crmflow.aep.collection import Named
from crmflow.aep.models import MappingSetRef
from crmflow.api.crmdataflow import MappingSetStatus
from crmflow.http.errors import ErrorClass, RemoteError
from crmflow.reconcile.core import creation
from crmflow.reconcile.core.engine import AnyPass, together
from crmflow.reconcile.core.plan import Action, Effect, Plan
from crmflow.reconcile.core.sandbox import SandboxClient
from crmflow.reconcile.external.flow import ENABLED, STATE
from crmflow.reconcile.external.identity import content_hash_in
from crmflow.reconcile.external.remote_object import NAME, body

ATTEMPTS = 3
"""How often one pass plans what somebody else changes faster each time (platform.md 4.6)."""


async def converge(
    pass_: AnyPass, sandbox: SandboxClient, plan: Plan, replan: Callable[[], Awaitable[Plan]]
) -> Plan:
    """Do what ``plan`` says. Where somebody else was faster with a change, ``replan`` observes and plans
    again. The plan that was carried out in the end. Raises RemoteError and PassEndedError.
    """
    for _ in range(ATTEMPTS - 1):
        try:
            await carry_out(pass_, sandbox, plan)
        except RemoteError as error:
            if error.error_class is not ErrorClass.CONFLICT:
                raise
            plan = await replan()
        else:
            return plan
    await carry_out(pass_, sandbox, plan)
    return plan


async def carry_out(pass_: AnyPass, sandbox: SandboxClient, plan: Plan) -> Set[str]:
    """Do what ``plan`` says, in waves; the slots whose object was created. Raises RemoteError and
    PassEndedError.
    """
    fresh = await creation.announce(pass_, plan)
    created: set[str] = set()
    for wave in plan.waves():
        created |= await act(pass_, sandbox, wave, fresh)
    return created


async def act(
    pass_: AnyPass, sandbox: SandboxClient, actions: Iterable[Action], fresh: Set[str] = frozenset()
) -> Set[str]:
    """Do ``actions`` side by side; the slots whose own object was created, not found. ``fresh`` are those
    whose intents are new in this pass, or for which nothing can be there. Raises RemoteError and
    PassEndedError.
    """
    created = await together(*(_do(pass_, sandbox, action, fresh) for action in actions))
    return {slot for slot in created if slot is not None}


async def _do(pass_: AnyPass, sandbox: SandboxClient, action: Action, fresh: Set[str]) -> str | None:
    kind = action.kind
    match action.effect:
        case Effect.CREATE:
            is_fresh = kind.slot in fresh
            remote_id, created = await creation.ensure(pass_, sandbox, kind, action.values, fresh=is_fresh)
            pass_.record(**kind.record(remote_id))
            if not created:
                return None
            pass_.record(**action.facts)
            return kind.slot
        case Effect.SHARE:
            await _share(pass_, sandbox, action, is_new=kind.slot in fresh)
        case Effect.SET_STATE:
            enable = action.values[STATE] == ENABLED
            await sandbox.platform.set_flow_state(action.remote_id, enable, action.etag)
        case Effect.PATCH:
            await sandbox.platform.patch(kind.collection, action.remote_id, action.etag, action.operations)
        case Effect.RUN_AGAIN:
            made = await sandbox.platform.retry_run(action.remote_id)
            if action.learn is not None:
                pass_.record(**action.learn(made.id))
        case Effect.DELETE:
            await sandbox.delete(kind, action.remote_id)
            pass_.record(**kind.record(None))
    pass_.record(**action.facts)
    return None


async def _share(pass_: AnyPass, sandbox: SandboxClient, action: Action, *, is_new: bool) -> None:
    """The mapping set whose name says what is in it is found or created, and recorded. Without an intent a
    lost answer can leave a second one behind, which takes nothing. ``is_new``: none can be there of ours, so
    that it is not looked for unless the answer to a creation was lost.
    """
    names, name, collection = pass_.services.mapping_sets, action.values[NAME], action.kind.collection
    async with names.lock(action.key):
        known = names.known(action.key)
        if known is None and (not is_new or names.is_doubted(action.key)):
            known = next(iter(await sandbox.platform.list(collection, Named(name))), None)
        if known is None:
            try:
                created = await sandbox.platform.create(collection, body(action.values))
            except RemoteError:
                names.forget(action.key)
                raise
            known = MappingSetRef(created.id, created.version or 0)
        names.created(action.key, known)
    status = MappingSetStatus(id=known.id, version=known.version, content_hash=content_hash_in(name))
    pass_.record(mapping_set=status)
