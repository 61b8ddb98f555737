"""Runs of flows of Zoho's tables that ingest what is in their windows (platform.md 6.1, 7)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.contract.aep import MAPPINGS, Aep
from tests.emulators.aep import seed_data as ids
from tests.emulators.core.server import Emulators

HOUR = 3600
ENDED = 200
"""Seconds after which a run can be seen and is over."""
ZOHO = "/zoho/eu/production/modules/Contacts/records"


def turn(aep: Aep, **positions: Any) -> None:
    """Set switches; the fixture's reset turns them back."""
    for name, position in positions.items():
        setattr(aep.emulators.aep.switches, name, position)


class Table:
    """Contacts at Zoho, and what of them was ingested."""

    def __init__(self, control: Any) -> None:
        self._control = control

    async def held(self) -> set[tuple[str, str]]:
        """Id and Modified_Time of what Zoho holds."""
        return {_row(record) for record in (await self._control("GET", ZOHO))["records"]}

    async def ids(self) -> list[str]:
        """The ids of Zoho's records, the oldest first."""
        return [record["id"] for record in (await self._control("GET", ZOHO))["records"]]

    async def change(self, id: str, **values: Any) -> None:
        """Somebody edits a record."""
        await self._control("PATCH", f"{ZOHO}/{id}", values or {"Title": "Captain"})

    async def lake(self, since: int = 0) -> list[dict[str, Any]]:
        """The ingested rows."""
        path = f"/aep/sandboxes/prod/dataSets/{ids.CONTACTS_DATASET}/rows?since={since}"
        found: list[dict[str, Any]] = (await self._control("GET", path))["rows"]
        return found

    async def ingested(self, since: int = 0) -> list[tuple[str, str]]:
        """Id and Modified_Time of the ingested rows, in their order."""
        return [_row(row["values"]) for row in await self.lake(since)]

    async def ingested_ids(self, since: int = 0) -> list[str]:
        """Their ids."""
        return [id for id, _ in await self.ingested(since)]


def _row(values: dict[str, Any]) -> tuple[str, str]:
    return values["id"], datetime.fromisoformat(values["Modified_Time"]).astimezone(UTC).isoformat()


@pytest.fixture
def table(aep: Aep, control: Any) -> Table:
    turn(aep, sourceRuns="ingest")
    return Table(control)


async def pass_time(aep: Aep, control: Any, seconds: float) -> None:
    """Let time pass on the emulators' clock."""
    await control("POST", "/clock", {"advance": seconds})
    await aep.log_in()


async def pass_tick(aep: Aep, control: Any, flow: str, number: int = 0) -> float:
    """Let time pass until the run of a tick is over; returns the tick. The first one's number is 0."""
    params = (await aep.get(f"/flows/{flow}")).item["scheduleParams"]
    tick = float(params["startTime"]) + number * HOUR
    await pass_time(aep, control, tick + ENDED - aep.emulators.clock.now())
    return tick


async def runs(aep: Aep, flow: str) -> list[dict[str, Any]]:
    """The runs of a flow, the oldest first."""
    found = await aep.get("/runs", f"flowId=={flow}", limit="100", orderby="createdAt")
    items: list[dict[str, Any]] = found.body["items"]
    return items


def window(run: dict[str, Any]) -> tuple[float, float]:
    """The window of a run, in seconds."""
    found = run["activities"][0]["durationSummary"]["extensions"]
    return found["windowStart"] / 1000, found["windowEnd"] / 1000


def counts(run: dict[str, Any]) -> tuple[int, int, int]:
    """Records read, written and refused."""
    records = run["metrics"]["recordSummary"]
    return tuple(records[f"{kind}RecordCount"] for kind in ("input", "output", "failed"))


# --- windows ----------------------------------------------------------------------------------------------


async def test_hourly_windows_have_neither_gap_nor_overlap(aep: Aep, control: Any, table: Table) -> None:
    flow = await aep.flow()
    first, second, *_ = await table.ids()
    tick = await pass_tick(aep, control, flow)
    before = await table.ingested()
    assert set(before) == await table.held()
    assert len(before) == len(set(before))
    await table.change(first)
    await control("POST", ZOHO, {"count": 2, "now": True})
    await pass_tick(aep, control, flow, 1)
    await table.change(second)
    await pass_tick(aep, control, flow, 2)
    after = await table.ingested(since=len(before))
    added = set(await table.ids()) - {id for id, _ in before}
    assert sorted(id for id, _ in after) == sorted([first, *added, second])
    assert set(before) | set(after) >= await table.held()
    found = await runs(aep, flow)
    bounds = [(0, tick), (tick, tick + HOUR), (tick + HOUR, tick + 2 * HOUR)]
    assert [window(run) for run in found] == bounds
    assert [counts(run)[1] for run in found] == [len(before), 3, 1]


@pytest.mark.parametrize("offset", [0, 1])
async def test_a_record_of_the_second_of_a_tick_is_in_the_window_that_ends(
    aep: Aep, control: Any, table: Table, emulators: Emulators, offset: int
) -> None:
    flow = await aep.flow()
    tick = await pass_tick(aep, control, flow) + HOUR
    known, id = len(await table.lake()), (await table.ids())[0]
    changed = datetime.fromtimestamp(tick + offset, UTC).isoformat(timespec="seconds")
    module = emulators.zoho.organization("eu", "production").modules["Contacts"]  # type: ignore[arg-type]
    # No test can hit a second by waiting.
    module.write(tick + offset, id, {**module.records[id], "Modified_Time": changed})
    await pass_tick(aep, control, flow, 1)
    assert await table.ingested_ids(known) == ([] if offset else [id])
    await pass_tick(aep, control, flow, 2)
    assert await table.ingested_ids(known) == [id]


@pytest.mark.parametrize("position", ["start", "period"])
@pytest.mark.parametrize("backfill", [True, False])
async def test_first_window(aep: Aep, control: Any, table: Table, backfill: bool, position: str) -> None:
    """With backfill it takes everything, wherever it would begin without."""
    turn(aep, firstWindow=position)
    old, edited, later = (await table.ids())[:3]
    await table.change(edited)
    flow = await aep.flow({**aep.hourly(), "backfill": backfill})
    tick = await pass_tick(aep, control, flow)
    found = await table.ingested_ids()
    if backfill:
        assert {old, edited} <= set(found)
    else:
        assert found == ([edited] if position == "period" else [])
    (run,) = await runs(aep, flow)
    since = 0.0 if backfill else tick - HOUR if position == "period" else tick
    assert (window(run), counts(run)) == ((since, tick), (len(found), len(found), 0))
    await table.change(later)
    await pass_tick(aep, control, flow, 1)
    assert await table.ingested_ids(len(found)) == [later]


async def test_a_flow_that_runs_once_takes_everything_once(aep: Aep, control: Any, table: Table) -> None:
    flow = await aep.flow(aep.once(), delta=False)
    await pass_tick(aep, control, flow)
    held = await table.held()
    await table.change((await table.ids())[0])
    await pass_time(aep, control, 24 * HOUR)
    assert len(await runs(aep, flow)) == 1
    assert sorted(await table.ingested()) == sorted(held)


@pytest.mark.parametrize(("position", "caught_up"), [("catchUp", True), ("skip", False)])
async def test_a_disabled_flow_has_no_ticks(
    aep: Aep, control: Any, table: Table, position: str, caught_up: bool
) -> None:
    turn(aep, windowAfterPause=position)
    flow = await aep.flow()
    tick = await pass_tick(aep, control, flow)
    known = len(await table.lake())
    await aep.post(f"/flows/{flow}/action?op=disable")
    id = (await table.ids())[0]
    await table.change(id)
    await pass_tick(aep, control, flow, 3)
    assert len(await runs(aep, flow)) == 1
    await aep.post(f"/flows/{flow}/action?op=enable")
    await pass_tick(aep, control, flow, 4)
    _, run = await runs(aep, flow)
    assert window(run)[1] == tick + 4 * HOUR
    assert (window(run)[0] == tick) == caught_up
    assert await table.ingested_ids(known) == ([id] if caught_up else [])


async def test_another_delta_column(aep: Aep, control: Any, table: Table, emulators: Emulators) -> None:
    """An edit alone does not move it; what has none is only read with everything."""
    touched, edited, emptied = (await table.ids())[:3]
    await table.change(emptied, Last_Activity_Time=None)
    body = await aep.flow_body()
    body["transformations"][0]["params"]["deltaColumn"] = {"name": "Last_Activity_Time"}
    flow = (await aep.post("/flows", body)).body["id"]
    await pass_tick(aep, control, flow)
    known = len(await table.lake())
    assert emptied in await table.ingested_ids()
    now = datetime.fromtimestamp(emulators.clock.now(), UTC).isoformat(timespec="seconds")
    await table.change(touched, Last_Activity_Time=now)
    await table.change(edited)
    await table.change(emptied)
    await pass_tick(aep, control, flow, 1)
    assert await table.ingested_ids(known) == [touched]


# --- runs -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("position", "made"), [("control", False), ("ingest", True)])
async def test_source_runs(aep: Aep, control: Any, table: Table, position: str, made: bool) -> None:
    """Who wants both kinds has both: the control API makes runs of its own in either position."""
    turn(aep, sourceRuns=position)
    flow = await aep.flow()
    await pass_tick(aep, control, flow)
    assert (len(await runs(aep, flow)), bool(await table.lake())) == (made, made)
    run = await control("POST", "/aep/runs", {"flowId": flow, "state": "failed"})
    assert run["state"] == "failed"


async def test_control_runs_a_flow_at_once(aep: Aep, control: Any, table: Table) -> None:
    flow = await aep.flow()
    run = await control("POST", "/aep/runs", {"flowId": flow})
    assert (run["state"], counts(run)[1]) == ("success", len(await table.lake()))
    assert set(await table.ingested()) == await table.held()
    await pass_tick(aep, control, flow)
    assert [counts(run)[0] for run in await runs(aep, flow)][1:] == [0]


async def test_a_run_is_seen_late_and_ends_later(aep: Aep, control: Any, table: Table) -> None:
    flow = await aep.flow()
    await pass_time(aep, control, 120)
    assert await runs(aep, flow) == []
    await pass_time(aep, control, 100)
    assert [run["state"] for run in await runs(aep, flow)] == ["inProgress"]
    assert await table.lake() == []
    await pass_time(aep, control, 60)
    assert [run["state"] for run in await runs(aep, flow)] == ["success"]


@pytest.mark.parametrize(("position", "count"), [("successZero", 3), ("none", 1)])
async def test_empty_source_run(aep: Aep, control: Any, table: Table, position: str, count: int) -> None:
    turn(aep, emptySourceRun=position)
    flow = await aep.flow({**aep.hourly(), "backfill": False})
    tick = await pass_tick(aep, control, flow, 1)
    await table.change((await table.ids())[0])
    await pass_tick(aep, control, flow, 2)
    found = await runs(aep, flow)
    assert [counts(run)[0] for run in found] == [0] * (count - 1) + [1]
    since = tick if position == "successZero" else tick - HOUR
    assert window(found[-1]) == (since, tick + HOUR)


@pytest.mark.parametrize("position", ["shown", "absent"])
async def test_run_windows(aep: Aep, control: Any, position: str) -> None:
    turn(aep, runWindows=position)
    run = await control("POST", "/aep/runs", {"flowId": await aep.flow()})
    shown = ["extensions" in activity["durationSummary"] for activity in run["activities"]]
    assert shown == [position == "shown"] * 2


async def test_a_source_that_refuses_fails_the_run_and_a_retry_takes_its_window(
    aep: Aep, control: Any, table: Table
) -> None:
    flow = await aep.flow()
    await control("PATCH", "/zoho/eu/production/modules/Contacts", {"apiSupported": False})
    tick = await pass_tick(aep, control, flow)
    (failed,) = await runs(aep, flow)
    assert (failed["state"], window(failed)) == ("failed", (0, tick))
    assert [e["code"] for e in failed["metrics"]["statusSummary"]["errors"]] == ["CONNECTOR-1001-500"]
    await control("PATCH", "/zoho/eu/production/modules/Contacts", {"apiSupported": True})
    held = await table.held()
    await table.change((await table.ids())[0])
    assert (await aep.post(f"/runs/{failed['id']}/action?op=re-trigger")).status == 200
    await pass_time(aep, control, ENDED)
    _, again = await runs(aep, flow)
    assert (again["state"], window(again)) == ("success", (0, tick))
    assert len(await table.lake()) == len(held) - 1
    await pass_tick(aep, control, flow, 1)
    assert set(await table.ingested()) == await table.held()


async def test_on_demand_takes_the_rows_of_its_window(
    aep: Aep, control: Any, table: Table, emulators: Emulators
) -> None:
    id = (await table.ids())[0]
    now = int(emulators.clock.now())
    flow = await aep.flow({**aep.once(), "startTime": now + 24 * HOUR}, delta=False)
    await table.change(id)
    times = {"startTime": now, "windowStartTime": now - 10, "windowEndTime": now + 10}
    body = {"flowId": flow, "params": {**times, "deltaColumn": {"name": "Modified_Time"}}}
    assert (await aep.post("/runs", body)).status == 201
    await pass_time(aep, control, ENDED)
    assert await table.ingested_ids() == [id]


# --- rows -------------------------------------------------------------------------------------------------


async def test_rows_are_mapped_and_instants_are_in_utc(aep: Aep, control: Any, table: Table) -> None:
    modified = f"_{ids.TENANT}.modifiedTime"
    mapping = {"sourceType": "ATTRIBUTE", "source": "Modified_Time", "destination": modified}
    body = await aep.flow_body()
    made = await aep.mapping_set([MAPPINGS[0], mapping])
    body["transformations"][1]["params"]["mappingId"] = made
    flow = (await aep.post("/flows", body)).body["id"]
    await pass_tick(aep, control, flow)
    row = (await table.lake())[0]
    assert set(row["values"]) == {"id", "Modified_Time"}
    assert row["values"]["Modified_Time"].endswith("Z")
    assert row["record"][f"_{ids.TENANT}"]["modifiedTime"] == row["values"]["Modified_Time"]
    assert row["file"] == ""
    (run,) = await runs(aep, flow)
    assert row["run"] == run["id"]
    assert run["metrics"]["recordSummary"]["warningRecordCount"] == 0


async def test_only_the_columns_of_the_source_connection(aep: Aep, control: Any, table: Table) -> None:
    """The delta column need not be one of them."""
    body = await aep.flow_body()
    source = await aep.source_body(aep.made["connections"])
    names = ("id", "Email", "First_Name", "Last_Name")
    source["params"]["columns"] = [c for c in source["params"]["columns"] if c["name"] in names]
    body["sourceConnectionIds"] = [(await aep.post("/sourceConnections", source)).body["id"]]
    await pass_tick(aep, control, (await aep.post("/flows", body)).body["id"])
    assert set((await table.lake())[0]["values"]) == {"id"}


@pytest.mark.parametrize(("share", "state"), [(100, "success"), (0.001, "failed")])
async def test_partial_ingestion(aep: Aep, control: Any, table: Table, share: float, state: str) -> None:
    """A row whose mapping fails is refused."""
    number = {"sourceType": "EXPRESSION", "source": "to_integer(Email)"}
    body = await aep.flow_body()
    body["options"]["partialIngestionPercent"] = share
    body["transformations"][1]["params"]["mappingId"] = await aep.mapping_set(
        [MAPPINGS[0], {**number, "destination": f"_{ids.TENANT}.leadScore"}]
    )
    flow = (await aep.post("/flows", body)).body["id"]
    await pass_tick(aep, control, flow)
    (run,) = await runs(aep, flow)
    read, written, failed = counts(run)
    assert (run["state"], failed > 0, read) == (state, True, len(await table.held()))
    assert written == len(await table.lake()) == (read - failed if state == "success" else 0)
