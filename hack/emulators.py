"""The emulators of Zoho and Adobe Experience Platform as a process of their own, and a client of their
control API.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from hack.console import Step, ToolError
from hack.install import ROOT
from hack.processes import ProcessRecord, spawn, terminate

_READY_SECONDS = 60.0
_POLL_SECONDS = 0.05


class Control:
    """The emulators' control API (tests/emulators/README.md): what a test or the demo does to the remote
    side.
    """

    def __init__(self, url: str, seconds: float = 10) -> None:
        """``seconds`` is how long a call may take."""
        self._http = httpx.Client(base_url=url, timeout=seconds, trust_env=False)

    def get(self, path: str, /, **params: Any) -> Any:
        """The parsed answer to a GET."""
        return self._answer(self._http.get(path, params=params))

    def post(self, path: str, /, **body: Any) -> Any:
        """The parsed answer to a POST of ``body``."""
        return self._answer(self._http.post(path, json=body))

    def patch(self, path: str, /, **body: Any) -> Any:
        """The parsed answer to a PATCH with ``body``."""
        return self._answer(self._http.patch(path, json=body))

    def put(self, path: str, /, **body: Any) -> Any:
        """Put something in place."""
        return self._answer(self._http.put(path, json=body))

    def delete(self, path: str) -> Any:
        """The parsed answer to a DELETE."""
        return self._answer(self._http.delete(path))

    def state(self) -> Any:
        """Everything that Zoho and the Platform hold."""
        return self.get("/state")

    def reset(self) -> None:
        """Back to the seeded state and the real time, without faults."""
        self.post("/reset")
        self.post("/clock", offset=0)

    def advance(self, seconds: float) -> None:
        """Let time pass on both sides."""
        self.post("/clock", advance=seconds)

    def switch(self, emulator: str, **values: Any) -> None:
        """Set switches of ``aep`` or ``zoho``."""
        self.patch(f"/switches/{emulator}", **values)

    def finish_run(self, flow_id: str, **outcome: Any) -> Any:
        """Make a run of a flow that has ended, in success unless ``outcome`` says otherwise."""
        return self.post("/aep/runs", flowId=flow_id, **outcome)

    def fault(self, **fault: Any) -> None:
        """Make coming requests fail; see the README for the fields."""
        self.post("/faults", **fault)

    def _answer(self, response: httpx.Response) -> Any:
        if response.is_error:
            request = response.request
            raise ToolError(f"{request.method} {request.url}: {response.status_code} {response.text[:300]}")
        return response.json() if response.content else None


class Emulators:
    """The process, with its clock, exchange log and connection details in ``directory``."""

    def __init__(self, directory: Path, *, landing_zone: bool = False) -> None:
        """``landing_zone`` has Azurite started with the rest; else its first user waits for it."""
        self.directory = directory
        self.landing_zone = landing_zone
        self.info_file = directory / "emulators.json"
        self.exchanges = directory / "exchanges.jsonl"
        self.clock = directory / "clock"
        self.log = directory / "emulators.log"

    def start(self, *, tethered: bool) -> ProcessRecord:
        """Start it and return once it has told its URLs. Raises ToolError if it does not."""
        for file in (self.info_file, self.exchanges, self.clock, self.log):
            file.unlink(missing_ok=True)
        options = [f"--exchanges={self.exchanges}", f"--clock-file={self.clock}", f"--info={self.info_file}"]
        if self.landing_zone:
            options.append("--landing-zone")
        command = [sys.executable, "-m", "tests.emulators", *options]
        process, _ = spawn("emulators", command, self.log, cwd=ROOT, tethered=tethered)
        with Step("Starting the emulators of Zoho CRM and Adobe Experience Platform") as step:
            deadline = time.monotonic() + _READY_SECONDS
            while not self.info_file.exists():
                if not process.alive() or time.monotonic() > deadline:
                    terminate([process])
                    raise ToolError(f"the emulators did not start:\n{self.log.read_text(errors='replace')}")
                step.update("waiting for their URLs")
                time.sleep(_POLL_SECONDS)
        return process

    @contextmanager
    def running(self) -> Iterator[Emulators]:
        """Run it for the block; it dies with this process."""
        process = self.start(tethered=True)
        try:
            yield self
        finally:
            terminate([process])

    @property
    def info(self) -> Any:
        """The URLs and seeded credentials, as ``make emulators`` prints them."""
        return json.loads(self.info_file.read_text())

    @property
    def control(self) -> Control:
        """A client of the control API."""
        return Control(self.info["controlUrl"])

    def secrets(self) -> list[str]:
        """The seeded values that must show nowhere."""
        info = self.info
        zoho = [info["zoho"][key] for key in ("clientSecret", "refreshToken", "grantToken")]
        return [*zoho, info["platform"]["clientSecret"]]

    def operator_settings(self) -> dict[str, str]:
        """The settings that point an operator here."""
        info = self.info
        return {
            "CRMFLOW_PLATFORM_URL": info["platformUrl"],
            "CRMFLOW_IMS_URL": info["imsUrl"],
            "CRMFLOW_ZOHO_ACCOUNTS_URL": info["zohoAccountsUrlTemplate"],
            "CRMFLOW_ZOHO_API_URL": info["zohoApiUrlTemplate"],
            "CRMFLOW_CLOCK": str(self.clock),
        }
