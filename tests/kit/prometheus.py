"""A real Prometheus that scrapes the operator of a test and watches our alert rules."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from hack import loopback
from hack.install import ROOT
from hack.processes import spawn, terminate
from hack.prometheus import find_prometheus
from hack.promlint import find_promlint
from tests.kit.waiting import until

RULES = ROOT / "charts" / "crmflow" / "files" / "alerts.yaml"
DASHBOARD = ROOT / "charts" / "crmflow" / "files" / "dashboard.json"
EVERY = "500ms"
"""How often it scrapes and looks at rules."""
SHORT = "4s"
"""What stands for each range of time in a rule or a panel."""

OF_THE_LANDING_ZONE = {
    "crmflow_dataflow_windows_total": "COUNTER",
    "crmflow_dataflow_window_rows_total": "COUNTER",
    "crmflow_dataflow_window_bytes_total": "COUNTER",
    "crmflow_dataflow_differences_total": "COUNTER",
    "crmflow_dataflow_pending_windows": "GAUGE",
    "crmflow_dataflow_extraction_due_timestamp_seconds": "GAUGE",
    "crmflow_zoho_credits_spent": "GAUGE",
    "crmflow_zoho_credits_allowed": "GAUGE",
}
"""Metrics that no other dataflow has, and their types."""

_CONFIG = {
    "global": {"scrape_interval": EVERY, "scrape_timeout": EVERY, "evaluation_interval": EVERY},
    "rule_files": ["alerts.yaml"],
    "scrape_configs": [
        {"job_name": "crmflow", "file_sd_configs": [{"files": ["targets.json"], "refresh_interval": "1s"}]}
    ],
}


class Prometheus:
    """The running server. Its rules are ours, with nothing to wait for, and on the clock of the test."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._log = folder / "prometheus.log"
        self._http = httpx.Client(trust_env=False, timeout=10)

    @contextmanager
    def running(self) -> Iterator[Prometheus]:
        """Run it for the block."""
        (self._folder / "prometheus.yml").write_text(json.dumps(_CONFIG))
        self._write_rules(0)
        self._write_targets()
        process, _ = spawn(
            "prometheus",
            [
                find_prometheus(),
                "--config.file=prometheus.yml",
                "--storage.tsdb.path=data",
                "--web.listen-address=127.0.0.1:0",
                "--web.enable-lifecycle",
            ],
            self._log,
            cwd=self._folder,
            tethered=True,
        )
        try:
            until(self._is_ready, what=lambda: self._log.read_text()[-2000:])
            yield self
        finally:
            terminate([process])
            self._http.close()

    def watch(self, url: str | None) -> None:
        """Scrape the process at ``url`` from now on, or none."""
        self._write_targets(*([url] if url else []))

    def set_clock(self, ahead: float) -> None:
        """Its rules see a time that is so many seconds ahead of this machine's."""
        self._write_rules(ahead)
        self._http.post(f"{self._url}/-/reload").raise_for_status()

    def query(self, expr: str) -> list[Mapping[str, Any]]:
        """The samples of an instant query."""
        answer = self._http.get(f"{self._url}/api/v1/query", params={"query": expr})
        assert answer.is_success, answer.text
        result: list[Mapping[str, Any]] = answer.json()["data"]["result"]
        return result

    @property
    def alerts(self) -> dict[str, list[Mapping[str, Any]]]:
        """The alerts that fire, by name."""
        found: dict[str, list[Mapping[str, Any]]] = {}
        for alert in self._http.get(f"{self._url}/api/v1/alerts").json()["data"]["alerts"]:
            if alert["state"] == "firing":
                found.setdefault(alert["labels"]["alertname"], []).append(alert)
        return found

    def wait_firing(self, *names: str, seconds: float = 20) -> None:
        """Wait until these alerts fire, whatever else does."""
        until(lambda: self.alerts.keys() >= set(names), seconds, what=lambda: f"{names}: {self._told()}")

    def wait_resolved(self, *names: str, seconds: float = 20) -> None:
        """Wait until none of these fires; of all, if none is named."""
        gone = set(names)
        until(
            lambda: not (self.alerts.keys() & gone if names else self.alerts),
            seconds,
            what=lambda: f"the end of {names or 'all'}: {self._told()}",
        )

    def _told(self) -> list[str]:
        return [alert["annotations"]["description"] for some in self.alerts.values() for alert in some]

    def _is_ready(self) -> bool:
        try:
            return self._http.get(f"{self._url}/-/ready").is_success
        except (OSError, httpx.HTTPError):
            return False

    @property
    def _url(self) -> str:
        found = re.search(r'msg="Listening on" address=(127\.0\.0\.1:\d+)', self._log.read_text())
        if found is None:
            raise OSError("it does not listen yet")
        return f"http://{found[1]}"

    def _write_rules(self, ahead: float) -> None:
        text = re.sub(r"\bfor: \w+", "for: 0s", RULES.read_text())
        text = re.sub(r"\[\w+\]", f"[{SHORT}]", text)
        (self._folder / "alerts.yaml").write_text(text.replace("time()", f"(time() + {ahead:.0f})"))

    def _write_targets(self, *urls: str) -> None:
        targets = [{"targets": [url.removeprefix("http://") for url in urls], "labels": {}}]
        new = self._folder / "targets.json.new"
        new.write_text(json.dumps(targets))
        new.rename(self._folder / "targets.json")


def families(url: str) -> dict[str, str]:
    """The metrics of the process at ``url``, with their types, as Prometheus' own parser reads them; its
    linter has nothing to say.
    """
    text = loopback.get(f"{url}/metrics").text
    read = subprocess.run([find_promlint()], input=text, capture_output=True, text=True, check=False)
    assert (read.returncode, read.stderr) == (0, "")
    return dict(line.split() for line in read.stdout.splitlines())


def panels() -> Iterator[tuple[str, str]]:
    """Title and query of each panel of the dashboard, for all resources."""
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel.get("targets", ()):
            expr = re.sub(r"\$(namespace|dataflow)\b", ".*", target["expr"])
            yield panel["title"], re.sub(r"\[(\$__rate_interval|1d)\]", f"[{SHORT}]", expr)
