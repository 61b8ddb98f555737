"""A plan as it is written, for people, programs and pull requests."""

from __future__ import annotations

import json
from typing import Any

import pytest

from crmflow.api.crmdataflow import PlanState, PlanStatus, Reads, ReadsFrom
from crmflow.cli.options import PlanFormat
from crmflow.cli.plan_output import as_data, show, summary
from crmflow.preview.notes import ChangeVerb, Write
from crmflow.preview.preview import ResourcePreview
from crmflow.reconcile.core.outcome import DONE, PAUSED, Outcome, stalled, waiting
from crmflow.runtime.controller.keys import Key

UPDATE = Write(ChangeVerb.UPDATE, "flow", "f1", fields=("/scheduleParams/interval",))
CREATE = Write(ChangeVerb.CREATE, "flow", name="Kunden | *EU* [x]")
REQUIRED = stalled("ReplacementRequired", "spec.source.table can't be changed.")


def one(*writes: Write, outcome: Outcome = DONE, **more: Any) -> ResourcePreview:
    return ResourcePreview(Key("CRMDataflow", "crm", "contacts"), False, writes, outcome, **more)


def replaced(approved: str | None = None) -> ResourcePreview:
    plan = PlanStatus(
        hash="0a1b2c3d4e5f",
        fields=("spec.source.table",),
        actions=(),
        reads=Reads(begin=ReadsFrom.BEGINNING),
        state=PlanState.WAITING_FOR_APPROVAL,
        approved=approved,
    )
    if approved:
        return one(CREATE, plan=plan)
    return one(outcome=REQUIRED, plan=plan, once_approved=(CREATE,))


def shown(
    capsys: pytest.CaptureFixture[str], found: ResourcePreview, output: PlanFormat | None = None
) -> str:
    show([found], output)
    return capsys.readouterr().out


def test_a_table_of_what_is_done(capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(capsys, one(UPDATE))
    assert [line.split() for line in text.splitlines() if line] == [
        ["CRMDataflow", "crm/contacts"],
        ["DOES", "OBJECT", "WHICH", "FIELDS"],
        ["update", "flow", "f1", "scheduleParams.interval"],
        ["In", "all:", "update", "1."],
    ]


def test_a_plan_names_its_hash_and_who_approves_it(capsys: pytest.CaptureFixture[str]) -> None:
    waits = shown(capsys, replaced())
    assert "Plan 0a1b2c3d4e5f, once it is approved:" in waits
    assert "kubectl crmflow approve contacts -n crm" in waits
    assert "crmflow.io/approve-plan: 0a1b2c3d4e5f" in waits
    assert "The new flow reads all records." in waits
    assert "replacementPolicy is Automatic" in shown(capsys, replaced("ReplacementPolicy"))
    assert "is approved by the annotation" in shown(capsys, replaced("Annotation"))


def test_markdown_shows_names_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(capsys, replaced(), PlanFormat.MARKDOWN)
    assert r"| create | flow | Kunden \| \*EU\* \[x\] |  |" in text
    assert "Plan `0a1b2c3d4e5f`, once it is approved:" in text


def test_data_holds_all_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    data = json.loads(shown(capsys, replaced(), PlanFormat.JSON))
    assert (data["changes"], data["complete"]) == (True, True)
    [resource] = data["resources"]
    assert resource["writes"] == []
    assert resource["plan"]["hash"] == "0a1b2c3d4e5f"
    assert [write["verb"] for write in resource["plan"]["writes"]] == ["Create"]
    assert resource["ends"]["reason"] == "ReplacementRequired"


@pytest.mark.parametrize(
    ("found", "changes", "complete"),
    [
        (one(), False, True),
        (one(UPDATE), True, True),
        (one(outcome=PAUSED), False, True),
        (one(outcome=waiting("InUse", "In use.")), False, False),
        (one(UPDATE, outcome=stalled("MappingInvalid", "No.")), True, False),
        (replaced(), True, True),
        (one(outcome=REQUIRED), False, False),  # an adopted flow, which is not replaced
    ],
)
def test_changes_and_whether_that_is_all(found: ResourcePreview, changes: bool, complete: bool) -> None:
    data = as_data([found])
    assert (data["changes"], data["complete"]) == (changes, complete)


def test_why_it_does_not_come_to_its_end_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert "It ends with InUse: In use." in shown(capsys, one(outcome=waiting("InUse", "In use.")))
    assert "It ends with Paused" in shown(capsys, one(outcome=PAUSED))
    assert "Taken for true: Yes." in shown(capsys, one(UPDATE, assumptions=("Yes.",)))


def test_the_last_line_counts() -> None:
    assert summary([one()]) == "Nothing to do."
    assert summary([one(UPDATE, CREATE, UPDATE), replaced()]) == "In all: create 2, update 2."
    assert summary([one(outcome=waiting("InUse", "In use."))]) == "Nothing would be done."
