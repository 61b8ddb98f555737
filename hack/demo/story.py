"""The main job: apply the manifests, watch them become Ready, and see a run arrive, through both ways."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from hack.console import Step, ToolError, say
from hack.demo.environment import NAMESPACE, Demo
from hack.install import ROOT
from hack.kubectl import Kubectl

CONNECTION = "zohosourceconnection/zoho-eu"
DATAFLOW = "crmdataflow/contacts"
FILES_DATAFLOW = "crmdataflow/contacts-in-files"
_WAIT_SECONDS = 60.0
_POLL_SECONDS = 0.2
_RUN_SHOWS_SECONDS = 600
"""After its tick a run of files is listed, and final, on the emulators' clock."""


def tell(demo: Demo) -> float:
    """Seconds from the apply until both were Ready. Raises ToolError when a step does not end as it
    should.
    """
    began = time.monotonic()
    demo.kubectl("apply", "-f", str(ROOT / "deploy" / "demo"))
    say("$ kubectl apply -f deploy/demo")
    with Step("Waiting for both to become Ready") as step:
        for name in (CONNECTION, DATAFLOW):
            wait_for(demo.kubectl, name, is_ready, step)
    seconds_to_ready = time.monotonic() - began
    flow = get(demo.kubectl, DATAFLOW)["status"]["flow"]["id"]
    demo.emulators.control.finish_run(flow)
    with Step("The emulator has finished a run; waiting for it in status.lastRun") as step:
        wait_for(demo.kubectl, DATAFLOW, has_finished_run, step)
    return seconds_to_ready


def tell_of_files(demo: Demo) -> None:
    """The same contacts in files of the landing zone, up to a run that has taken them all. Raises ToolError
    likewise.
    """
    demo.kubectl("apply", "-f", str(ROOT / "deploy" / "demo" / "landing-zone"))
    say("$ kubectl apply -f deploy/demo/landing-zone")
    with Step("A Job writes the first file; waiting for the dataflow to become Ready") as step:
        wait_for(demo.kubectl, FILES_DATAFLOW, is_ready, step)
    started = get(demo.kubectl, FILES_DATAFLOW)["status"]["schedule"]["effectiveStartTime"]
    control = demo.emulators.control
    first_run = datetime.fromisoformat(started).timestamp()
    control.advance(first_run + _RUN_SHOWS_SECONDS - control.get("/clock")["now"])
    with Step("The emulators' clock has passed the first run; waiting for what it ingested") as step:
        wait_for(demo.kubectl, FILES_DATAFLOW, is_ingested, step)


def get(kubectl: Kubectl, name: str) -> Any:
    """One of the demo's resources."""
    return kubectl.json("get", name, f"--namespace={NAMESPACE}")


def wait_for(kubectl: Kubectl, name: str, met: Callable[[Any], bool], step: Step) -> None:
    """Show the resource's Ready condition until ``met`` holds. Raises ToolError after a minute."""
    deadline = time.monotonic() + _WAIT_SECONDS
    while not met(resource := get(kubectl, name)):
        ready = condition(resource, "Ready")
        if time.monotonic() > deadline:
            raise ToolError(f"{name} did not get there in {_WAIT_SECONDS:.0f} s")
        step.update(f"{name}: {ready['reason']}: {ready['message']}" if ready else f"{name}: no status yet")
        time.sleep(_POLL_SECONDS)


def is_ready(resource: Any) -> bool:
    """Whether Ready is True for the current generation."""
    ready = condition(resource, "Ready")
    return (
        ready is not None
        and ready["status"] == "True"
        and ready["observedGeneration"] == resource["metadata"]["generation"]
    )


def has_finished_run(resource: Any) -> bool:
    """Whether the status shows a run that has ended."""
    return "completionTime" in resource.get("status", {}).get("lastRun", {})


def is_ingested(resource: Any) -> bool:
    """Whether a run has taken as many rows as were written into files."""
    complete = condition(resource, "IngestionComplete")
    return complete is not None and complete["status"] == "True" and has_finished_run(resource)


def condition(resource: Any, type_: str) -> Any:
    """A condition of a resource; None if it has none of that type."""
    conditions = resource.get("status", {}).get("conditions", [])
    return next((entry for entry in conditions if entry["type"] == type_), None)
