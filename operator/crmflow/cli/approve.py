"""``kubectl crmflow approve``: a person reads the plan that replaces a flow, and lets it be carried out.

The annotation approves the hash that was shown. If the plan has become another one while it was read, nothing
is written, and the operator would not take the hash of one plan for another's either.
"""

from __future__ import annotations

from crmflow.api.crmdataflow import PlannedEffect, PlanState, PlanStatus
from crmflow.api.kinds import CRM_DATAFLOW
from crmflow.cli.api_server import ConflictError
from crmflow.cli.cluster import Cluster
from crmflow.cli.dataflow import Dataflow
from crmflow.cli.options import ApproveOptions
from crmflow.cli.output import write, write_table
from crmflow.cli.problem import Problem, sentence
from crmflow.cli.terminal import can_ask, confirm, say
from crmflow.observability.redaction import sanitize
from crmflow.reconcile.plan_in_words import reads_in_words
from crmflow.sentences import every

_TEXT_LENGTH = 1024
_ATTEMPTS = 5
"""The operator writes status now and then, so a write is tried again while the plan stays the same."""
_DONE = {
    PlannedEffect.CREATE: "create",
    PlannedEffect.SHARE: "use or create",
    PlannedEffect.DISABLE: "disable",
    PlannedEffect.DELETE: "delete",
}


async def approve(options: ApproveOptions) -> bool:
    """Carry the command out; False if the person says no. Raises Problem where nothing can be approved."""
    cluster = await Cluster.connect(options.cluster)
    try:
        dataflow = await cluster.dataflow(options.name)
        plan = plan_of(dataflow)
        show(dataflow, plan)
        if options.plan not in (None, plan.hash):
            raise Problem(
                f"nothing is approved: the plan is {plan.hash}, not {sanitize(options.plan or '', 64)}",
                "Review it, and name its hash",
            )
        if said := approved_already(dataflow, plan):
            say(said)
            return True
        if not (options.yes or options.plan) and not _is_wanted(plan):
            return False
        await _annotate(cluster, options.name, plan)
    finally:
        await cluster.close()
    say(f"Plan {plan.hash} is approved. {_what_comes(dataflow)}")
    return True


def plan_of(dataflow: Dataflow) -> PlanStatus:
    """The plan that stands to be approved, or has been. Raises Problem, which says why there is none."""
    plan = dataflow.status.plan
    if dataflow.deleting:
        raise Problem(f"{_named(dataflow)} is being deleted, so nothing replaces its flow")
    if plan is not None and plan.state is PlanState.IN_PROGRESS:
        return plan
    if not dataflow.is_observed:
        raise Problem(
            f"the operator has not looked at generation {dataflow.generation} of {_named(dataflow)} yet",
            "Try again in a moment; the condition Ready says what keeps it",
        )
    if plan is None:
        raise _no_plan(dataflow)
    if plan.state is PlanState.ROLLED_BACK:
        raise _rolled_back(plan)
    return plan


def approved_already(dataflow: Dataflow, plan: PlanStatus) -> str | None:
    """What has become of a plan that was approved before, in words; None if nobody has."""
    ready = dataflow.ready
    if plan.state is PlanState.IN_PROGRESS:
        said = f" {sanitize(ready.message, _TEXT_LENGTH)}" if ready else ""
        return f"Plan {plan.hash} was approved before, and is in progress.{said}"
    if plan.approved or dataflow.approval == plan.hash:
        return f"Plan {plan.hash} was approved before. {_what_comes(dataflow)}"
    return None


def show(dataflow: Dataflow, plan: PlanStatus) -> None:
    """The plan, for a person."""
    write(f"Plan {plan.hash} of {CRM_DATAFLOW.kind} {dataflow.namespace}/{dataflow.name}")
    write(f"Only another flow can have what the spec says: {every(plan.fields)}.\n")
    rows = [(_DONE[one.action], one.object, one.id) for one in plan.actions]
    write_table(("ACTION", "OBJECT", "ID"), rows)
    write("\n" + "\n".join(reads_in_words(plan.reads)) + "\n")


def _is_wanted(plan: PlanStatus) -> bool:
    if not can_ask():
        raise Problem(
            f"plan {plan.hash} is not approved: there is no terminal to ask at", "Approve it with --yes"
        )
    if confirm("Approve this plan?"):
        return True
    say(f"Plan {plan.hash} is not approved. The flow goes on as it is.")
    return False


async def _annotate(cluster: Cluster, name: str, plan: PlanStatus) -> None:
    """Approve just this plan, if it is still the one. Raises Problem."""
    for _ in range(_ATTEMPTS):
        dataflow = await cluster.dataflow(name)
        found = plan_of(dataflow)
        if found.hash != plan.hash:
            raise Problem(
                f"plan {plan.hash} is not approved: meanwhile it has become plan {found.hash}",
                "Look at that one with the same command",
            )
        if approved_already(dataflow, found):
            return
        try:
            return await cluster.approve_plan(dataflow, plan.hash)
        except ConflictError as error:
            conflict = error
    raise conflict


def _no_plan(dataflow: Dataflow) -> Problem:
    ready, flow_id = dataflow.ready, dataflow.spec.flow_id
    if ready is not None and ready.reason == "ReplacementRequired" and flow_id is not None:
        return Problem(
            f"flow {flow_id} was adopted by spec.flowId, and an adopted flow is not replaced",
            "Set the fields back, or delete the resource, which leaves the flow, and create it anew without "
            "flowId",
        )
    said = f" {ready.reason}: {sanitize(ready.message, _TEXT_LENGTH)}" if ready else ""
    return Problem(f"there is no plan to approve for {_named(dataflow)}.{said}")


def _rolled_back(plan: PlanStatus) -> Problem:
    cause = sentence(sanitize(plan.failure or "", _TEXT_LENGTH))
    again = f" at {plan.retry_time:%Y-%m-%dT%H:%M:%SZ}" if plan.retry_time else ""
    return Problem(
        f"plan {plan.hash} was approved before, and rolled back; the flow goes on as it is. {cause}",
        f"Remove the cause: the plan is tried again{again}. Setting the fields back ends it",
    )


def _what_comes(dataflow: Dataflow) -> str:
    if dataflow.spec.paused:
        return "The operator carries it out once spec.paused is false."
    command = f"kubectl get crmdataflow {dataflow.name} -n {dataflow.namespace} -w"
    return f"The operator carries it out; follow it with: {command}"


def _named(dataflow: Dataflow) -> str:
    return f'{CRM_DATAFLOW.kind} "{dataflow.name}"'
