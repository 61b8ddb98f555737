"""Draw the dashboard for the documentation: ``python -m hack.dashboard``.

No package registry has Grafana. So a day of demo data goes into a real Prometheus, every panel's
own query is asked there, and Matplotlib draws the answers where the dashboard has its panels.
"""

from __future__ import annotations

import json
import math
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import matplotlib as mpl  # type: ignore[import-not-found]  # make dashboard has it in an environment of its own

from hack.console import Step
from hack.processes import spawn, terminate
from hack.prometheus import find_prometheus

mpl.use("Agg")
from matplotlib import dates
from matplotlib.axes import Axes  # type: ignore[import-not-found]
from matplotlib.figure import Figure  # type: ignore[import-not-found]

ROOT = Path(__file__).resolve().parent.parent
DASHBOARD = ROOT / "charts" / "crmflow" / "files" / "dashboard.json"
PICTURE = ROOT / "docs" / "images" / "dashboard.png"
BEGIN = 1_772_323_200
"""2026-03-01, midnight."""
DAY, STEP, HOUR = 86_400, 60, 3600

Series = tuple[str, dict[str, str]]
_FLOWS = {"contacts": (HOUR, 140), "deals": (900, 25), "accounts": (4 * HOUR, 300)}
"""Period and records of a run."""
_SCALES = {"s": ((86400, "d"), (3600, "h"), (60, "min")), "bytes": ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"))}


def demo_day() -> Iterator[tuple[int, Series, float]]:
    """A day in which Zoho refuses the grant from 13 to 15 o'clock: nothing is ingested until it is over."""
    chance = random.Random(7)
    totals: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}

    def count(metric: str, more: float, /, **labels: str) -> None:
        key = (metric, tuple(labels.items()))
        totals[key] = totals.get(key, 0.0) + more

    until = {name: BEGIN - period for name, (period, _) in _FLOWS.items()}
    success = dict(until)
    length = dict.fromkeys(_FLOWS, 60.0)
    for second in range(0, DAY, STEP):
        now, hour = BEGIN + second, second / HOUR
        lost = 13 <= hour < 15
        busy = 1 + 0.8 * math.sin((hour - 8) / 24 * 2 * math.pi)
        for name, (period, records) in _FLOWS.items():
            labels = {"resource_namespace": "crm", "name": name}
            if second % period == 0:
                result = "Failed" if lost else "Succeeded"
                count("crmflow_dataflow_runs_total", 1, **labels, result=result)
                if not lost:
                    rows = records * busy * (now - until[name]) / period * chance.uniform(0.8, 1.2)
                    bad = 3.0 if name == "deals" and chance.random() < 0.1 else 0.0
                    count("crmflow_dataflow_records_total", round(rows) - bad, **labels, result="Written")
                    count("crmflow_dataflow_records_total", bad, **labels, result="Failed")
                    until[name], success[name] = now, now + 60
                    length[name] = 40 + rows / 4
                    if name != "accounts":
                        count("crmflow_dataflow_windows_total", 1, **labels)
                        count("crmflow_dataflow_window_bytes_total", rows * 310, **labels)
            told = {
                "ingested_until_timestamp_seconds": until[name],
                "last_success_timestamp_seconds": success[name],
                "last_run_duration_seconds": length[name],
                "period_seconds": period,
                "differences_total": 0,
                "pending_windows": float(lost and name != "accounts") + (second % period > period * 0.8),
            }
            for metric, value in told.items():
                yield now, (f"crmflow_dataflow_{metric}", labels), value
            condition = {"kind": "CRMDataflow", **labels, "type": "Ready"}
            yield (
                now,
                ("crmflow_resource_condition", condition | {"status": "True", "reason": "Succeeded"}),
                1,
            )
            if lost:
                failing = {**condition, "type": "RunsHealthy", "status": "False", "reason": "Failed"}
                yield now, ("crmflow_resource_condition", failing), 1
        for service, rate in (("Adobe", 0.5), ("Zoho", 0.12)):
            calls = rate * busy * STEP * chance.uniform(0.7, 1.3)
            count("crmflow_remote_calls_total", calls, service=service, status="200")
            refused = calls * 0.6 if lost and service == "Zoho" else 0.0
            count("crmflow_remote_calls_total", refused, service=service, status="401")
            for bound, share in (("0.1", 0.3), ("0.25", 0.8), ("0.5", 0.93), ("1.0", 0.99), ("+Inf", 1.0)):
                metric = "crmflow_remote_call_duration_seconds_bucket"
                count(metric, calls * share, service=service, le=bound)
            wait = STEP * 0.2 * chance.random() if 9 < hour < 10 and service == "Adobe" else 0.0
            count("crmflow_limiter_wait_seconds_sum", wait, service=service)
        for kind in ("CRMDataflow", "ZohoSourceConnection"):
            count("crmflow_reconcile_total", 6 * busy, kind=kind, outcome="Done")
            count("crmflow_reconcile_total", 2.0 * lost, kind=kind, outcome="Stalled")
            yield now, ("crmflow_objects", {"kind": kind}), 3 if kind == "CRMDataflow" else 1
            ready = 3 if kind == "CRMDataflow" else int(not lost)
            yield now, ("crmflow_ready_objects", {"kind": kind}), ready
        for service, life in (("Adobe", DAY), ("Zoho", HOUR)):
            key = {"service": service, "credential": "3f9a01" if service == "Adobe" else "b27c44"}
            issued = second // (life * 2 // 3) * (life * 2 // 3)
            ends = BEGIN + (12.9 * HOUR if lost and service == "Zoho" else issued + life)
            yield now, ("crmflow_token_expiry_timestamp_seconds", key), ends
        account = {"organization": "20094411.production"}
        yield now, ("crmflow_zoho_credits_allowed", account), 40_000
        yield now, ("crmflow_zoho_credits_spent", account), 9000 + 6000 * math.sin(hour / 24 * 2 * math.pi)
        yield now, ("crmflow_leader", {"instance": "10.0.0.7:8080"}), 1
        memory = 96e6 + 9e6 * busy + chance.uniform(0, 2e6)
        yield now, ("process_resident_memory_bytes", {"instance": "10.0.0.7:8080"}), memory
        depth = chance.randrange(3)
        yield now, ("crmflow_workqueue_depth", {}), depth
        yield now, ("crmflow_workqueue_oldest_seconds", {}), depth * chance.random()
        for (name, pairs), value in totals.items():
            yield now, (name, dict(pairs)), value


def main() -> int:
    """Write the picture."""
    with tempfile.TemporaryDirectory() as folder, Step("Drawing the dashboard"):
        _fill(Path(folder))
        _draw(Path(folder))
    print(PICTURE)
    return 0


def _fill(folder: Path) -> None:
    series: dict[str, dict[str, list[tuple[int, float]]]] = {}
    for now, (name, labels), value in demo_day():
        text = ",".join(f'{label}="{content}"' for label, content in labels.items())
        series.setdefault(name, {}).setdefault(text, []).append((now, value))
    lines = [
        f"{name}{{{labels}}} {value:.6f} {now}"
        for name, found in series.items()
        for labels, samples in found.items()
        for now, value in samples
    ]
    openmetrics = folder / "day.txt"
    openmetrics.write_text("\n".join([*lines, "# EOF", ""]))
    command = ["tsdb", "create-blocks-from", "openmetrics", str(openmetrics), str(folder / "data")]
    subprocess.run([find_prometheus("promtool"), *command], check=True, capture_output=True)
    (folder / "prometheus.yml").write_text("{}")


def _draw(folder: Path) -> None:
    log = folder / "log"
    options = ["--storage.tsdb.path=data", "--storage.tsdb.retention.time=100y"]
    process, _ = spawn(
        "prometheus",
        [find_prometheus(), "--config.file=prometheus.yml", "--web.listen-address=127.0.0.1:0", *options],
        log,
        cwd=folder,
        tethered=True,
    )
    try:
        with httpx.Client(base_url=_url(log), trust_env=False, timeout=60) as client:
            _figure(client).savefig(PICTURE, dpi=80)
    finally:
        terminate([process])


def _url(log: Path) -> str:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        text = log.read_text()
        address = re.search(r'msg="Listening on" address=(127\.0\.0\.1:\d+)', text)
        if address and "Server is ready" in text:
            return f"http://{address[1]}"
        time.sleep(0.1)
    raise TimeoutError(log.read_text())


def _figure(client: httpx.Client) -> Figure:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    height = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in panels)
    figure = Figure(figsize=(18, height * 0.42), facecolor="#f4f5f5")
    for panel in panels:
        place = panel["gridPos"]
        left, width = place["x"] / 24, place["w"] / 24
        top = 1 - place["y"] / height
        if panel["type"] == "row":
            figure.text(left + 0.008, top - 0.75 / height, panel["title"], fontsize=13, weight="bold")
            continue
        margin_x, above, below = 0.03, 1.0 / height, 1.0 / height
        tall = place["h"] / height - above - below
        box = (left + margin_x, top - place["h"] / height + below, width - margin_x - 0.008, max(tall, 0.01))
        axes = figure.add_axes(box, facecolor="white")
        axes.set_title(panel["title"], fontsize=10, loc="left")
        {"stat": _stat, "table": _table, "timeseries": _lines}[panel["type"]](axes, client, panel)
    return figure


def _lines(axes: Axes, client: httpx.Client, panel: dict[str, Any]) -> None:
    unit = panel["fieldConfig"]["defaults"]["unit"]
    drawn = [
        (_legend(target["legendFormat"], found["metric"]), _points(found["values"]))
        for target in panel["targets"]
        for found in _asked(
            client, "query_range", target["expr"], start=BEGIN + HOUR, end=BEGIN + DAY, step=300
        )
    ]
    most = max((abs(value) for _, (_, values) in drawn for value in values), default=0)
    factor, name = next(((f, n) for f, n in _SCALES.get(unit, ()) if most >= f), (1.0, ""))
    for legend, (times, values) in drawn:
        axes.plot(_days(times), [v / factor for v in values], label=legend, linewidth=1.3)
    axes.xaxis.set_major_locator(dates.HourLocator(byhour=range(0, 24, 4)))
    axes.xaxis.set_major_formatter(dates.DateFormatter("%H:%M"))
    axes.tick_params(labelsize=7)
    axes.grid(alpha=0.3)
    axes.set_ylim(bottom=0)
    axes.set_ylabel(name, fontsize=8)
    if drawn and any(legend for legend, _ in drawn):
        axes.legend(fontsize=6.5, loc="upper left", framealpha=0.6)


def _stat(axes: Axes, client: httpx.Client, panel: dict[str, Any]) -> None:
    [found] = _asked(client, "query", panel["targets"][0]["expr"], time=BEGIN + 14.5 * HOUR)
    value = float(found["value"][1])
    text = f"{value / HOUR:.1f} h" if panel["fieldConfig"]["defaults"]["unit"] == "s" else f"{value:,.0f}"
    axes.text(0.5, 0.45, text, fontsize=24, ha="center", va="center", color="#1f60c4")
    axes.set_xticks([])
    axes.set_yticks([])


def _table(axes: Axes, client: httpx.Client, panel: dict[str, Any]) -> None:
    found = _asked(client, "query", panel["targets"][0]["expr"], time=BEGIN + 14.5 * HOUR)
    labels = ("kind", "name", "type", "status", "reason")
    rows = sorted([one["metric"][label] for label in labels] for one in found)
    table = axes.table(cellText=rows, colLabels=labels, loc="upper center", cellLoc="left")
    table.auto_set_font_size(False)
    table.set_fontsize(8)
    axes.set_axis_off()


def _asked(client: httpx.Client, what: str, expr: str, **params: float) -> list[dict[str, Any]]:
    expr = re.sub(r"\$(namespace|dataflow)\b", ".*", expr).replace("$__rate_interval", "1h")
    expr = expr.replace("time()", f"{params['time']}") if "time" in params else expr
    answer = client.get(f"/api/v1/{what}", params={"query": expr, **params})
    answer.raise_for_status()
    result: list[dict[str, Any]] = answer.json()["data"]["result"]
    assert result, f"no data: {expr}"
    return result


def _points(values: Sequence[tuple[float, str]]) -> tuple[list[float], list[float]]:
    return [float(now) for now, _ in values], [float(value) for _, value in values]


def _days(times: Sequence[float]) -> list[float]:
    return [now / DAY for now in times]


def _legend(form: str, labels: dict[str, str]) -> str:
    return re.sub(r"\{\{(\w+)\}\}", lambda found: labels.get(found[1], ""), form)


if __name__ == "__main__":
    sys.exit(main())
