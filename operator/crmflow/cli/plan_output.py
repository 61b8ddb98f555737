"""A plan as people read it at the terminal and in a pull request, and as data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from crmflow.api.kinds import APPROVE_PLAN
from crmflow.cli.options import Format, PlanFormat
from crmflow.cli.output import write, write_data, write_table
from crmflow.cli.problem import sentence
from crmflow.observability.redaction import sanitize
from crmflow.preview.notes import ChangeVerb, Write
from crmflow.preview.preview import PROFILE_BATCHES_PER_DAY, ResourcePreview
from crmflow.reconcile.core.ownership import without_key
from crmflow.reconcile.plan_in_words import reads_in_words
from crmflow.sentences import every

_TEXT_LENGTH = 2048
_HEADERS = ("DOES", "OBJECT", "WHICH", "FIELDS")
_ORDER = tuple(ChangeVerb)


def show(found: Sequence[ResourcePreview], output: PlanFormat | None) -> None:
    """Write it to standard output."""
    match output:
        case None:
            _show_table(found)
        case PlanFormat.MARKDOWN:
            write("\n".join(_markdown(found)))
        case PlanFormat.JSON | PlanFormat.YAML:
            write_data(as_data(found), Format(output))


def as_data(found: Sequence[ResourcePreview]) -> dict[str, Any]:
    """All of it."""
    return {
        "changes": any(one.has_changes for one in found),
        "complete": all(one.is_complete for one in found),
        "resources": [_resource(one) for one in found],
    }


def _resource(one: ResourcePreview) -> dict[str, Any]:
    plan = one.plan
    data: dict[str, Any] = {
        "kind": one.key.kind,
        "namespace": one.key.namespace,
        "name": one.key.name,
        "does": _does(one),
        "writes": [_write(write) for write in one.writes],
        "ends": _end(one.outcome),
        "assumptions": list(one.assumptions),
    }
    if one.budget is not None:
        data["budget"] = {
            **one.budget.model_dump(mode="json", by_alias=True, exclude_none=True),
            "profileBatchesPerDayOfSandbox": round(one.profile_batches_of_sandbox, 2),
        }
    if plan is not None:
        data["plan"] = {
            **plan.model_dump(mode="json", by_alias=True, exclude_none=True),
            "writes": [_write(write) for write in one.once_approved],
            "ends": _end(one.outcome_once_approved),
        }
    return data


def _write(write: Write) -> dict[str, Any]:
    data = {"verb": str(write.verb), "object": write.object, "id": write.id, "name": write.name}
    more = {"fields": list(write.fields), "zohoCredits": write.credits}
    return {name: value for name, value in {**data, **more}.items() if value}


def _end(outcome: Any) -> dict[str, str]:
    data = {"class": str(outcome.outcome_class), "reason": outcome.reason, "message": outcome.message}
    return {name: sanitize(value, _TEXT_LENGTH) for name, value in data.items() if value}


def _does(one: ResourcePreview) -> str:
    if one.deleting:
        return "delete"
    return "create" if one.is_new else "apply"


# At the terminal


def _show_table(found: Sequence[ResourcePreview]) -> None:
    for number, one in enumerate(found):
        write(("\n" if number else "") + _title(one))
        if one.writes:
            write("")
            write_table(_HEADERS, map(_row, one.writes))
        if one.once_approved:
            write(f"\nPlan {one.plan.hash if one.plan else ''}, once it is approved:\n")
            write_table(_HEADERS, map(_row, one.once_approved))
        sentences = list(_sentences(one))
        if sentences:
            write("\n" + "\n".join(sentences))
    write("\n" + summary(found))


def _title(one: ResourcePreview) -> str:
    concerned = "" if one.is_asked_for else ", which it concerns"
    state = {"delete": " (deleted)", "create": " (new)"}.get(_does(one), "")
    end = "" if one.has_changes or not one.is_complete else ": nothing to do"
    return f"{one.key.kind} {one.key.namespace}/{one.key.name}{state}{concerned}{end}"


def _row(write: Write) -> tuple[str, ...]:
    which = without_key(write.name) or write.id or "the new one"
    fields = _fields(write)
    return (str(write.verb).lower(), write.object, which, every(fields) if fields else "")


def _fields(write: Write) -> list[str]:
    return [field.strip("/").replace("/", ".") for field in write.fields]


def _sentences(one: ResourcePreview) -> Iterator[str]:
    """What the tables do not say."""
    plan = one.plan
    if plan is not None:
        yield f"Only another flow can have what the spec says: {every(plan.fields)}."
        yield from reads_in_words(plan.reads)
        yield _approval(one)
    end = one.outcome_once_approved if one.once_approved else one.outcome
    if not one.is_complete or end.reason == "Paused":
        said = sanitize(sentence(end.message), _TEXT_LENGTH)
        yield f"It ends with {end.reason or end.outcome_class}: {said}"
    if one.has_changes:
        yield from _budget(one)
    yield from (f"Taken for true: {text}" for text in one.assumptions)


def _budget(one: ResourcePreview) -> Iterator[str]:
    budget = one.budget
    if budget is None:
        return
    if budget.profile_batches_per_day is not None:
        total = one.profile_batches_of_sandbox
        yield (
            f"It makes at least {budget.profile_batches_per_day:g} batches a day for Profile, of "
            f"{total:g} by the dataflows of this namespace in the sandbox; Adobe advises at most "
            f"{PROFILE_BATCHES_PER_DAY} in one."
        )
    if budget.zoho_credits is not None:
        yield f"What it reads first takes about {budget.zoho_credits} credits of Zoho CRM."
    if budget.zoho_credits_per_day is not None:
        yield (
            f"From then on it takes about {budget.zoho_credits_per_day} credits a day, if little changes "
            "between two runs."
        )


def _approval(one: ResourcePreview) -> str:
    plan = one.plan
    if plan is None:
        return ""
    match plan.approved:
        case "ReplacementPolicy":
            return f"Plan {plan.hash} is carried out at once: spec.replacementPolicy is Automatic."
        case None:
            name = f"{one.key.name} -n {one.key.namespace}"
            return (
                f"Plan {plan.hash} waits for approval: kubectl crmflow approve {name}, or the annotation "
                f"{APPROVE_PLAN}: {plan.hash}"
            )
        case _:
            return f"Plan {plan.hash} is approved by the annotation {APPROVE_PLAN}."


def summary(found: Iterable[ResourcePreview]) -> str:
    """How much of what, in one line."""
    writes = [write for one in found for write in (*one.writes, *one.once_approved)]
    if not writes:
        return "Nothing to do." if all(one.is_complete for one in found) else "Nothing would be done."
    counts = Counter(write.verb for write in writes)
    return (
        "In all: " + every([f"{str(verb).lower()} {counts[verb]}" for verb in _ORDER if counts[verb]]) + "."
    )


# In a pull request


def _markdown(found: Sequence[ResourcePreview]) -> Iterator[str]:
    yield "### kubectl crmflow plan"
    yield f"\n{_escaped(summary(found))}"
    for one in found:
        yield f"\n#### {_escaped(_title(one))}"
        for title, writes in (
            ("", one.writes),
            (f"Plan `{one.plan.hash if one.plan else ''}`, once it is approved:", one.once_approved),
        ):
            if writes:
                yield f"\n{title}\n" if title else ""
                yield "| does | object | which | fields |"
                yield "|---|---|---|---|"
                yield from ("| " + " | ".join(map(_escaped, _row(write))) + " |" for write in writes)
        yield from (f"\n{_escaped(text)}" for text in _sentences(one))


def _escaped(text: str) -> str:
    """Text that Markdown shows as it is."""
    plain = sanitize(text, _TEXT_LENGTH)
    return "".join(f"\\{character}" if character in "\\`*_[]<>|#@" else character for character in plain)
