"""The reference page of the metrics."""

from __future__ import annotations

from crmflow.observability.metrics import Metrics

_HEAD = """# Metrics

`GET /metrics` on the operator's own port gives them in Prometheus' text format. What to watch, and what an
alert means, is in [observability.md](../guides/observability.md). Labels hold no secret: a credential is a
hash. The metrics of the process itself (`process_resident_memory_bytes`, `process_cpu_seconds_total`,
`process_open_fds` and so on) are Prometheus' usual ones.

A histogram gives `…_bucket`, `…_sum` and `…_count`.

| Metric | Type | Labels | Meaning |
| --- | --- | --- | --- |
"""


def metrics_page() -> str:
    """The page, from the descriptions that stand beside each metric."""
    rows = (
        f"| `{metric.name}` | {metric.type} | {', '.join(f'`{label}`' for label in metric.labels)} "
        f"| {metric.text} |\n"
        for metric in sorted(Metrics().descriptions, key=lambda metric: metric.name)
    )
    return _HEAD + "".join(rows)
