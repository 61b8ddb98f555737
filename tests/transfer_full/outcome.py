"""What came of a transfer, and the page that tells it."""

from __future__ import annotations

from dataclasses import dataclass

from tests.transfer_full.measured import Usage

_MEBIBYTE = 2**20


@dataclass(frozen=True)
class Outcome:
    """What Platform ingested, beside what Zoho CRM holds, and what it took."""

    records: int
    """That Zoho CRM holds."""
    missing: int
    doubled: int
    foreign: int
    """Rows that are no record of Zoho CRM, by id and Modified_Time."""
    parts: int
    columns: int
    bytes: int
    credits: int
    transfer: Usage
    ready_seconds: float
    """From the apply until the flow was made: the file is there before it."""
    ingestion_seconds: float
    """That the emulated Platform took."""

    @property
    def is_complete(self) -> bool:
        """Whether each record was ingested once, and nothing else."""
        return not (self.missing or self.doubled or self.foreign)


def page(outcome: Outcome) -> str:
    """The report."""
    usage = outcome.transfer
    rows = {
        "records in Zoho CRM": f"{outcome.records:,}",
        "missing in the dataset": f"{outcome.missing:,}",
        "more than once in the dataset": f"{outcome.doubled:,}",
        "in the dataset only": f"{outcome.foreign:,}",
        "files of Bulk Read": str(outcome.parts),
        "columns": str(outcome.columns),
        "file in the landing zone": f"{outcome.bytes / _MEBIBYTE:,.1f} MiB",
        "credits of Zoho CRM, the operator's calls included": f"{outcome.credits:,}",
        "seconds of the Job's process": f"{usage.seconds:.0f}",
        "CPU seconds of it": f"{usage.cpu:.1f}",
        "peak memory of it": f"{usage.memory:.0f} MiB",
        "seconds from the apply until the dataflow was Ready": f"{outcome.ready_seconds:.0f}",
        "seconds of the ingestion, by the emulator": f"{outcome.ingestion_seconds:.0f}",
    }
    return _HEAD + "".join(f"| {what} | {value} |\n" for what, value in rows.items()) + _FOOT


_HEAD = """\
# A whole table through the landing zone

Written by `make transfer REPORT=…`: a first load from end to end. The operator runs in a local control plane
with a node; its Job reads the emulated Zoho CRM by Bulk Read and writes one file into Azurite, which the
emulated Platform ingests. What is in the dataset then is compared with what Zoho CRM holds, by id and
Modified_Time.

| | |
|---|---|
"""
_FOOT = """
The Job's process waits for most of that time: emulators, Azurite, control plane and operator take the same
two cores, and the emulated Zoho CRM looks at all its records anew for each count and each file. What a
transfer is capable of by itself stands in [transfers](transfer.md).
"""
