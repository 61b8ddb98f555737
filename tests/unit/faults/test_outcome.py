"""What counts as the same outcome, and what as a difference, a double, an orphan."""

from __future__ import annotations

import json
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest

from tests.faults.outcome import TARGETS, Arrival, Difference, Outcome, build, compare
from tests.kit.runs import RUN

SPARE = frozenset({Difference.SPARE_MAPPING_SET})
NOTHING: frozenset[Difference] = frozenset()


def key(digits: str) -> str:
    return f"[crmflow:faults:{digits * 16}]"


class Side:
    """A sandbox with a connection and a mapping set, and the resource that names them."""

    def __init__(self, run: str) -> None:
        """``run`` makes ids, uid, namespace and lookup key those of another run."""
        self.namespace = f"faults-{run}"
        self.connection = self.new_connection(f"connection-{run}", run)
        self.mapping_set = self.new_mapping_set(run)
        self.sandbox: dict[str, Any] = {
            "connections": [self.connection],
            "sourceConnections": [],
            "targetConnections": [],
            "flows": [],
            **{collection: [] for collection in TARGETS},
            "mappingSets": [self.mapping_set, {"id": "foreign", "name": "somebody's", "mappings": []}],
        }
        self.resource: dict[str, Any] = {
            "metadata": {"uid": f"uid-{run}", "finalizers": ["crmflow.io/finalizer"]},
            "status": {
                "baseConnection": {"id": self.connection["id"]},
                "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": run}],
            },
        }

    def new_connection(self, id_: str, run: str) -> dict[str, Any]:
        return {
            "id": id_,
            "createdAt": run,
            "name": f"Zoho {key(run)}",
            "description": f"managed by crmflow faults {self.namespace}/zoho uid-{run}",
        }

    def new_mapping_set(self, run: str) -> dict[str, Any]:
        return {"id": f"set-{run}", "name": "crmflow:faults:abc", "mappings": [{"id": f"entry-{run}"}]}

    @property
    def outcome(self) -> Outcome:
        resources = {"ZohoSourceConnection": self.resource, "CRMDataflow": None}
        return build(self.sandbox, resources, self.namespace)


@pytest.fixture
def expected() -> Side:
    return Side("a")


@pytest.fixture
def found() -> Side:
    return Side("b")


def test_two_runs_are_the_same_but_for_ids_and_times(expected: Side, found: Side) -> None:
    verdict = compare(expected.outcome, found.outcome, NOTHING)
    assert verdict.converged
    assert not verdict.allowed


def test_a_description_is_compared(expected: Side, found: Side) -> None:
    found.connection["description"] = "another"
    (difference,) = compare(expected.outcome, found.outcome, SPARE).differences
    assert difference.startswith('connections[0].description: "another" instead of "managed by crmflow')


def test_a_condition_is_compared(expected: Side, found: Side) -> None:
    found.resource["status"]["conditions"][0]["status"] = "False"
    verdict = compare(expected.outcome, found.outcome, SPARE)
    assert verdict.differences == (
        'ZohoSourceConnection.status.conditions[0].status: "False" instead of "True"',
    )


def test_an_id_that_leads_nowhere_is_a_difference(expected: Side, found: Side) -> None:
    found.resource["status"]["baseConnection"]["id"] = "nowhere"
    verdict = compare(expected.outcome, found.outcome, SPARE)
    assert verdict.differences
    assert verdict.orphaned == ("connections connection-b",)
    assert not verdict.converged


def test_a_resource_that_is_still_there_is_a_difference(expected: Side, found: Side) -> None:
    gone = build(expected.sandbox, {"ZohoSourceConnection": None, "CRMDataflow": None}, expected.namespace)
    assert not compare(gone, found.outcome, SPARE).converged


def test_one_on_its_way_out_is_a_difference(expected: Side, found: Side) -> None:
    found.resource["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert not compare(expected.outcome, found.outcome, SPARE).converged


def test_two_objects_of_one_key_are_a_double_and_an_orphan(expected: Side, found: Side) -> None:
    found.sandbox["connections"].append(found.new_connection("second", "b"))
    verdict = compare(expected.outcome, found.outcome, SPARE)
    assert verdict.doubled == (f"connections {key('b')}",)
    assert verdict.orphaned == ("connections second",)


def test_an_object_without_our_key_is_no_orphan(expected: Side, found: Side) -> None:
    for side in (expected, found):
        side.sandbox["flows"].append({"id": "theirs", "name": "somebody's"})
    assert compare(expected.outcome, found.outcome, NOTHING).converged


def test_one_spare_mapping_set_is_fine_where_it_is_expected(expected: Side, found: Side) -> None:
    found.sandbox["mappingSets"].append(found.new_mapping_set("c"))
    verdict = compare(expected.outcome, found.outcome, SPARE)
    assert verdict.converged
    assert verdict.allowed == SPARE


def test_it_is_a_difference_elsewhere(expected: Side, found: Side) -> None:
    found.sandbox["mappingSets"].append(found.new_mapping_set("c"))
    assert compare(expected.outcome, found.outcome, NOTHING).differences


def test_two_spare_mapping_sets_are_a_double(expected: Side, found: Side) -> None:
    found.sandbox["mappingSets"] += [found.new_mapping_set(run) for run in "cd"]
    assert compare(expected.outcome, found.outcome, SPARE).doubled == ("mappingSets",)


def test_a_mapping_set_of_other_content_is_a_difference(expected: Side, found: Side) -> None:
    other = deepcopy(found.new_mapping_set("c"))
    other["name"] = "crmflow:faults:def"
    found.sandbox["mappingSets"].append(other)
    assert compare(expected.outcome, found.outcome, SPARE).differences


def test_another_number_is_told_as_a_number(expected: Side, found: Side) -> None:
    found.sandbox["connections"].clear()
    verdict = compare(expected.outcome, found.outcome, SPARE)
    assert "connections: 0 instead of 1" in verdict.differences


ARRIVED = Arrival(ingested=3, files=("<window>-0.csv",))


@pytest.mark.parametrize(
    ("arrival", "difference"),
    [
        (replace(ARRIVED, missing=1), "missing: 1 instead of 0"),
        (replace(ARRIVED, ingested=2), "ingested: 2 instead of 3"),
        (replace(ARRIVED, files=()), 'files: [] instead of ["<window>-0.csv"]'),
    ],
)
def test_what_came_through_the_landing_zone_is_compared(
    expected: Side, found: Side, arrival: Arrival, difference: str
) -> None:
    verdict = compare(
        replace(expected.outcome, arrival=ARRIVED), replace(found.outcome, arrival=arrival), NOTHING
    )
    assert verdict.differences == (difference,)


def test_a_row_that_was_ingested_twice_is_a_double(expected: Side, found: Side) -> None:
    twice = Arrival(doubled=(("17", "2026-01-01T00:00:00Z"),))
    verdict = compare(expected.outcome, replace(found.outcome, arrival=twice), NOTHING)
    assert verdict.doubled == ("row 17 of 2026-01-01T00:00:00Z",)


def test_a_job_that_is_left_is_an_orphan(expected: Side, found: Side) -> None:
    left = Arrival(left=("Job crmflow-contacts-1",))
    verdict = compare(expected.outcome, replace(found.outcome, arrival=left), NOTHING)
    assert verdict.orphaned == ("Job crmflow-contacts-1",)


def test_folders_of_files_are_the_same_but_for_their_hash(expected: Side, found: Side) -> None:
    for side, digest in ((expected, "0a1b2c3d"), (found, "4e5f6a7b")):
        folder = f"crmflow/faults/{side.namespace}/contacts/0-{digest}"
        side.sandbox["sourceConnections"] = [{"id": f"source-{digest}", "params": {"path": folder}}]
    assert compare(expected.outcome, found.outcome, NOTHING).converged


def test_whether_the_last_window_had_rows_is_a_matter_of_time(expected: Side, found: Side) -> None:
    for side, reason in ((expected, "Succeeded"), (found, "NothingNew")):
        said = {"type": "Extracted", "status": "True", "reason": reason, "message": reason}
        side.resource["status"]["conditions"].append(said)
    assert compare(expected.outcome, found.outcome, NOTHING).converged
    found.resource["status"]["conditions"][-1]["status"] = "False"
    assert compare(expected.outcome, found.outcome, NOTHING).differences


@pytest.mark.parametrize(("ingested", "is_allowed"), [(6, True), (7, False)])
def test_a_run_whose_request_was_never_sent_says_that_it_was_lost(
    ingested: int, is_allowed: bool, expected: Side, found: Side
) -> None:
    """One that Platform has carried out must be found."""
    lost = {"status": {"result": {"failed": True, "reason": "RequestLost"}}}
    verdict = compare(
        replace(expected.outcome, arrival=Arrival(ingested=7)),
        replace(
            found.outcome,
            arrival=Arrival(ingested=ingested, missing=7 - ingested),
            resources={**found.outcome.resources, RUN: json.dumps(lost)},
        ),
        frozenset({Difference.REQUEST_LOST}),
    )
    assert verdict.allowed == ({Difference.REQUEST_LOST} if is_allowed else set())
