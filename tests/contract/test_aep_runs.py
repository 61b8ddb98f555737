"""Runs and their metrics (platform.md 7)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.aep import CATALOG, Aep
from tests.emulators.aep import seed_data as ids
from tests.emulators.core.server import Emulators


async def test_a_schedule_does_not_run_by_itself(aep: Aep, emulators: Emulators) -> None:
    flow = await aep.flow()
    emulators.clock.advance(6 * 3600)
    assert (await aep.get("/runs", f"flowId=={flow}")).body["items"] == []


async def test_a_finished_run_counts_the_rows_of_the_source(aep: Aep, control: Any) -> None:
    flow = await aep.flow()
    await control("POST", "/aep/runs", {"flowId": flow})
    run = (await aep.get("/runs", f"flowId=={flow}")).body["items"][0]
    metrics = run["metrics"]
    records = metrics["recordSummary"]
    assert records["inputRecordCount"] == records["outputRecordCount"] > 0
    assert records["failedRecordCount"] == 0
    assert metrics["statusSummary"] == {"status": "success", "errors": []}
    assert metrics["sizeSummary"]["inputBytes"] > records["inputRecordCount"]
    duration = metrics["durationSummary"]
    assert duration["completedAtUTC"] - duration["startedAtUTC"] == 42_000
    copied, promoted = run["activities"]
    assert copied["sourceInfo"][0]["reference"]["type"] == "AdfRunId"
    assert copied["durationSummary"]["extensions"]["windowEnd"] > 0
    batch = promoted["targetInfo"][0]["reference"]["ids"][0]
    assert (await aep.get(f"{CATALOG}/batches/{batch}")).body[batch]["status"] == "success"
    dataset = (await aep.get(f"{CATALOG}/dataSets/{ids.CONTACTS_DATASET}")).body[ids.CONTACTS_DATASET]
    assert (dataset["lastBatchId"], dataset["lastBatchStatus"]) == (batch, "success")
    last = (await aep.get(f"/flows/{flow}")).item["lastRunDetails"]
    assert last == {
        "id": run["id"],
        "state": "success",
        "startedAtUTC": duration["startedAtUTC"],
        "completedAtUTC": duration["completedAtUTC"],
    }


@pytest.mark.parametrize(
    ("state", "status", "code"),
    [
        ("success", "success", None),
        ("failed", "failed", "CONNECTOR-1001-500"),
        ("partial", "success", "INGEST-1212-400"),
    ],
)
async def test_outcomes(aep: Aep, control: Any, state: str, status: str, code: str | None) -> None:
    flow = await aep.flow()
    await control("POST", "/aep/runs", {"flowId": flow, "state": state, "inputRecordCount": 100})
    run = (await aep.get("/runs", f"flowId=={flow}")).body["items"][0]
    summary = run["metrics"]["statusSummary"]
    assert summary["status"] == status
    assert [e["code"] for e in summary["errors"]] == ([] if code is None else [code])
    records = run["metrics"]["recordSummary"]
    assert records["inputRecordCount"] == 100
    assert records["outputRecordCount"] + records["failedRecordCount"] == 100
    assert (run["metrics"]["sizeSummary"]["outputBytes"] == -1) == (state == "failed")
    assert (await aep.get(f"/flows/{flow}")).item["lastRunDetails"]["state"] == status


async def test_a_run_may_be_seen_while_it_goes_on(aep: Aep, control: Any) -> None:
    flow = await aep.flow()
    begun = await control("POST", "/aep/runs", {"flowId": flow, "state": "inProgress"})
    run = (await aep.get("/runs", f"flowId=={flow}", "state==inProgress")).body["items"][0]
    assert run["id"] == begun["id"]
    assert "completedAtUTC" not in run["metrics"]["durationSummary"]
    assert "recordSummary" not in run["metrics"]
    await control("POST", "/aep/runs", {"runId": begun["id"], "state": "failed"})
    found = (await aep.get("/runs", "metrics.statusSummary.status==failed")).body["items"]
    assert [r["id"] for r in found] == [begun["id"]]


@pytest.mark.parametrize("spelling", ["lower", "title", "upper"])
async def test_words_are_found_in_any_spelling(aep: Aep, control: Any, spelling: str) -> None:
    """The documented filter says Failed, the documented answers failed (platform.md 3, 7.1)."""
    aep.emulators.aep.switches.runStatusSpelling = spelling  # type: ignore[assignment]
    flow = await aep.flow()
    states = ("success", "failed", "inProgress")
    made = {
        state: (await control("POST", "/aep/runs", {"flowId": flow, "state": state}))["id"]
        for state in states
    }
    field = "metrics.statusSummary.status"
    for word, state in (("Failed", "failed"), ("FAILED", "failed"), ("IN_PROGRESS", "inProgress")):
        found = (await aep.get("/runs", f"flowId=={flow}", f"{field}=={word}")).body["items"]
        assert [run["id"] for run in found] == [made[state]]
    either = (await aep.get("/runs", f"{field}==Failed,Success")).body["items"]
    assert {run["id"] for run in either} == {made["failed"], made["success"]}


async def test_the_documented_queries(aep: Aep, control: Any, emulators: Emulators) -> None:
    flow = await aep.flow()
    made = []
    for _ in range(3):
        emulators.clock.advance(3600)
        made.append((await control("POST", "/aep/runs", {"flowId": flow}))["id"])
    newest = (await aep.get("/runs", f"flowId=={flow}", orderby="-createdAt", limit="2")).body
    assert [r["id"] for r in newest["items"]] == made[:0:-1]
    started = (await aep.get(f"/runs/{made[1]}")).item["metrics"]["durationSummary"]["startedAtUTC"]
    field = "metrics.durationSummary.startedAtUTC"
    found = await aep.get("/runs", f"{field}>{started - 1}", f"{field}<{started + 1}")
    assert [r["id"] for r in found.body["items"]] == [made[1]]
    assert (await aep.get("/runs", f"flowId=={flow}", count="true")).body == {"count": 3}


async def test_one_listing_has_the_runs_of_all_flows_since_an_instant(
    aep: Aep, control: Any, emulators: Emulators
) -> None:
    """Page by page, the latest first, as the operator asks for them (platform.md 3)."""
    flows = [await aep.flow(), await aep.flow()]
    await control("POST", "/aep/runs", {"flowId": flows[0]})
    emulators.clock.advance(3600)
    since = int(emulators.clock.now() * 1000) - 60_000
    made = [(await control("POST", "/aep/runs", {"flowId": flow}))["id"] for flow in (*flows, flows[0])]
    first = f"metrics.durationSummary.startedAtUTC>{since}"
    page = (await aep.get("/runs", first, orderby="-createdAt", limit="2")).body
    rest = (await aep.call("GET", page["_links"]["next"]["href"])).body
    assert rest["_links"] == {}
    assert {run["id"] for run in (*page["items"], *rest["items"])} == set(made)
    some = (await aep.get("/runs", f"id=={made[0]},{made[2]}", limit="100")).body["items"]
    assert {run["id"] for run in some} == {made[0], made[2]}


async def test_runs_show_after_the_index_lag(aep: Aep, control: Any, emulators: Emulators) -> None:
    flow = await aep.flow()
    aep.emulators.aep.switches.indexLagSeconds = 30
    await control("POST", "/aep/runs", {"flowId": flow})
    assert (await aep.get("/runs", f"flowId=={flow}")).body["items"] == []
    emulators.clock.advance(31)
    assert len((await aep.get("/runs", f"flowId=={flow}")).body["items"]) == 1


async def test_windows_follow_each_other(aep: Aep, control: Any, emulators: Emulators) -> None:
    flow = await aep.flow()
    windows = []
    for _ in range(2):
        emulators.clock.advance(3600)
        run = await control("POST", "/aep/runs", {"flowId": flow})
        windows.append(run["activities"][0]["durationSummary"]["extensions"])
    assert windows[0]["windowEnd"] == windows[1]["windowStart"]


def _on_demand(flow: str, **changes: Any) -> dict[str, Any]:
    params = {
        "startTime": "1663735590",
        "windowStartTime": "1651584991",
        "windowEndTime": "1651585956",
        "deltaColumn": {"name": "Modified_Time"},
        **changes,
    }
    return {"flowId": flow, "params": {k: v for k, v in params.items() if v is not None}}


async def test_on_demand_runs_are_for_one_time_flows(aep: Aep) -> None:
    assert (await aep.post("/runs", _on_demand(await aep.flow()))).code == "1386-400"
    assert (await aep.post("/runs", _on_demand("nothing"))).code == "1430-400"
    flow = await aep.flow(aep.once(), delta=False)
    found = await aep.post("/runs", _on_demand(flow))
    assert found.status == 201
    run = (await aep.get(f"/runs/{found.body['items'][0]['id']}")).item
    assert run["flowId"] == flow
    assert run["metrics"]["statusSummary"]["status"] == "queued"


async def test_the_delta_column_is_kept(aep: Aep) -> None:
    flow = await aep.flow(aep.once(), delta=False)
    assert (await aep.post("/runs", _on_demand(flow, deltaColumn=None))).code == "1383-400"
    assert (await aep.post("/runs", _on_demand(flow))).status == 201
    item = (await aep.get(f"/flows/{flow}")).item
    assert item["transformations"][0]["params"]["deltaColumn"] == {"name": "Modified_Time"}
    assert (await aep.post("/runs", _on_demand(flow, deltaColumn=None))).status == 201
    assert (await aep.post("/runs", _on_demand(flow, deltaColumn={"name": "Other"}))).code == "1382-400"


async def test_bad_windows(aep: Aep) -> None:
    flow = await aep.flow(aep.once(), delta=False)
    assert (await aep.post("/runs", _on_demand(flow, windowEndTime="1"))).code == "1381-400"
    assert (await aep.post("/runs", _on_demand(flow, windowEndTime=None))).code == "1384-400"
    assert (await aep.post("/runs", {"flowId": flow})).code == "1384-400"


async def test_a_failed_run_is_retried(aep: Aep, control: Any) -> None:
    flow = await aep.flow()
    failed = await control("POST", "/aep/runs", {"flowId": flow, "state": "failed"})
    found = await aep.post(f"/runs/{failed['id']}/action?op=re-trigger")
    assert found.status == 200
    assert found.body["id"] != failed["id"]
    retried = (await aep.get(f"/runs/{found.body['id']}")).item
    window = [r["activities"][0]["durationSummary"]["extensions"] for r in (failed, retried)]
    assert window[0] == window[1]
    assert (await aep.post(f"/runs/{found.body['id']}/action?op=re-trigger")).code == "1387-400"


async def test_what_is_not_retried(aep: Aep, control: Any) -> None:
    flow = await aep.flow()
    good = await control("POST", "/aep/runs", {"flowId": flow})
    empty = await control("POST", "/aep/runs", {"flowId": flow, "inputRecordCount": 0})
    assert (await aep.post(f"/runs/{good['id']}/action?op=RE_TRIGGER")).code == "1387-400"
    assert (await aep.post(f"/runs/{empty['id']}/action?op=RE_TRIGGER")).status == 200
    assert (await aep.post(f"/runs/{empty['id']}/action?op=cancel")).code == "1402-400"
    await aep.post(f"/flows/{flow}/action?op=disable")
    assert (await aep.post(f"/runs/{empty['id']}/action?op=RE_TRIGGER")).code == "1388-400"


async def test_runs_are_written_by_providers(aep: Aep, control: Any) -> None:
    run = await control("POST", "/aep/runs", {"flowId": await aep.flow()})
    path = f"/runs/{run['id']}"
    assert (await aep.call("PUT", path, {})).code == "1403-400"
    etag = (await aep.get(path)).item["etag"]
    assert (await aep.call("PUT", path, {}, headers={"If-Match": etag})).code == "1427-400"
    assert (await aep.delete(path)).status == 405
