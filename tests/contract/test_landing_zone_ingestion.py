"""What runs of files take, and what becomes of it (landing-zone.md E.3, E.4, K.4, K.5)."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from tests.contract.aep import CATALOG, CONVERSION, MAPPINGS, Aep, Answer
from tests.contract.landing_zone import credentials, flow, opened, put, source_body
from tests.emulators.aep import seed_data as ids
from tests.emulators.core.server import Emulators

HOUR, DAY = 3600, 86400
TENANT = f"_{ids.TENANT}"
EXPORT = "/data/foundation/export/batches"
CUSTOM = [
    {"sourceType": "ATTRIBUTE", "source": name, "destination": f"{TENANT}.{path}"}
    for name, path in (
        ("id", "zohoId"),
        ("Modified_Time", "modifiedTime"),
        ("Email_Opt_Out", "emailOptOut"),
        ("Score", "leadScore"),
        ("Title", "jobTitle"),
    )
]


def turn(aep: Aep, **positions: Any) -> None:
    """Set switches; the fixture's reset turns them back."""
    for name, position in positions.items():
        setattr(aep.emulators.aep.switches, name, position)


def contacts(*numbers: int) -> str:
    """A file of contacts."""
    rows = [f"{n},Ada,Fjordal,c{n}@example.com,2026-11-04T10:15:0{n % 10}Z" for n in numbers]
    return "\n".join(["id,First_Name,Last_Name,Email,Modified_Time", *rows, ""])


class Lake:
    """A dataset of the sandbox, through the control API."""

    def __init__(self, control: Any, dataset: str = ids.CONTACTS_DATASET) -> None:
        self._control = control
        self._path = f"/aep/sandboxes/prod/dataSets/{dataset}/rows"

    async def rows(self) -> list[dict[str, Any]]:
        """What was ingested."""
        found: list[dict[str, Any]] = (await self._control("GET", self._path))["rows"]
        return found

    async def ids(self) -> list[str]:
        """The ids of the rows, in the order of their arrival."""
        return [row["values"]["id"] for row in await self.rows()]


@pytest.fixture
def lake(control: Any) -> Lake:
    return Lake(control)


LINK = "https://platform.adobe.io/data/foundation/export/batches/BATCH/meta?path=input_files"


async def pass_time(control: Any, seconds: float) -> None:
    """Let time pass on the emulators' clock."""
    await control("POST", "/clock", {"advance": seconds})


async def begin(aep: Aep, control: Any, **more: Any) -> str:
    """An hourly flow of which the first tick has just passed."""
    id = await flow(aep, **more)
    await pass_time(control, 61)
    return id


async def runs(aep: Aep, flow_id: str) -> list[dict[str, Any]]:
    """The runs of a flow that can be seen, the oldest first."""
    assert (await aep.log_in()).status == 200
    found = await aep.get("/runs", f"flowId=={flow_id}", limit="100", orderby="createdAt")
    items: list[dict[str, Any]] = found.body["items"]
    return items


async def only_run(aep: Aep, control: Any, flow_id: str) -> dict[str, Any]:
    """The one run, after it has ended."""
    await pass_time(control, 200)
    (run,) = await runs(aep, flow_id)
    return run


def counts(run: dict[str, Any]) -> tuple[int, int, int]:
    """Records read, written and refused."""
    records = run["metrics"]["recordSummary"]
    return tuple(records[f"{kind}RecordCount"] for kind in ("input", "output", "failed"))


def codes(run: dict[str, Any]) -> list[str]:
    """The codes of the errors of a run."""
    return [error["code"] for error in run["metrics"]["statusSummary"]["errors"]]


async def meta(aep: Aep, batch: str, path: str) -> Answer:
    """What Data Access tells of a batch."""
    return await aep.call("GET", f"{EXPORT}/{batch}/meta", params=[("path", path)])


def batch_of(run: dict[str, Any]) -> str:
    """The Catalog batch of a run."""
    id: str = run["activities"][1]["targetInfo"][0]["reference"]["ids"][0]
    return id


# --- which files ------------------------------------------------------------------------------------------


async def test_each_file_is_taken_once(aep: Aep, control: Any, lake: Lake) -> None:
    await put(aep, "crmflow/a/b/1.csv", contacts(1, 2))
    await begin(aep, control)
    await pass_time(control, 200)
    assert await lake.ids() == ["1", "2"]
    await aep.log_in()
    await put(aep, "crmflow/a/b/2.csv", contacts(3))
    for _ in range(3):
        await pass_time(control, HOUR)
    assert await lake.ids() == ["1", "2", "3"]


@pytest.mark.parametrize(("backfill", "found"), [(True, ["1", "2"]), (False, ["2"])])
async def test_backfill(aep: Aep, control: Any, lake: Lake, backfill: bool, found: list[str]) -> None:
    await put(aep, "crmflow/a/b/1.csv", contacts(1))
    await pass_time(control, 10)
    id = await flow(aep, {**aep.hourly(), "backfill": backfill})
    await pass_time(control, 10)
    await put(aep, "crmflow/a/b/2.csv", contacts(2))
    await pass_time(control, 300)
    assert await lake.ids() == found
    assert len(await runs(aep, id)) == 1


async def test_an_overwritten_file_is_taken_again(aep: Aep, control: Any, lake: Lake) -> None:
    await put(aep, "crmflow/a/b/1.csv", contacts(1))
    await begin(aep, control)
    await pass_time(control, 200)
    await aep.log_in()
    async with opened((await credentials(aep))["SASUri"]) as container:
        await container.upload_blob("crmflow/a/b/1.csv", contacts(1, 2).encode(), overwrite=True)
    await pass_time(control, HOUR)
    assert await lake.ids() == ["1", "1", "2"]


async def test_other_folders_are_not_taken(aep: Aep, control: Any, lake: Lake) -> None:
    for name in ("crmflow/a/bc/1.csv", "crmflow/a/1.csv", "1.csv"):
        await put(aep, name, contacts(1))
    await put(aep, "crmflow/a/b/deep/2.csv", contacts(2))
    await begin(aep, control)
    await pass_time(control, 200)
    assert await lake.ids() == ["2"]


@pytest.mark.parametrize(
    ("params", "found"),
    [
        ({"path": "dlz-user-container/x", "type": "folder", "recursive": False}, ["1", "3"]),
        ({"path": "dlz-user-container/x", "type": "folder", "recursive": True}, ["1", "2", "3"]),
        ({"path": "dlz-user-container/x/*.csv"}, ["1"]),
        ({"path": "dlz-user-container/x/1.csv", "type": "file"}, ["1"]),
    ],
)
async def test_paths(aep: Aep, control: Any, lake: Lake, params: dict[str, Any], found: list[str]) -> None:
    for name, number in (("x/1.csv", 1), ("x/y/2.csv", 2), ("x/3.txt", 3)):
        await put(aep, name, contacts(number))
    await begin(aep, control, source=source_body(params=params))
    await pass_time(control, 200)
    assert sorted(await lake.ids()) == found


@pytest.mark.parametrize(
    ("position", "first", "later"),
    [("(]", ["1", "2"], ["3"]), ("[)", ["1"], ["2", "3"]), ("[]", ["1", "2"], ["2", "3"])],
)
async def test_window_bounds(
    aep: Aep,
    control: Any,
    lake: Lake,
    emulators: Emulators,
    position: str,
    first: list[str],
    later: list[str],
) -> None:
    """A file of the very second of a tick is taken by it, by the next one, or by both."""
    turn(aep, windowBounds=position)
    id = await begin(aep, control)
    tick = int((await aep.get(f"/flows/{id}")).item["scheduleParams"]["startTime"]) + HOUR
    await put(aep, "crmflow/a/b/1.csv", contacts(1))
    await put(aep, "crmflow/a/b/2.csv", contacts(2))
    container = await emulators.blob.container("prod")
    container.note_change("crmflow/a/b/2.csv", tick)  # no test can hit a second by waiting
    await pass_time(control, HOUR + 300)
    assert sorted(await lake.ids()) == first
    await aep.log_in()
    await put(aep, "crmflow/a/b/3.csv", contacts(3))
    await pass_time(control, HOUR)
    assert sorted(await lake.ids()) == sorted(first + later)


async def test_a_file_of_eight_days_is_gone(aep: Aep, control: Any, lake: Lake) -> None:
    id = await begin(aep, control)
    await aep.call("POST", f"/flows/{id}/action?op=disable")
    await put(aep, "crmflow/a/b/1.csv", contacts(1))
    await pass_time(control, 3 * DAY)
    await aep.log_in()
    await put(aep, "crmflow/a/b/2.csv", contacts(2))
    await pass_time(control, 5 * DAY)
    await aep.log_in()
    await aep.call("POST", f"/flows/{id}/action?op=enable")
    await pass_time(control, 2 * HOUR)
    assert await lake.ids() == ["2"]


async def test_a_leap_of_the_clock_misses_no_tick(aep: Aep, control: Any, lake: Lake) -> None:
    """A file that was alive at its tick is ingested, though it is gone when somebody looks."""
    id = await begin(aep, control)
    await put(aep, "crmflow/a/b/1.csv", contacts(1))
    await pass_time(control, 20 * DAY)
    assert await lake.ids() == ["1"]
    assert len(await runs(aep, id)) == 1


async def test_a_flow_that_is_disabled_does_not_run(aep: Aep, control: Any, lake: Lake) -> None:
    id = await begin(aep, control)
    await aep.call("POST", f"/flows/{id}/action?op=disable")
    await put(aep, "crmflow/a/b/1.csv", contacts(1))
    await pass_time(control, 2 * HOUR)
    assert await lake.ids() == []


@pytest.mark.parametrize(("position", "found"), [("catchUp", ["1"]), ("skip", [])])
async def test_window_after_pause(
    aep: Aep, control: Any, lake: Lake, position: str, found: list[str]
) -> None:
    turn(aep, windowAfterPause=position)
    id = await begin(aep, control)
    await aep.call("POST", f"/flows/{id}/action?op=disable")
    await put(aep, "crmflow/a/b/1.csv", contacts(1))
    await pass_time(control, 2 * HOUR)
    await aep.log_in()
    await aep.call("POST", f"/flows/{id}/action?op=enable")
    await pass_time(control, 2 * HOUR)
    assert await lake.ids() == found


async def test_a_flow_that_runs_once_takes_everything_once(aep: Aep, control: Any, lake: Lake) -> None:
    await put(aep, "crmflow/a/b/1.csv", contacts(1))
    await begin(aep, control, schedule=aep.once())
    await pass_time(control, HOUR)
    await aep.log_in()
    await put(aep, "crmflow/a/b/2.csv", contacts(2))
    await pass_time(control, DAY)
    assert await lake.ids() == ["1"]


# --- runs -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [150, 0])
async def test_run_visible_seconds(aep: Aep, control: Any, seconds: int) -> None:
    turn(aep, runVisibleSeconds=seconds)
    await put(aep, "crmflow/a/b/1.csv", contacts(1))
    id = await begin(aep, control)
    await pass_time(control, 60)
    assert len(await runs(aep, id)) == (0 if seconds else 1)
    await pass_time(control, 100)
    (run,) = await runs(aep, id)
    assert run["metrics"]["statusSummary"]["status"] == "inProgress"


@pytest.mark.parametrize("seconds", [180, 600])
async def test_file_run_seconds(aep: Aep, control: Any, lake: Lake, seconds: int) -> None:
    turn(aep, fileRunSeconds=seconds)
    await put(aep, "crmflow/a/b/1.csv", contacts(1))
    id = await begin(aep, control)
    await pass_time(control, seconds - 20)
    assert [run["state"] for run in await runs(aep, id)] == ["inProgress"]
    assert await lake.ids() == []
    await pass_time(control, 21)
    assert [run["state"] for run in await runs(aep, id)] == ["success"]
    assert await lake.ids() == ["1"]


@pytest.mark.parametrize(("position", "count"), [("none", 1), ("successZero", 3)])
async def test_empty_run(aep: Aep, control: Any, lake: Lake, position: str, count: int) -> None:
    turn(aep, emptyRun=position)
    id = await begin(aep, control)
    await pass_time(control, HOUR)
    await aep.log_in()
    await put(aep, "crmflow/a/b/1.csv", contacts(1))
    await pass_time(control, HOUR + 300)
    found = await runs(aep, id)
    assert [counts(run)[0] for run in found] == [0] * (count - 1) + [1]
    assert await lake.ids() == ["1"]


async def test_what_a_run_reports(aep: Aep, control: Any, lake: Lake) -> None:
    await put(aep, "crmflow/a/b/1.csv", contacts(1, 2))
    await put(aep, "crmflow/a/b/2.csv", contacts(3))
    run = await only_run(aep, control, await begin(aep, control))
    assert (counts(run), codes(run)) == ((3, 3, 0), [])
    files = run["metrics"]["fileSummary"]
    names = ("inputFileCount", "outputFileCount", "skippedFileCount", "failedFileCount")
    assert [files[name] for name in names] == [2, 1, 0, 0]
    assert run["metrics"]["sizeSummary"]["inputBytes"] == len(contacts(1, 2)) + len(contacts(3))
    batch = batch_of(run)
    assert files["extensions"]["manifest"]["fileInfo"].endswith(f"/batches/{batch}/meta?path=input_files")
    kept = (await aep.get(f"{CATALOG}/batches/{batch}")).body[batch]
    assert (kept["status"], kept["metrics"]["inputFileCount"], kept["metrics"]["outputRecordCount"]) == (
        "success",
        2,
        3,
    )
    assert {(row["batch"], row["run"]) for row in await lake.rows()} == {(batch, run["id"])}


async def test_rows_are_mapped(aep: Aep, control: Any, lake: Lake) -> None:
    await put(aep, "crmflow/a/b/1.csv", contacts(7))
    await begin(aep, control)
    await pass_time(control, 200)
    (row,) = await lake.rows()
    assert row["record"] == {
        "personalEmail": {"address": "c7@example.com"},
        "person": {"name": {"fullName": "Ada Fjordal"}},
        TENANT: {"origin": "zoho"},
    }
    assert row["values"] == {"id": "7", "Modified_Time": "2026-11-04T10:15:07Z"}
    assert row["file"] == "crmflow/a/b/1.csv"


@pytest.mark.parametrize("columns", [["id", "Id", "Modified_Time"], ["Email"]])
async def test_kept_columns(aep: Aep, control: Any, lake: Lake, columns: list[str]) -> None:
    turn(aep, keptColumns=columns)
    await put(aep, "crmflow/a/b/1.csv", contacts(7))
    await begin(aep, control)
    await pass_time(control, 200)
    (row,) = await lake.rows()
    assert set(row["values"]) == set(columns) & {"id", "Modified_Time", "Email"}


async def test_only_delimited_files_are_read(aep: Aep, control: Any, lake: Lake) -> None:
    await put(aep, "crmflow/a/b/1.json", "{}")
    source = source_body(data={"format": "json"})
    run = await only_run(aep, control, await begin(aep, control, source=source))
    assert (run["state"], codes(run)) == ("failed", ["CONNECTOR-2001-500"])


async def test_a_compressed_file(aep: Aep, control: Any, lake: Lake) -> None:
    await put(aep, "crmflow/a/b/1.csv.gz", gzip.compress(contacts(1).encode()))
    data = {"format": "delimited", "properties": {"compressionType": "gzip"}}
    await begin(aep, control, source=source_body(data=data))
    await pass_time(control, 200)
    assert await lake.ids() == ["1"]


async def test_a_new_version_of_the_mapping_reaches_later_runs_only_by_the_flow(
    aep: Aep, control: Any, lake: Lake
) -> None:
    id = await begin(aep, control)
    params = (await aep.get(f"/flows/{id}")).item["transformations"][0]["params"]
    body = aep.mapping_body([{**MAPPINGS[0], "destination": "workEmail.address"}])
    changed = await aep.call("PUT", f"{CONVERSION}/mappingSets/{params['mappingId']}", body)
    assert changed.status == 200
    await put(aep, "crmflow/a/b/1.csv", contacts(1))
    await pass_time(control, 2 * HOUR)
    assert "personalEmail" in (await lake.rows())[0]["record"]


async def test_control_runs_a_flow_at_once(aep: Aep, control: Any, lake: Lake) -> None:
    id = await flow(aep)
    assert await control("POST", "/aep/runs", {"flowId": id}) == {}
    await put(aep, "crmflow/a/b/1.csv", contacts(1))
    await pass_time(control, 1)
    run = await control("POST", "/aep/runs", {"flowId": id})
    assert (run["state"], counts(run)) == ("success", (1, 1, 0))
    assert await lake.ids() == ["1"]
    await pass_time(control, HOUR)
    assert await lake.ids() == ["1"]


# --- on demand and again ----------------------------------------------------------------------------------


async def test_on_demand_takes_the_files_of_its_window(
    aep: Aep, control: Any, lake: Lake, emulators: Emulators
) -> None:
    await put(aep, "crmflow/a/b/1.csv", contacts(1))
    id = await flow(aep, {**aep.once(), "startTime": int(emulators.clock.now()) + DAY})
    await pass_time(control, 60)
    since = int(emulators.clock.now())
    await pass_time(control, 5)
    await put(aep, "crmflow/a/b/2.csv", contacts(2))
    await pass_time(control, 60)
    now = int(emulators.clock.now())
    params = {"startTime": str(now), "windowStartTime": str(since), "windowEndTime": str(now)}
    made = await aep.post("/runs", {"flowId": id, "params": params})
    assert made.status == 201
    run = await only_run(aep, control, id)
    assert (run["id"], counts(run)) == (made.body["items"][0]["id"], (1, 1, 0))
    assert await lake.ids() == ["2"]


async def test_on_demand_without_files_ingests_nothing(aep: Aep, control: Any, emulators: Emulators) -> None:
    id = await flow(aep, {**aep.once(), "startTime": int(emulators.clock.now()) + DAY})
    params = {"startTime": "1", "windowStartTime": "1", "windowEndTime": "2"}
    assert (await aep.post("/runs", {"flowId": id, "params": params})).status == 201
    run = await only_run(aep, control, id)
    assert (run["state"], counts(run)) == ("success", (0, 0, 0))


@pytest.mark.parametrize(("position", "state"), [("ingest", "success"), ("fail", "failed")])
async def test_file_runs(aep: Aep, control: Any, lake: Lake, position: str, state: str) -> None:
    turn(aep, fileRuns=position)
    await put(aep, "crmflow/a/b/1.csv", contacts(1))
    run = await only_run(aep, control, await begin(aep, control))
    assert run["state"] == state
    assert codes(run) == ([] if state == "success" else ["CONNECTOR-1001-500"])
    assert await lake.ids() == (["1"] if state == "success" else [])


async def test_a_retry_takes_only_its_original_window(aep: Aep, control: Any, lake: Lake) -> None:
    turn(aep, fileRuns="fail")
    await put(aep, "crmflow/a/b/1.csv", contacts(1))
    id = await begin(aep, control)
    failed = await only_run(aep, control, id)
    turn(aep, fileRuns="ingest")
    await put(aep, "crmflow/a/b/2.csv", contacts(2))
    again = await aep.post(f"/runs/{failed['id']}/action?op=re-trigger")
    assert again.status == 200
    await pass_time(control, 200)
    assert await lake.ids() == ["1"]
    found = await runs(aep, id)
    assert [run["state"] for run in found] == ["failed", "success"]
    bounds = [run["activities"][0]["durationSummary"]["extensions"] for run in found]
    assert bounds[0] == bounds[1]
    assert (await aep.post(f"/runs/{found[1]['id']}/action?op=re-trigger")).code == "1387-400"
    await pass_time(control, HOUR)
    assert await lake.ids() == ["1", "2"]


# --- rows that are refused --------------------------------------------------------------------------------


def spoiled(good: int, bad: int) -> str:
    """A file in which some rows have a cell too many."""
    lines = contacts(*range(good)).splitlines()
    return "\n".join([*lines, *(f"{n},too,many,cells,in,this" for n in range(bad)), ""])


@pytest.mark.parametrize(
    ("options", "bad", "state", "found"),
    [
        ({}, 5, "success", ["INGEST-1212-400", "INGEST-1401-400"]),
        ({}, 6, "failed", ["INGEST-1212-400", "INGEST-1401-400"]),
        ({"partialIngestionPercent": 50}, 6, "success", ["INGEST-1212-400", "INGEST-1401-400"]),
        ({"partialIngestionPercent": None}, 1, "failed", ["INGEST-1212-400", "INGEST-1401-400"]),
        ({"errorDiagnosticsEnabled": False}, 5, "success", ["INGEST-1211-400"]),
    ],
)
async def test_partial_ingestion(
    aep: Aep, control: Any, lake: Lake, options: dict[str, Any], bad: int, state: str, found: list[str]
) -> None:
    await put(aep, "crmflow/a/b/1.csv", spoiled(100 - bad, bad))
    run = await only_run(aep, control, await begin(aep, control, **options))
    written = 0 if state == "failed" else 100 - bad
    assert (run["state"], counts(run)) == (state, (100, written, bad))
    assert codes(run) == found
    assert len(await lake.ids()) == written
    assert (await aep.get(f"{CATALOG}/batches/{batch_of(run)}")).body[batch_of(run)]["status"] == (
        "failure" if state == "failed" else "success"
    )


async def test_diagnostics_of_a_batch(aep: Aep, control: Any) -> None:
    await put(aep, "crmflow/a/b/1.csv", spoiled(99, 1))
    run = await only_run(aep, control, await begin(aep, control))
    batch = batch_of(run)
    listed = (await meta(aep, batch, "row_errors")).body
    assert listed["_page"] == {"limit": 100, "count": 1}
    assert [file["name"] for file in listed["data"]] == ["parsing_errors_0.json"]
    row = (await meta(aep, batch, "row_errors/parsing_errors_0.json")).body
    assert row["_errors"][0]["code"] == "1401"
    assert (await meta(aep, batch, "row_error_samples.json")).body == row
    assert (await meta(aep, batch, "other")).status == 404
    assert (await meta(aep, "none", "row_errors")).status == 404
    await pass_time(control, 30 * DAY)
    await aep.log_in()
    assert (await meta(aep, batch, "row_errors")).status == 404


@pytest.mark.parametrize(
    ("position", "path"),
    [
        ("container", "dlz-user-container/crmflow/a/b/1.csv"),
        ("folder", "crmflow/a/b/1.csv"),
        ("name", "1.csv"),
    ],
)
async def test_manifest_path(aep: Aep, control: Any, position: str, path: str) -> None:
    turn(aep, manifestPath=position)
    await put(aep, "crmflow/a/b/1.csv", contacts(1))
    batch = batch_of(await only_run(aep, control, await begin(aep, control)))
    (file,) = (await meta(aep, batch, "input_files")).body["data"]
    found = await meta(aep, batch, f"input_files/{file['name']}")
    assert found.body == {"path": path}
    assert int(file["length"]) == len(json.dumps(found.body)) + 1


@pytest.mark.parametrize(
    ("position", "summary", "status"),
    [
        ("link", {"extensions": {"manifest": {"fileInfo": LINK}}}, 200),
        ("entries", {"manifest": {"fileInfo": [{"path": LINK, "pathPrefix": "dlz-user-container"}]}}, 200),
        ("absent", {}, 404),
    ],
)
async def test_run_manifest(
    aep: Aep, control: Any, position: str, summary: dict[str, Any], status: int
) -> None:
    turn(aep, runManifest=position)
    await put(aep, "crmflow/a/b/1.csv", contacts(1))
    run = await only_run(aep, control, await begin(aep, control))
    shown = json.loads(json.dumps(run["metrics"]["fileSummary"]).replace(batch_of(run), "BATCH"))
    assert {name: shown[name] for name in ("manifest", "extensions") if name in shown} == summary
    assert (await meta(aep, batch_of(run), "input_files")).status == status


@pytest.mark.parametrize(("position", "state"), [("failFile", "failed"), ("nullColumns", "success")])
async def test_header_mismatch(aep: Aep, control: Any, lake: Lake, position: str, state: str) -> None:
    turn(aep, headerMismatch=position)
    await put(aep, "crmflow/a/b/1.csv", contacts(1))
    id = await begin(aep, control)
    await pass_time(control, 200)
    await aep.log_in()
    await put(aep, "crmflow/a/b/2.csv", "id,Email,Extra\n2,b@example.com,x\n")
    await pass_time(control, HOUR)
    run = (await runs(aep, id))[-1]
    assert (run["state"], run["metrics"]["fileSummary"]["failedFileCount"]) == (
        state,
        int(state == "failed"),
    )
    assert codes(run) == ([] if state == "success" else ["CONNECTOR-2001-500"])
    assert await lake.ids() == (["1", "2"] if state == "success" else ["1"])


async def test_an_empty_file_fails(aep: Aep, control: Any, lake: Lake) -> None:
    async with opened((await credentials(aep))["SASUri"]) as container:
        await container.upload_blob("crmflow/a/b/0.csv", b"")
    await put(aep, "crmflow/a/b/1.csv", contacts(1))
    run = await only_run(aep, control, await begin(aep, control))
    assert (run["state"], codes(run)) == ("success", ["CONNECTOR-2001-500"])
    assert await lake.ids() == ["1"]


@pytest.mark.parametrize(("position", "found"), [("row", (2, 1, 1)), ("column", (2, 2, 0))])
async def test_mapper_failure(
    aep: Aep, control: Any, lake: Lake, position: str, found: tuple[int, int, int]
) -> None:
    turn(aep, mapperFailure=position)
    score = {
        "sourceType": "EXPRESSION",
        "source": "to_integer(Score)",
        "destination": f"{TENANT}.leadScore",
    }
    await put(aep, "crmflow/a/b/1.csv", "id,Score,Email\n1,5,a@example.com\n2,many,b@example.com\n")
    id = await begin(aep, control, mappings=[score, MAPPINGS[0]], partialIngestionPercent=60)
    run = await only_run(aep, control, id)
    assert counts(run) == found
    assert ("MAPPER-3700-400" in codes(run)) == (position == "row")
    assert await lake.ids() == (["1"] if position == "row" else ["1", "2"])


async def custom(aep: Aep, control: Any, lake: Lake, row: str) -> Any:
    """What the custom fields of one row become, and how many rows lost a value."""
    await put(aep, "crmflow/a/b/1.csv", f"id,Modified_Time,Email_Opt_Out,Score,Title\n{row}\n")
    run = await only_run(aep, control, await begin(aep, control, mappings=CUSTOM))
    record = (await lake.rows())[0]["record"]
    return record.get(TENANT, {}), run["metrics"]["recordSummary"]["warningRecordCount"]


async def test_values_take_the_types_of_the_schema(aep: Aep, control: Any, lake: Lake) -> None:
    assert await custom(aep, control, lake, "1,2023-10-15T14:20:00Z,yes,4.5,Buyer") == (
        {
            "zohoId": "1",
            "modifiedTime": "2023-10-15T14:20:00Z",
            "emailOptOut": True,
            "leadScore": 4.5,
            "jobTitle": "Buyer",
        },
        0,
    )


async def test_a_value_that_does_not_fit_is_dropped(aep: Aep, control: Any, lake: Lake) -> None:
    assert await custom(aep, control, lake, "1,yesterday,perhaps,many,Buyer") == (
        {"zohoId": "1", "jobTitle": "Buyer"},
        1,
    )


@pytest.mark.parametrize(("position", "warnings"), [("refused", 1), ("accepted", 0)])
async def test_date_time_with_offset(
    aep: Aep, control: Any, lake: Lake, position: str, warnings: int
) -> None:
    turn(aep, dateTimeWithOffset=position)
    record, found = await custom(aep, control, lake, "1,2023-10-15T14:20:00+00:00,true,1,Buyer")
    assert ("modifiedTime" in record, found) == (warnings == 0, warnings)


@pytest.mark.parametrize(("position", "title"), [("null", None), ("empty", "")])
async def test_empty_cells(aep: Aep, control: Any, lake: Lake, position: str, title: str | None) -> None:
    turn(aep, csvEmptyCell=position)
    record, _ = await custom(aep, control, lake, "1,2023-10-15T14:20:00Z,true,1,")
    assert record.get("jobTitle") == title


async def test_profile_takes_no_row_without_its_primary_identity(aep: Aep, control: Any) -> None:
    text = contacts(1, 2).replace("c2@example.com", "")
    await put(aep, "crmflow/a/b/1.csv", text)
    id = await begin(aep, control, dataset=ids.PROFILE_DATASET, partialIngestionPercent=60)
    run = await only_run(aep, control, id)
    assert (counts(run), "INGEST-1555-400" in codes(run)) == ((2, 1, 1), True)
    assert await Lake(control, ids.PROFILE_DATASET).ids() == ["1"]


async def test_what_has_not_ended_goes_on_after_a_snapshot(aep: Aep, control: Any, lake: Lake) -> None:
    await put(aep, "crmflow/a/b/1.csv", contacts(1))
    id = await begin(aep, control)
    snapshot = await control("GET", "/snapshot")
    await control("PUT", "/snapshot", snapshot)
    await pass_time(control, 400)
    assert [run["state"] for run in await runs(aep, id)] == ["success"]
