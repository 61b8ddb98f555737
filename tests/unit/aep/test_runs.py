"""Runs in all the spellings that Flow Service may use (platform.md 7.1)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from crmflow.aep.collection import OfFlow, StartedAfter, WithIds
from crmflow.aep.flow_service import RUNS
from crmflow.aep.models import Created, Run, RunError, RunMetrics
from crmflow.aep.runs import ERROR_LENGTH, MOST_ERRORS, last_run_of, run_of
from crmflow.http.errors import RemoteError
from tests.unit.aep.fake import Fake

START, END = 1_612_310_500_000, 1_612_310_560_000
METRICS = {
    "durationSummary": {"startedAtUTC": START, "completedAtUTC": END},
    "sizeSummary": {"inputBytes": 2048, "outputBytes": "1024"},
    "recordSummary": {
        "inputRecordCount": 100,
        "outputRecordCount": 98,
        "skippedRecordCount": 2,
        "failedRecordCount": 0,
    },
    "statusSummary": {"status": "success", "errors": []},
}


def raw(status: str = "success", errors: Any = (), **metrics: Any) -> dict[str, Any]:
    """A run as an item of a listing."""
    summary = {"status": status, "errors": list(errors)}
    return {"id": "r1", "flowId": "f1", "metrics": {**METRICS, "statusSummary": summary, **metrics}}


def test_a_run_is_read_with_its_counts() -> None:
    counts = RunMetrics(100, 98, 2, 0, 2048, 1024)
    assert run_of(raw()) == Run("r1", "f1", "success", START / 1000, END / 1000, counts)


@pytest.mark.parametrize(
    ("spelled", "state"),
    [
        *((word, "success") for word in ("success", "Success", "SUCCESS", "COMPLETED", "completed")),
        *((word, "failed") for word in ("failed", "Failed", "FAILED")),
        *((word, "inProgress") for word in ("inProgress", "IN_PROGRESS", "InProgress", "in_progress")),
        *((word, "partialSuccess") for word in ("PARTIAL_SUCCESS", "partialSuccess", "PARTIAL_FAILURE")),
        *((word, word.lower()) for word in ("QUEUED", "queued", "SCHEDULED")),
        ("cancelled <b>", "cancelled"),
        ("", ""),
    ],
)
def test_every_spelling_of_a_state_is_known(spelled: str, state: str) -> None:
    assert run_of(raw(spelled)).state == state
    assert last_run_of({"id": "f1", "lastRunDetails": {"id": "r", "state": spelled}}) == Run(
        "r", "f1", state, None, None
    )


def test_the_state_may_stand_on_the_run_itself() -> None:
    assert run_of({"id": "r1", "state": "inProgress"}) == Run("r1", "", "inProgress", None, None)


@pytest.mark.parametrize(
    "partial",
    [
        raw(errors=[{"code": "INGEST-1212-400", "message": "2 errors"}]),
        raw(recordSummary={"inputRecordCount": 9, "outputRecordCount": 8, "failedRecordCount": 1}),
        raw("COMPLETED", recordSummary={"failedRecordCount": "1"}),
    ],
    ids=["with errors", "with refused records", "as a string"],
)
def test_a_success_that_refused_records_is_a_partial_one(partial: dict[str, Any]) -> None:
    assert run_of(partial).state == "partialSuccess"


MAPPER = {"code": "MAPPER-3700-400", "message": "Not a date", "recordCount": 3}


@pytest.mark.parametrize(
    ("records", "state"),
    [
        ({"inputRecordCount": 150, "outputRecordCount": 150, "failedRecordCount": 0}, "success"),
        ({"inputRecordCount": 150, "outputRecordCount": 150}, "success"),
        ({"failedRecordCount": 0}, "success"),
        ({"inputRecordCount": 150, "outputRecordCount": 149, "failedRecordCount": 0}, "partialSuccess"),
        ({"inputRecordCount": 150, "outputRecordCount": 150, "failedRecordCount": 1}, "partialSuccess"),
        ({"inputRecordCount": 150}, "partialSuccess"),
        ({}, "partialSuccess"),
    ],
)
def test_a_success_with_errors_is_a_partial_one_unless_everything_was_ingested(
    records: dict[str, int], state: str
) -> None:
    found = run_of(raw(errors=[MAPPER], recordSummary=records))
    assert found.state == state
    assert found.errors == (RunError("MAPPER-3700-400", "Not a date", 3),)


def test_of_a_long_error_the_cause_is_kept_whole_up_to_the_length_of_status() -> None:
    cause = "HybridDeliveryException GET https://www.zohoapis.eu/crm?$filter=" + "a" * 520 + " Unauthorized"
    assert (
        run_of(raw("failed", [{"code": "CONNECTOR-1001-500", "message": cause}])).errors[0].message == cause
    )
    [longer] = run_of(raw("failed", [{"code": "C", "message": "x" * 9000 + " Unauthorized"}])).errors
    assert len(longer.message) == ERROR_LENGTH
    assert longer.message.endswith("Unauthorized")


def test_errors_without_a_code_are_told_apart_by_their_text() -> None:
    errors = [{"message": "first"}, {"message": "second"}, {"message": "first"}]
    assert [error.message for error in run_of(raw("failed", errors)).errors] == ["first", "second"]


def test_errors_are_sanitized_and_bounded() -> None:
    secret = "1000.0123456789abcdef0123456789abcdef.0123456789abcdef0123456789abcdef"
    errors = [{"code": f"CONNECTOR-{n}-500", "message": f"<b>no</b> {secret}\n"} for n in range(9)]
    found = run_of(raw("failed", errors)).errors
    assert len(found) == MOST_ERRORS
    assert found[0] == RunError("CONNECTOR-0-500", "no ***")


def test_errors_of_activities_are_told_beside_the_runs_own() -> None:
    """Samples of refused records hold customers' data and are left where they are."""
    summary = {
        "status": "success",
        "errors": [{"code": "INGEST-1212-400", "message": "4 errors"}],
        "extensions": {
            "errors": [
                {"code": "MAPPER-3700-400", "message": "Not a date", "recordCount": "4", "type": "x"},
                {"code": "INGEST-1212-400", "message": "again"},
            ],
            "manifest": {"sampleErrors": "row_error_samples.json"},
        },
    }
    assert run_of(raw(statusSummary=summary)).errors == (
        RunError("INGEST-1212-400", "4 errors"),
        RunError("MAPPER-3700-400", "Not a date", 4),
    )


def test_what_is_not_known_is_absent() -> None:
    found = run_of(raw("failed", sizeSummary={"inputBytes": -1, "outputBytes": -1}, recordSummary={"x": 1}))
    assert found.metrics == RunMetrics()
    assert run_of({"id": "r1", "flowId": "f1", "metrics": "none"}).metrics is None


@pytest.mark.parametrize("value", [None, "", "soon", 0, -1, 1e300, True, "1e999"])
def test_what_is_no_instant_is_none(value: Any) -> None:
    found = run_of(raw(durationSummary={"startedAtUTC": value, "completedAtUTC": value}))
    assert (found.started_at, found.completed_at) == (None, None)


def run(id: str = "r1", state: str = "success", start: float | None = 10.0, **fields: Any) -> Run:
    """A run, ended unless it says otherwise."""
    end = None if state in ("inProgress", "queued") else 20.0
    return Run(id, "f1", state, start, end, **fields)


@pytest.mark.parametrize(
    ("later", "known", "supersedes"),
    [
        (run(), None, True),
        (run("r2", start=11.0), run(), True),
        (run("r0", start=9.0), run(), False),
        (run("r2", "queued", None), run(), True),
        (run(), run("r2", "queued", None), False),
        (run(), run(state="inProgress"), True),
        (run(state="inProgress"), run(), False),
        (run(), run(metrics=RunMetrics()), False),
        (run(metrics=RunMetrics()), run(), True),
        (run(), run(state="inProgress", metrics=RunMetrics()), True),
        (run(state="partialSuccess", metrics=RunMetrics()), run(metrics=RunMetrics()), True),
    ],
)
def test_the_later_run_counts_and_of_one_run_what_tells_more(
    later: Run, known: Run | None, supersedes: bool
) -> None:
    assert later.supersedes(known) is supersedes


async def test_runs_are_listed_since_an_instant_the_latest_first() -> None:
    fake = Fake({"items": [raw(), {"id": "r2"}], "_links": {}})
    found = await fake.client.list(RUNS, StartedAfter(1_612_310_500.25))
    assert [run.id for run in found] == ["r1", "r2"]
    query = dict(fake.request.url.params)
    assert fake.request.url.path == "/data/foundation/flowservice/runs"
    assert query == {
        "property": "metrics.durationSummary.startedAtUTC>1612310500250",
        "orderby": "-createdAt",
        "limit": "100",
    }


async def test_runs_of_a_flow() -> None:
    fake = Fake({"items": [raw(), {"id": "r2", "flowId": "f2"}], "_links": {}})
    found = await fake.client.list(RUNS, OfFlow("f1", 1_612_310_500.25))
    assert [run.id for run in found] == ["r1"], "whatever the filter found"
    assert fake.request.url.params.get_list("property") == [
        "flowId==f1",
        "metrics.durationSummary.startedAtUTC>1612310500250",
    ]


async def test_a_run_is_run_again() -> None:
    fake = Fake({"id": "r2", "etag": "e2"})
    assert await fake.client.retry_run("r1") == Created("r2", "e2")
    assert fake.request.method == "POST"
    assert str(fake.request.url).endswith("/data/foundation/flowservice/runs/r1/action?op=re-trigger")


@pytest.mark.parametrize("name", ["activities", "activites"])
@pytest.mark.parametrize("start", [0, None, 1_612_306_800_000, "1612306800000"])
def test_the_window_of_a_run(name: str, start: Any) -> None:
    extensions = {"windowStart": start, "windowEnd": START}
    copied = {"activityType": "copyActivity", "durationSummary": {"extensions": extensions}}
    begin = float(start) / 1000 if start else 0.0
    assert run_of({**raw(), name: [{}, copied]}).window == (begin, START / 1000)
    assert run_of({**raw(), name: [{"durationSummary": {"extensions": {}}}]}).window is None


LINK = "https://platform.adobe.io/data/foundation/export/batches/01/meta?path=input_files"


@pytest.mark.parametrize(
    ("summary", "batches"),
    [
        ({}, ()),
        ({"manifest": {"fileInfo": [{"path": LINK, "pathPrefix": "/c/a/1.csv"}] * 2}}, ("01",)),
        ({"manifest": {"fileInfo": [{"path": LINK}, {"path": LINK.replace("01", "02")}]}}, ("01", "02")),
        ({"manifest": {"fileInfo": [{"pathPrefix": "a/1.csv"}]}}, ()),
        ({"extensions": {"manifest": {"fileInfo": LINK}}}, ("01",)),
        ({"extensions": {"manifest": {"fileInfo": "https://elsewhere.example/batches/../meta"}}}, ()),
    ],
)
def test_the_batches_that_the_manifest_of_a_run_links_to(summary: dict[str, Any], batches: Any) -> None:
    assert run_of(raw(fileSummary=summary)).batches == batches


@pytest.mark.parametrize("name", ["activities", "activites"])
def test_without_a_manifest_an_activity_names_the_batches(name: str) -> None:
    copied = {"sourceInfo": [{"reference": {"type": "AdfRunId", "ids": ["a"]}}]}
    promoted = {"targetInfo": [{"reference": {"type": "Batch", "ids": ["01", "02"]}}]}
    assert run_of({**raw(), name: [copied, promoted]}).batches == ("01", "02")


async def test_the_files_of_a_batch_are_in_lists_of_lines() -> None:
    listing = {"data": [{"name": "fileMetaData1.json"}, {"name": "fileMetaData2.json"}], "_page": {}}
    lines = '{"path": "F1.csv"}\n{"path": "etc/F2.csv"}\n', '{"path": "F3.csv"}'
    fake = Fake(listing, *lines)
    assert await fake.client.batch_files("01/..") == ("F1.csv", "etc/F2.csv", "F3.csv")
    assert [str(request.url).partition("export/")[2] for request in fake.requests] == [
        "batches/01%2F../meta?path=input_files",
        "batches/01%2F../meta?path=input_files%2FfileMetaData1.json",
        "batches/01%2F../meta?path=input_files%2FfileMetaData2.json",
    ]


@pytest.mark.parametrize("answers", [({},), ({"data": [{"name": "a.json"}]}, "<html/>")])
async def test_another_answer_does_not_tell_that_there_are_no_files(answers: tuple[Any, ...]) -> None:
    with pytest.raises(RemoteError) as raised:
        await Fake(*answers).client.batch_files("01")
    assert raised.value.reason == "UnreadableAnswer"


ROW = {"Email": "x", "_errors": [{"code": "1401", "message": "Row is corrupted.\x1b"}], "_filename": "f"}


@pytest.mark.parametrize(
    "body",
    [f"{json.dumps(ROW)}\n\n{json.dumps(ROW)}\n", json.dumps([ROW, ROW], indent=4)],
    ids=["lines", "a list over several lines"],
)
async def test_refused_rows_as_they_are_written(body: str) -> None:
    found = await Fake(body).client.refused_rows("01/..", 9)
    assert [(row.errors, row.values) for row in found] == [
        ((RunError("1401", "Row is corrupted."),), {"Email": "x"})
    ] * 2
    assert "Email" not in repr(found), "they are people's data"


async def test_runs_by_ids_are_asked_for_a_hundred_at_a_time() -> None:
    fake = Fake({"items": [], "_links": {}}, {"items": [raw()], "_links": {}})
    found = await fake.client.list(RUNS, WithIds(tuple(f"r{number}" for number in range(101))))
    assert [run.id for run in found] == ["r1"]
    assert fake.requests[1].url.params["property"] == "id==r100"
