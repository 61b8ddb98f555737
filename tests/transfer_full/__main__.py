"""``make transfer``: 450,000 records in three files of Bulk Read, from Zoho CRM to a dataset, compared there.

python -m tests.transfer_full [--rows 450000] [--part 200000] [--report FILE]
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hack.azurite import azurite_command
from hack.console import Step, ToolError, say
from hack.controlplane import ControlPlane, find_assets
from hack.emulators import Control, Emulators
from hack.install import NAMESPACE, ROOT, install, operator_kubeconfig
from hack.kubectl import Kubectl
from hack.node import Node, crmflow_image
from hack.transfer_template import write_transfer_template
from tests.emulators.aep.seed_data import CONTACTS_DATASET
from tests.kit.cluster import Cluster, Object
from tests.kit.operator import SourceOperator
from tests.kit.tenant import DATAFLOW, Tenant
from tests.transfer_full.measured import PodWatcher
from tests.transfer_full.outcome import Outcome, page

DIRECTORY = ROOT / "build" / "transfer"
TENANT, TABLE = "transfer", "Leads"
ROWS, PART = 450_000, 200_000
_RECORDS = f"/zoho/eu/production/modules/{TABLE}/records"
_CREDITS = "/zoho/eu/production/credits"
_INGESTED = f"/aep/sandboxes/prod/dataSets/{CONTACTS_DATASET}/rows"
_AT_ONCE = 50_000
"""Records that the emulator is asked to make in one call."""
_CALL_SECONDS, _READY_SECONDS, _INGESTED_SECONDS = 600.0, 900.0, 300.0
_RUN_SHOWS_SECONDS = 600
"""After its tick a run of files is listed, and final, on the emulators' clock."""


@contextmanager
def running_tenant(cluster_directory: Path) -> Iterator[tuple[Tenant, Node]]:
    """A tenant in a control plane with a node, for the block; all of it dies with this process."""
    azurite_command()  # installs it with a word about it, before something waits for it
    with ExitStack() as stack:
        plane = stack.enter_context(ControlPlane(cluster_directory))
        kubectl = Kubectl(find_assets().binary("kubectl"), plane.kubeconfig)
        install(kubectl)
        node = stack.enter_context(Node(kubectl, DIRECTORY / "node", [crmflow_image()]))
        emulators = stack.enter_context(Emulators(DIRECTORY, landing_zone=True).running())
        cluster = Cluster(plane.kubeconfig)
        stack.callback(cluster.close)
        cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": TENANT}})
        settings = emulators.operator_settings()
        settings |= {
            "CRMFLOW_TRANSFER_TEMPLATE": write_transfer_template(
                DIRECTORY / "transfer.json", settings["CRMFLOW_CLOCK"]
            ),
            "CRMFLOW_WATCH_NAMESPACES": TENANT,
            "CRMFLOW_POD_NAMESPACE": NAMESPACE,
            "CRMFLOW_POLL_INTERVAL": "5s",
            "CRMFLOW_LOG_LEVEL": "INFO",
        }
        identity = operator_kubeconfig(kubectl, DIRECTORY / "operator.kubeconfig")
        operator = SourceOperator(DIRECTORY, identity, settings)
        stack.callback(operator.close)
        tenant = Tenant(cluster, emulators, operator, TENANT, check=lambda: None)
        tenant.control = Control(emulators.info["controlUrl"], seconds=_CALL_SECONDS)
        yield tenant, node


def transfer(rows: int, part: int) -> Outcome:
    """Take ``rows`` records to the dataset. Raises ToolError and AssertionError if that takes too long."""
    with running_tenant(DIRECTORY / "controlplane") as (tenant, node):
        control = tenant.control
        control.switch("zoho", bulkPageRows=part)
        _fill(control, rows)
        tenant.operator.start()
        tenant.apply_secrets()
        tenant.apply_connection(transport="LandingZone")
        spent, begun = control.post(_CREDITS, spend=0)["used"], time.monotonic()
        with Step(f"Transferring {rows} records"), PodWatcher(tenant.cluster, node, NAMESPACE) as pods:
            tenant.apply_dataflow(source={"table": TABLE, "columns": None})
            flow = tenant.wait_ready(DATAFLOW, seconds=_READY_SECONDS)
        ready = time.monotonic() - begun
        (file,) = [window["file"] for window in flow["status"]["pendingWindows"]]
        ingestion = _ingest(tenant, flow)
        spent = control.post(_CREDITS, spend=0)["used"] - spent
        (usage,) = pods.usages
        held, ingested = _held(control), _ingested(control)
        return Outcome(
            records=held.total(),
            missing=(held - ingested).total(),
            doubled=sum(count - 1 for count in ingested.values()),
            foreign=len(ingested.keys() - held.keys()),
            parts=_parts(tenant.emulators.exchanges),
            columns=len(flow["status"]["columns"]),
            bytes=file["bytes"],
            credits=spent,
            transfer=usage,
            ready_seconds=ready,
            ingestion_seconds=ingestion,
        )


def _fill(control: Control, rows: int) -> None:
    there = len(control.get(_RECORDS)["records"])
    with Step(f"Making {rows} records in the emulated Zoho CRM") as step:
        while there < rows:
            there = control.post(_RECORDS, count=min(_AT_ONCE, rows - there))["records"]
            step.update(f"{there} are there")


def _ingest(tenant: Tenant, flow: Object) -> float:
    """Let the first run of the flow pass; the seconds that Platform's emulator took for it."""
    start = datetime.fromisoformat(flow["status"]["schedule"]["effectiveStartTime"]).timestamp()
    control, begun = tenant.control, time.monotonic()
    with Step("Ingesting them") as step:
        control.advance(start + _RUN_SHOWS_SECONDS - control.get("/clock")["now"])
        taken = time.monotonic() - begun
        step.update("waiting for the operator to say so")
        tenant.cluster.wait_condition(
            DATAFLOW,
            tenant.name_of(DATAFLOW),
            TENANT,
            "IngestionComplete",
            "True",
            "RowsMatch",
            seconds=_INGESTED_SECONDS,
        )
    return taken


def _held(control: Control) -> Counter[tuple[str, str]]:
    """What Zoho CRM holds: id and Modified_Time, as the rows show them."""
    return Counter((one["id"], _utc(one["Modified_Time"])) for one in control.get(_RECORDS)["records"])


def _ingested(control: Control) -> Counter[tuple[str, str]]:
    rows: list[dict[str, Any]] = control.get(_INGESTED)["rows"]
    return Counter((row["values"]["id"], row["values"]["Modified_Time"]) for row in rows)


def _utc(instant: str) -> str:
    return f"{datetime.fromisoformat(instant).astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _parts(exchanges: Path) -> int:
    """How many files of Bulk Read were downloaded."""
    with exchanges.open() as lines:
        paths = [json.loads(line)["path"] for line in lines]
    return sum("/crm/bulk/v8/read/" in path and path.endswith("/result") for path in paths)


def main() -> int:
    """Transfer, print, and say whether everything arrived once."""
    parser = argparse.ArgumentParser(prog="make transfer")
    parser.add_argument("--rows", type=int, default=ROWS, help="records of the table")
    parser.add_argument("--part", type=int, default=PART, help="most rows of a file of Bulk Read")
    parser.add_argument("--report", type=Path, metavar="FILE")
    chosen = parser.parse_args()
    shutil.rmtree(DIRECTORY, ignore_errors=True)
    DIRECTORY.mkdir(mode=0o700, parents=True)
    try:
        outcome = transfer(chosen.rows, chosen.part)
    except ToolError as error:
        say(f"error: {error}")
        return 1
    text = page(outcome)
    print(text)
    if chosen.report is not None:
        chosen.report.write_text(text, encoding="utf-8")
    return 0 if outcome.is_complete else 1


if __name__ == "__main__":
    sys.exit(main())
