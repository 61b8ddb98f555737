"""A tenant through the landing zone, and the records at both ends of the way."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from crmflow.reconcile.extraction.rhythm import BEGINNING
from tests.emulators.aep import seed_data as ids
from tests.property.landing_zone.bench import FILES, RECORDS, ROWS, LandingZoneBench
from tests.property.tenant import Spec, Tenant, changed, is_left

COLUMNS = ["id", "Email", "First_Name", "Last_Name", "Modified_Time"]
MARKING = [
    {"target": "personalEmail.address", "source": "Email"},
    {"target": f"_{ids.TENANT}.zohoId", "source": "id"},
    {"target": f"_{ids.TENANT}.emailOptOut", "source": "crmflow_deleted"},
]
"""A mapping of dataflows that mark deleted records."""
Row = tuple[str, str]
"""Id and Modified_Time."""


@dataclass
class Ends:
    """What Zoho CRM holds, and what each flow has ingested."""

    held: dict[str, datetime] = field(default_factory=dict)
    """Modified_Time by id."""
    deleted: dict[str, datetime] = field(default_factory=dict)
    rows: Mapping[str, Counter[Row]] = field(default_factory=dict)
    """Of living records, by flow."""
    marks: Mapping[str, Counter[str]] = field(default_factory=dict)
    """Ids that were marked as deleted, by flow."""


class ZoneTenant(Tenant):
    """One connection and up to three hourly dataflows of all contacts."""

    bench: LandingZoneBench

    def __init__(self, bench: LandingZoneBench, rng: random.Random) -> None:
        super().__init__(bench, rng)
        self.flows: dict[str, set[str]] = defaultdict(set)
        """Every flow that a dataflow has had, by its uid."""
        self.left_specs: dict[str, Spec] = {}
        """What was declared for a flow when its dataflow went."""
        self.left_folders: set[str] = set()
        """Of dataflows that have left their flow behind."""
        self.read_whole: set[str] = set()
        """The uids of dataflows that read the whole table now and then."""
        self._since: dict[str, datetime] = {}
        """From when on changes had to be read, by uid, of those that began without what was there."""

    def first_connection(self) -> Spec:
        return {**super().first_connection(), "transport": "LandingZone"}

    def first_dataflow(self, name: str) -> Spec:
        return changed(super().first_dataflow(name), {"source": {"columns": COLUMNS}})

    def note_flows(self) -> None:
        """Remember which flows the dataflows have now, and since when they read."""
        for _, obj in self.objects():
            uid, spec, status = obj["metadata"]["uid"], obj["spec"], obj.get("status", {})
            if flow := status.get("flow", {}).get("id"):
                self.flows[uid].add(flow)
            if "extraction" in status:
                begins = spec["schedule"].get("backfill") is False
                now = datetime.fromtimestamp(self.bench.clock.now(), UTC)
                self._since.setdefault(uid, now if begins else BEGINNING)
            if "fullReadEvery" in (spec.get("extract") or {}):
                self.read_whole.add(uid)

    def withdraw(self, name: str) -> None:
        folder = self.status(name).get("landingZone", {}).get("path", "").partition("/")[2]
        if folder and is_left(self.declared[name], "flowId"):
            self.left_folders.add(folder)
        super().withdraw(name)

    def reads_since(self, name: str) -> datetime:
        """From when on changes had to be read."""
        return self._since[(self.object(name) or {})["metadata"]["uid"]]

    def is_whole(self, name: str) -> bool:
        """Whether Platform has all that the flow of a dataflow is made of."""
        status = self.status(name)
        ids = {status.get("sourceConnectionId"), status.get("targetConnectionId")}
        held = {one.id for kind in ("sourceConnections", "targetConnections") for one in self.held(kind)}
        return ids <= held

    async def ends(self) -> Ends:
        """Look at both ends of the way."""
        records = await self.bench.control("GET", RECORDS)
        rows = (await self.bench.control("GET", ROWS))["rows"]
        found, marks = defaultdict[str, Counter[Row]](Counter), defaultdict[str, Counter[str]](Counter)
        for row in rows:
            values, flow = row["values"], self._flow_of_run(row["run"])
            if str(values.get("crmflow_deleted")).lower() == "true":
                marks[flow][values["id"]] += 1
            else:
                found[flow][values["id"], values["Modified_Time"]] += 1
        return Ends(
            {one["id"]: _instant(one["Modified_Time"]) for one in records["records"]},
            {one["id"]: _instant(one["deleted_time"]) for one in records["deleted"]},
            found,
            marks,
        )

    async def files(self) -> list[str]:
        """The names of what is in the container."""
        return [file["name"] for file in (await self.bench.control("GET", FILES))["files"]]

    def told_twice(self, uid: str) -> bool:
        """Whether an Event of the dataflow has said that records may be ingested twice."""
        return any(
            "twice" in event.get("note", "") and event.get("regarding", {}).get("uid") == uid
            for event in self.bench.server.events
        )

    def _flow_of_run(self, run: str) -> str:
        return str(self.sandbox.stores["runs"].get(run, self.bench.clock.now()).body["flowId"])  # type: ignore[union-attr]


def row(id: str, modified: datetime) -> Row:
    """As ingested rows show it."""
    return id, f"{modified.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text)
