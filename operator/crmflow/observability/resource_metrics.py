"""The metrics that speak of single resources: what status tells, as it is when somebody asks.

They are not kept: each scrape gives what the resources say then. So a series ends with its resource, and a
process that has just started shows what the one before has found, not zeros.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

OF_RESOURCE = ("resource_namespace", "name")
"""Labels of every such metric. Not ``namespace``: Prometheus gives that name to the target's own."""


@dataclass(frozen=True)
class Family:
    """A metric; ``labels`` are those beside :data:`OF_RESOURCE`."""

    name: str
    """With ``_total``, if it is a counter."""
    text: str
    labels: tuple[str, ...] = ()

    @property
    def type(self) -> str:
        """Prometheus' word for it."""
        return "counter" if self.name.endswith("_total") else "gauge"

    @property
    def all_labels(self) -> tuple[str, ...]:
        """Those of its samples."""
        return (*OF_RESOURCE, *self.labels)


CONDITION = Family(
    "crmflow_resource_condition",
    "1 for the condition Ready of a resource, and for each other one while it is not as it should be.",
    ("kind", "type", "status", "reason"),
)
PERIOD = Family(
    "crmflow_dataflow_period_seconds",
    "Time between two runs by the schedule; none of a dataflow that runs once, is paused or is disabled.",
)
INGESTED_UNTIL = Family(
    "crmflow_dataflow_ingested_until_timestamp_seconds",
    "Up to when changes in Zoho CRM are in Platform (status.ingested.until).",
)
LAST_SUCCESS = Family(
    "crmflow_dataflow_last_success_timestamp_seconds",
    "When the last run ended that succeeded, in whole or in part.",
)
LAST_RUN_SECONDS = Family("crmflow_dataflow_last_run_duration_seconds", "Length of the last run that ended.")
RUNS = Family(
    "crmflow_dataflow_runs_total",
    "Runs that have ended, by result: Succeeded, PartiallySucceeded, Failed.",
    ("result",),
)
RECORDS_READ = Family("crmflow_dataflow_records_read_total", "Records that runs have read.")
RECORDS = Family(
    "crmflow_dataflow_records_total",
    "Records that runs have read, by what became of them: Written, Skipped, Failed.",
    ("result",),
)
BYTES_WRITTEN = Family("crmflow_dataflow_written_bytes_total", "Bytes that runs have ingested.")
WINDOWS = Family(
    "crmflow_dataflow_windows_total", "Windows that were read from Zoho CRM into a file of the landing zone."
)
WINDOW_ROWS = Family("crmflow_dataflow_window_rows_total", "Rows of these files.")
WINDOW_BYTES = Family("crmflow_dataflow_window_bytes_total", "Bytes of these files.")
DIFFERENCES = Family(
    "crmflow_dataflow_differences_total",
    "Runs and windows whose numbers differ between Zoho CRM, their files and Platform.",
)
PENDING_WINDOWS = Family(
    "crmflow_dataflow_pending_windows", "Windows that are recorded and that no run has ingested yet."
)
EXTRACTION_DUE = Family(
    "crmflow_dataflow_extraction_due_timestamp_seconds",
    "The run for which the oldest window that has no file yet was to be there; none if all have one.",
)
FAMILIES = (
    CONDITION,
    PERIOD,
    INGESTED_UNTIL,
    LAST_SUCCESS,
    LAST_RUN_SECONDS,
    RUNS,
    RECORDS_READ,
    RECORDS,
    BYTES_WRITTEN,
    WINDOWS,
    WINDOW_ROWS,
    WINDOW_BYTES,
    DIFFERENCES,
    PENDING_WINDOWS,
    EXTRACTION_DUE,
)


@dataclass(frozen=True, slots=True)
class Measurement:
    """What one resource tells for a metric; ``labels`` are the values of the family's own labels."""

    family: Family
    value: float
    labels: tuple[str, ...] = ()


Readings = Iterable[tuple[tuple[str, str], Iterable[Measurement]]]
"""Namespace and name of each resource, with what it tells."""


class ResourceCollector(Collector):
    """Gives what :attr:`read` finds, in the registry of the operator's metrics."""

    def __init__(self) -> None:
        self.read: Callable[[], Readings] = lambda: ()

    def collect(self) -> Iterator[Metric]:
        """All families, also those of which no resource tells anything."""
        metrics = {
            family.name: Metric(family.name.removesuffix("_total"), family.text, family.type)
            for family in FAMILIES
        }
        for resource, readings in self.read():
            for reading in readings:
                family = reading.family
                labels = dict(zip(family.all_labels, (*resource, *reading.labels), strict=True))
                metrics[family.name].add_sample(family.name, labels, reading.value)
        yield from metrics.values()
