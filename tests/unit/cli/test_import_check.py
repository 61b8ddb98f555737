"""What the planner says of a manifest decides whether it is written."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from crmflow.api.kinds import CRM_DATAFLOW
from crmflow.cli.importing.check import verdict
from crmflow.cli.importing.files import write_files
from crmflow.cli.importing.manifests import Manifest
from crmflow.cli.problem import Problem
from crmflow.preview.notes import ChangeVerb, Write
from crmflow.preview.preview import ResourcePreview
from crmflow.reconcile.core.outcome import DONE, stalled
from crmflow.runtime.controller.keys import Key

ONE = Manifest(CRM_DATAFLOW, "contacts", "flow-1", "Contacts", {"kind": "CRMDataflow"})
PLANNED = ResourcePreview(Key("CRMDataflow", "team", "contacts"), False, (), DONE)


def test_nothing_to_do_is_fine() -> None:
    assert verdict(ONE, PLANNED).is_fine


def test_a_write_is_a_refusal() -> None:
    write = Write(ChangeVerb.UPDATE, "flow", "flow-1", fields=("/scheduleParams/interval",))
    found = verdict(ONE, replace(PLANNED, writes=(write,)))
    assert not found.is_fine
    assert found.refusal is not None
    assert "update flow (scheduleParams.interval)" in found.refusal.why


def test_an_end_that_is_none_leaves_it_open() -> None:
    found = verdict(ONE, replace(PLANNED, outcome=stalled("SecretNotFound", "There is no Secret.")))
    assert (found.is_fine, found.refusal) == (False, None)
    assert found.unchecked == "SecretNotFound: There is no Secret."


def test_what_differs_and_is_only_observed_is_told() -> None:
    found = verdict(ONE, replace(PLANNED, drift="What exists differs."))
    assert (found.is_fine, found.differs) == (True, "What exists differs.")


def test_files_are_written_once_and_edits_are_kept(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    write_files(folder, [ONE], overwrite=False)
    file = folder / ONE.file
    assert file.read_text() == "kind: CRMDataflow\n"
    written = file.stat().st_mtime_ns
    write_files(folder, [ONE], overwrite=False)
    assert file.stat().st_mtime_ns == written
    file.write_text("kind: Edited\n")
    other = replace(ONE, name="other")
    with pytest.raises(Problem, match=r"crmdataflow-contacts\.yaml"):
        write_files(folder, [other, ONE], overwrite=False)
    assert not (folder / other.file).exists()
    write_files(folder, [other, ONE], overwrite=True)
    assert file.read_text() == "kind: CRMDataflow\n"


def test_a_folder_that_is_a_file_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Problem, match="can't be written"):
        write_files(tmp_path / "file", [ONE], overwrite=False)
