"""``kubectl crmflow status`` on a real API server: rights, exit status, and a terminal that watches."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress

from hack.install import ROOT
from tests.kit import manifests
from tests.kit.plugin import ENOUGH, READ_CONNECTIONS, Plugin
from tests.kit.tenant import DATAFLOW, Tenant

RUNS = "RunsHealthy False: Failed"


def fail(tenant: Tenant) -> str:
    """The only flow has a run that fails; its id."""
    error = {"code": "CONNECTOR-1001-500", "message": "The copy failed."}
    flow = tenant.held("flows")[0]["id"]
    return str(tenant.control.post("/aep/runs", flowId=flow, state="failed", errors=[error])["id"])


def test_it_tells_of_a_failed_run_with_rights_to_read_alone(plugin: Plugin, tenant: Tenant) -> None:
    plugin.give_rights(READ_CONNECTIONS)
    nothing = plugin("status")
    assert (nothing.status, nothing.stdout) == (0, "")
    assert "ZohoSourceConnection or CRMDataflow" in nothing.stderr
    absent = plugin("status", "contacts")
    assert (absent.status, absent.stdout) == (1, "")

    tenant.make_ready()
    mark = tenant.mark()
    well = plugin("status")
    assert (well.status, well.stderr) == (0, "")
    run = fail(tenant)
    tenant.wait_reason(DATAFLOW, "RunsHealthy", "Failed")
    found = plugin("status", tenant.name_of(DATAFLOW))
    assert found.status == 1
    assert found.stdout.isascii()
    assert RUNS in found.stdout
    assert f"Run {run}  failed" in found.stdout
    assert "What to do: See status.lastRun.errors" in found.stdout
    assert "CONNECTOR-1001-500: The copy failed." in found.stdout
    [connection] = plugin("status", "-o", "json").json()["connections"]
    assert connection["isWell"] is False
    assert [one["id"] for one in connection["dataflows"][0]["runs"]] == [run]
    assert {call["method"] for call in tenant.calls_since(mark)} <= {"GET"}, "it asks the API server alone"


def test_a_run_that_was_asked_for_is_shown_to_who_may_read_it(plugin: Plugin, tenant: Tenant) -> None:
    tenant.make_ready()
    tenant.cluster.apply(manifests.run(tenant.namespace, "again"))
    tenant.cluster.wait_condition("CRMDataflowRun", "again", tenant.namespace, "Failed")
    title = f"CRMDataflowRun {tenant.namespace}/again  Failed: "
    assert title not in plugin("status").stdout
    plugin.give_rights({**READ_CONNECTIONS, "resources": [*READ_CONNECTIONS["resources"], "crmdataflowruns"]})
    shown = plugin("status")
    assert (shown.status, shown.stderr) == (0, "")
    assert title in shown.stdout


def test_other_namespaces_and_labels(plugin: Plugin, tenant: Tenant) -> None:
    for name in ("zoho-eu", "zoho-us"):
        manifest = manifests.connection(tenant.namespace, name)
        manifest["metadata"]["labels"] = {"region": name[-2:]}
        tenant.cluster.apply(manifest)
    [picked] = plugin("status", "-l", "region=us", "-o", "json").json()["connections"]
    assert (picked["name"], picked["exists"]) == ("zoho-us", True)
    refused = plugin("status", "-A")
    assert refused.status == 1
    assert "403" in refused.stderr
    assert plugin("status", "-w").stderr.startswith("error: There is no terminal to watch at.")


def test_a_terminal_is_kept_up_to_date_until_ctrl_c(plugin: Plugin, tenant: Tenant) -> None:
    tenant.make_ready()
    master, slave = pty.openpty()
    arguments = ["status", "--watch", f"--kubeconfig={plugin.kubeconfig}"]
    environment = {
        **{name: value for name, value in os.environ.items() if name not in ("KUBECONFIG", "NO_COLOR")},
        "PYTHONPATH": str(ROOT / "operator"),
        "PYTHONUTF8": "1",
        "TERM": "xterm-256color",
        **tenant.emulators.operator_settings(),
    }
    watching = subprocess.Popen(
        [sys.executable, "-m", "crmflow.cli", *arguments],
        cwd=ROOT,
        env=environment,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
        # a test may run in the background, where Ctrl-C means nothing
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    os.close(slave)
    os.set_blocking(master, False)
    shown = ""

    def read_until(is_there: Callable[[], bool]) -> None:
        """A terminal reads what is written to it all the time: else who writes waits."""
        nonlocal shown
        deadline = time.monotonic() + 60
        while not is_there():
            assert time.monotonic() < deadline, shown
            with suppress(OSError):  # nothing at the moment, or its end
                shown += os.read(master, 65536).decode(errors="replace")
            time.sleep(0.05)

    try:
        read_until(lambda: "NoRunYet" in shown)
        assert "└── " in shown
        fail(tenant)
        read_until(lambda: " False: Failed" in shown)
        watching.send_signal(signal.SIGINT)
        read_until(lambda: watching.poll() is not None)
        assert watching.returncode == 130
    finally:
        watching.kill()
        watching.wait()
        os.close(master)


def test_the_rows_that_a_run_has_refused_go_to_the_terminal_alone(plugin: Plugin, tenant: Tenant) -> None:
    tenant.make_ready(ingestion={"errorDiagnostics": True})
    person = "ada.quellin@example.com"
    row = {"Email": person, "_errors": [{"code": "1555", "message": "A required field is missing."}]}
    flow, name = tenant.held("flows")[0]["id"], tenant.name_of(DATAFLOW)
    tenant.control.post(
        "/aep/runs", flowId=flow, state="partial", inputRecordCount=9, failedRecordCount=1, refusedRows=[row]
    )
    tenant.wait_reason(DATAFLOW, "RunsHealthy", "PartiallySucceeded")
    shown = plugin("errors", name)
    assert (shown.status, shown.stderr) == (0, "")
    assert f"1555 A required field is missing.\n  Email: {person}\n" in shown.stdout
    [kept] = plugin("errors", name, "-o", "json").json()["rows"]
    assert kept["values"] == {"Email": person}
    told = [tenant.get(DATAFLOW), *tenant.cluster.list("Event", tenant.namespace)]
    assert person not in f"{told}{tenant.operator.log}"

    plugin.give_rights(READ_CONNECTIONS)
    refused = plugin("errors", name)
    assert (refused.status, refused.stdout) == (1, "")
    assert "secrets" in refused.stderr
    failed = fail(tenant)
    tenant.wait_reason(DATAFLOW, "RunsHealthy", "Failed")
    plugin.give_rights(*ENOUGH)
    none = plugin("errors", name, "--run", failed)
    assert none.status == 1
    assert "Platform has kept no row" in none.stderr
