"""The last line tells the truth."""

from __future__ import annotations

from pathlib import Path

from tests.faults.calls import Call
from tests.faults.campaign import Result, Tally
from tests.faults.outcome import Difference, Verdict
from tests.faults.points import Fault, FaultPoint
from tests.faults.report import write_report
from tests.faults.scenarios import SCENARIOS, scenario_named

POINT = FaultPoint(Call("platform", "POST", "/flows"), 1, Fault.KILLED_AFTER)


def result(verdict: Verdict) -> Result:
    return Result("create", POINT, verdict, 1.0)


GOOD = result(Verdict())
SPARE = result(Verdict(allowed=frozenset({Difference.SPARE_MAPPING_SET})))
DOUBLED = result(Verdict(doubled=("flows [k]",), orphaned=("flows 1",)))
DIFFERENT = result(Verdict(differences=("status: 1 instead of 2",)))


def test_all_is_well() -> None:
    tally = Tally([GOOD, SPARE])
    assert tally.passed
    assert str(tally) == "2 fault points, 2 converged, 0 doubled, 0 orphaned"


def test_what_went_wrong_is_counted() -> None:
    tally = Tally([GOOD, DOUBLED, DIFFERENT])
    assert not tally.passed
    assert str(tally) == "3 fault points, 1 converged, 1 doubled, 1 orphaned"


def test_no_crash_is_no_proof() -> None:
    assert not Tally().passed


def test_results_are_told_in_words() -> None:
    assert GOOD.told == "converged"
    assert SPARE.told == "converged, one spare mapping set"
    assert DOUBLED.told == "doubled: flows [k]; orphaned: flows 1"
    assert DIFFERENT.told == "status: 1 instead of 2"


def test_the_page_has_every_point(tmp_path: Path) -> None:
    page = tmp_path / "reports" / "crash.md"
    write_report(page, Tally([GOOD, DIFFERENT]))
    text = page.read_text()
    assert "2 fault points, 1 converged" in text
    assert "May differ: time, Events, one spare mapping set." in text
    assert text.count("| committed, unanswered | `platform POST /flows` | 1 |") == 2


def test_scenarios_have_names_of_their_own() -> None:
    assert [scenario_named(scenario.name) for scenario in SCENARIOS] == list(SCENARIOS)
