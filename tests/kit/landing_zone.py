"""A tenant whose records come through the landing zone: what that needs, and both ends of the way."""

from __future__ import annotations

import base64
import itertools
import json
import time
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from crmflow.reconcile.extraction.names import FileKey
from crmflow.transfer.declaration import DELETED_COLUMN
from crmflow.zoho.scopes import LANDING_ZONE_SCOPES, VERIFICATION_SCOPES
from tests.emulators.aep import seed_data as ids
from tests.kit.cluster import Object
from tests.kit.jobs import is_running
from tests.kit.tenant import DATAFLOW, Tenant

MARKED: dict[str, Any] = {
    "extract": {"deletedRecords": "Mark"},
    "mapping": [
        {"target": "personalEmail.address", "source": "Email"},
        {"target": "_crmflowdemo.zohoId", "source": "id"},
        {"target": "_crmflowdemo.origin", "source": DELETED_COLUMN},
    ],
}
"""Of a dataflow that marks deleted records."""
COLUMNS = ["id", "Email", "First_Name", "Last_Name", "Modified_Time"]
LAG, LEAD, SHOWS = timedelta(minutes=2), timedelta(minutes=15), timedelta(minutes=10)
"""Of an hourly dataflow; and after a tick, until its run is listed and final."""
HOUR = timedelta(hours=1)
STRIDE_SECONDS, STRIDE_TAKES = 45.0, 0.3
"""How far the clock moves at once where a pause is to pass, and real seconds for whoever waited for that."""

_RECORDS = "/zoho/eu/production/modules/Contacts/records"
_ROWS = f"/aep/sandboxes/prod/dataSets/{ids.CONTACTS_DATASET}/rows"
ZONE_SCOPES = ["ZohoCRM.modules.READ", "ZohoCRM.settings.ALL", *VERIFICATION_SCOPES, *LANDING_ZONE_SCOPES]

NOTHING_LEFT: dict[str, list[str]] = {"Job": [], "Pod": [], "Secret": []}

Row = tuple[str, str]
"""What tells two versions of a record apart: its id and its Modified_Time."""


def pod_template(folder: Path, clock: str, **variables: str) -> str:
    """A file for ``CRMFLOW_TRANSFER_TEMPLATE``: transfers run from the image ``crmflow``, on that clock."""
    variables["CRMFLOW_CLOCK"] = clock
    environment = [{"name": name, "value": value} for name, value in variables.items()]
    file = folder / "transfer.json"
    file.write_text(json.dumps({"spec": {"containers": [{"image": "crmflow:1", "env": environment}]}}))
    return str(file)


def grant_reads(tenant: Tenant) -> None:
    """Both Secrets, with a grant that allows our own reads."""
    grant = tenant.control.post("/zoho/grants", dataCenter="EU", scopes=ZONE_SCOPES, exchange=True)
    tenant.apply_secrets(**{name: grant[name] for name in ("clientId", "clientSecret", "refreshToken")})


class Contacts:
    """The contacts of the emulated Zoho CRM, and what Platform has ingested of them."""

    def __init__(self, tenant: Tenant) -> None:
        self._control = tenant.control
        self._were: set[Row] = set()

    def create(self, count: int) -> None:
        """New ones, made just now."""
        self._control.post(_RECORDS, count=count, now=True)

    def fill(self, count: int) -> None:
        """So many there are by now, the new ones made long ago."""
        self._control.post(_RECORDS, count=count - len(self.ids))

    def change(self, *ids: str) -> None:
        """Somebody edits them."""
        self._were |= self.held
        for id in ids:
            self._control.patch(f"{_RECORDS}/{id}", Description="Told anew.")

    def delete(self, *ids: str) -> None:
        """Somebody deletes them."""
        self._were |= self.held
        for id in ids:
            self._control.delete(f"{_RECORDS}/{id}")

    def edit(self) -> None:
        """Somebody changes one, deletes one and creates three."""
        changed, deleted = self.ids[:2]
        self.change(changed)
        self.delete(deleted)
        self.create(3)

    @property
    def held(self) -> set[Row]:
        """What Zoho CRM holds now, as ingested rows show it."""
        return {_row(record) for record in self._control.get(_RECORDS)["records"]}

    @property
    def ids(self) -> list[str]:
        """Of those that Zoho CRM holds."""
        return [record["id"] for record in self._control.get(_RECORDS)["records"]]

    @property
    def ingested(self) -> list[Row]:
        """What runs of the flow have written into the dataset, in their order."""
        return [_row(values) for values in self._values if not _is_marked(values)]

    @property
    def marked(self) -> list[str]:
        """The ids of those that the dataset shows as deleted, in their order."""
        return [values["id"] for values in self._values if _is_marked(values)]

    @property
    def _values(self) -> list[Mapping[str, Any]]:
        return [row["values"] for row in self._control.get(_ROWS)["rows"]]

    @property
    def all_arrived(self) -> bool:
        """Whether Platform has everything that Zoho CRM holds."""
        return self.held <= set(self.ingested)

    def check(self) -> None:
        """Nothing is missing, nothing is there twice, and nothing that never was."""
        held, ingested = self.held, Counter(self.ingested)
        missing = held - ingested.keys()
        doubled = [row for row, count in ingested.items() if count > 1]
        foreign = ingested.keys() - held - self._were
        found = {"missing": missing, "doubled": doubled, "foreign": foreign}
        assert not any(found.values()), found


class Windows:
    """The windows of an hourly dataflow, one after the other."""

    def __init__(self, tenant: Tenant, dataflow: Object) -> None:
        self._tenant = tenant
        self._tick = datetime.fromisoformat(dataflow["status"]["schedule"]["effectiveStartTime"])

    @property
    def _end(self) -> datetime:
        return self._tick - LEAD

    def open_next(self) -> None:
        """Let time pass until the next one can be read: the one for the tick after the last."""
        while self._end + LAG < self._now():
            self._tick += HOUR
        self._pass_until(self._end + LAG)

    def pass_to_end(self, before: float) -> None:
        """Let time pass until so many seconds before the next one ends."""
        while self._end < self._now():
            self._tick += HOUR
        self._pass_until(self._end - timedelta(seconds=before))

    def wait_file(self) -> None:
        """Wait until it has its file, and let pauses between attempts pass."""

        def is_there() -> bool:
            if self._is_written():
                return True
            self._tenant.control.advance(STRIDE_SECONDS)
            time.sleep(STRIDE_TAKES)
            return False

        self._tenant.until(is_there, f"file of the window until {self._end}", seconds=90)

    def pass_to_tick(self, seconds: float) -> None:
        """Let time pass until so many seconds after its tick."""
        self._pass_until(self._tick + timedelta(seconds=seconds))

    def from_tick(self, file: str) -> float:
        """How many seconds after its tick a file was committed."""
        committed = {one["name"]: one["changed"] for one in _files(self._tenant)}[file]
        return float(committed - self._tick.timestamp())

    def ingest(self) -> None:
        """Let time pass until Platform has taken what is there."""
        while self._tick < self._now():
            self._tick += HOUR
        self._pass_until(self._tick + SHOWS)

    def _is_written(self) -> bool:
        status = self._tenant.get(DATAFLOW)["status"]
        if datetime.fromisoformat(status["extraction"]["cursor"]) < self._end:
            return False
        return all("file" in one for one in status.get("pendingWindows", ()))

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._tenant.control.get("/clock")["now"], UTC)

    def _pass_until(self, time: datetime) -> None:
        self._tenant.control.advance((time - self._now()).total_seconds())


def files(tenant: Tenant) -> list[str]:
    """The names of what is in the landing zone."""
    return [file["name"] for file in _files(tenant)]


def check_files(tenant: Tenant) -> None:
    """Each window was extracted once, and none overlaps another one."""
    keys = [FileKey.of(name) for name in files(tenant)]
    found = sorted((key for key in keys if key is not None), key=lambda key: key.window.begin)
    assert len(found) == len(keys), keys
    assert not [str(key) for key in found if key.extraction]
    overlaps = [str(next) for one, next in itertools.pairwise(found) if next.window.begin < one.window.end]
    assert not overlaps


def _files(tenant: Tenant) -> list[Object]:
    found: list[Object] = tenant.control.get("/aep/sandboxes/prod/landingzone")["files"]
    return found


def _row(values: Mapping[str, Any]) -> Row:
    instant = datetime.fromisoformat(values["Modified_Time"]).astimezone(UTC)
    return str(values["id"]), instant.strftime("%Y-%m-%dT%H:%M:%SZ")


def _is_marked(values: Mapping[str, Any]) -> bool:
    return values.get(DELETED_COLUMN) == "true"


class Transfers:
    """The Jobs of transfers, in the operator's own namespace."""

    def __init__(self, tenant: Tenant, home: str) -> None:
        self._tenant = tenant
        self._cluster = tenant.cluster
        self.home = home
        self._mark = 0

    @property
    def left(self) -> dict[str, list[str]]:
        """The names of what is there."""
        return {kind: [one["metadata"]["name"] for one in self._of(kind)] for kind in NOTHING_LEFT}

    def hold_back(self, query: str = "") -> None:
        """From now on the landing zone takes no file: who writes one tries again and again. ``query`` is that
        of what it does not take, if not all.
        """
        self._mark = self._tenant.mark()
        self._tenant.control.fault(service="blob", method="PUT", query=query, azure="ServerBusy", times=None)

    def wait_held_back(self) -> None:
        """Wait until somebody tries to write."""

        def tries() -> bool:
            calls = self._tenant.calls_since(self._mark)
            return any((call["method"], call["status"]) == ("PUT", 503) for call in calls)

        self._tenant.until(tries, "a call of the Job that is held back", seconds=60)

    def let_go(self) -> None:
        """It takes them again."""
        self._tenant.control.delete("/faults")

    def wait_pod(self, *, other_than: str = "") -> Object:
        """Wait until a pod runs."""
        found: list[Object] = []

        def runs() -> bool:
            pods = [pod for pod in self._of("Pod") if pod["metadata"]["name"] != other_than]
            found[:] = [pod for pod in pods if is_running(pod)]
            return bool(found)

        self._tenant.until(runs, "a pod that runs", seconds=60)
        return found[0]

    def credentials(self) -> list[str]:
        """What the Secrets of Jobs hold, and what of it is a secret in any text."""
        values = [
            base64.b64decode(text).decode() for one in self._of("Secret") for text in one["data"].values()
        ]
        signatures = [sig for value in values for sig in parse_qs(urlsplit(value).query).get("sig", ())]
        return [*values, *signatures]

    def texts(self) -> dict[str, str]:
        """What somebody who may not read Secrets sees of Jobs, pods and Events in the namespace."""
        kinds = ("Job", "Pod", "Event")
        return {kind: json.dumps(self._cluster.list(kind, self.home), ensure_ascii=False) for kind in kinds}

    def _of(self, kind: str) -> list[Object]:
        label = ("app.kubernetes.io/name", "crmflow-transfer")
        return [
            one
            for one in self._cluster.list(kind, self.home)
            if label in one["metadata"].get("labels", {}).items()
        ]


def begin(tenant: Tenant) -> Windows:
    """All contacts there are, hour by hour."""
    tenant.apply_connection(transport="LandingZone")
    tenant.apply_dataflow(source={"columns": COLUMNS})
    return Windows(tenant, tenant.wait_ready(DATAFLOW, seconds=90))
