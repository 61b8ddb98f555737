"""The remote objects of a CRMDataflow, created where they are missing."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass

from crmflow.aep.models import Column
from crmflow.http.errors import RemoteError
from crmflow.reconcile.core import creation
from crmflow.reconcile.core.act import act
from crmflow.reconcile.core.engine import step
from crmflow.reconcile.core.outcome import StalledError, WaitingError
from crmflow.reconcile.core.plan import Effect, Plan
from crmflow.reconcile.dataflow.conditions import SYNCED
from crmflow.reconcile.dataflow.creation_plan import flow_creation, plan_creation
from crmflow.reconcile.dataflow.mapping_sets import doubt_mapping_set
from crmflow.reconcile.dataflow.observe import declare, observe_begun, replacement_required
from crmflow.reconcile.dataflow.state import DataflowPass, Upstream
from crmflow.reconcile.external.mapping_set import MAPPING_SET
from crmflow.reconcile.sources.connector import Offer


@step(SYNCED)
async def create(pass_: DataflowPass, upstream: Upstream, columns: tuple[Column, ...]) -> bool:
    """Mapping set, source and target connection side by side, then the flow. True if the flow was created;
    one that was found need not be what the spec says.
    """
    creating = _Creation(pass_, upstream, columns, await upstream.offer())
    plan = await creating.discard_unfit()
    if creating.offer.obstacle:
        reason, message = creating.offer.obstacle
        raise StalledError(reason, f"{message} So no dataflow is created.")
    fresh = await creation.announce(pass_, plan)
    try:
        return await creating.create(plan, fresh)
    except RemoteError as error:
        if error.reason in ("MappingInvalid", "MappingVersionConflict"):  # what is remembered may be gone
            doubt_mapping_set(pass_, upstream)
        raise


@dataclass(frozen=True)
class _Creation:
    """A flow that is being made, and what it is made of."""

    pass_: DataflowPass
    upstream: Upstream
    columns: tuple[Column, ...]
    offer: Offer

    async def discard_unfit(self) -> Plan:
        """The plan for what is missing, once what does not fit is gone. A flow that is still to be taken over
        keeps what it is built on: raises PassEndedError.
        """
        pass_, sandbox = self.pass_, self.upstream.sandbox
        begun = await observe_begun(pass_, sandbox)
        declared = declare(pass_, self.upstream, self.columns)
        plan = plan_creation(declared, pass_.status, self.offer, begun)
        if plan.needs_replacement:
            raise replacement_required(plan.needs_replacement)
        await act(pass_, sandbox, plan.of(Effect.DELETE))
        if begun.source and pass_.status.source_connection_id and not pass_.status.columns:
            pass_.record(columns=begun.source.column_names)
        return plan

    async def create(self, plan: Plan, fresh: Set[str]) -> bool:
        """What ``plan`` creates, whose intents are written; True if the flow was created, not found."""
        pass_, upstream = self.pass_, self.upstream
        creations = [action for action in plan.of(Effect.CREATE) if action.kind is not pass_.objects.flow]
        parts = [*plan.of(Effect.RECORD), *plan.of(Effect.SHARE), *creations]
        nothing_there = {*fresh, MAPPING_SET.slot} if _is_new(pass_, upstream, fresh) else fresh
        try:
            created = await act(pass_, upstream.sandbox, parts, nothing_there)
        except Exception:
            slot = pass_.objects.flow.slot
            if slot in fresh:  # without its parts it is not posted, so its intent stands for nothing
                creation.forget(pass_, slot)
            raise
        if len(created) < len(creations):  # what was found instead need not fit
            missing = (await self.discard_unfit()).of(Effect.CREATE)
            if [action.kind for action in missing] != [pass_.objects.flow]:
                text = "Objects of an earlier resource of this name did not fit the spec; they are made anew."
                raise WaitingError("CreatePending", text, transition=True)
        flow = flow_creation(declare(pass_, upstream), pass_.status, self.offer)
        if not await act(pass_, upstream.sandbox, [flow], fresh):
            return False
        text = f"Created flow {pass_.recorded_id} with its source and target connection."
        pass_.record_event("Created", "Create", text)
        return True


def _is_new(pass_: DataflowPass, upstream: Upstream, fresh: Set[str]) -> bool:
    """No resource of this name, now or before, has begun to create anything."""
    inventory = upstream.sandbox.inventory
    return (
        fresh == {kind.slot for kind in pass_.objects}
        and inventory.covers_predecessors
        and not any(
            inventory.with_key(kind.collection, pass_.identity.key(kind.slot)) for kind in pass_.objects
        )
    )
