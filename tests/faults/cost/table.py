"""Bills as tables that a terminal and a page show alike."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from tests.faults.calls import Call
from tests.faults.cost.bill import Bill, Bills


def tables(tenants: Iterable[Bills]) -> str:
    """One table per tenant: a row per kind of call, a column per phase."""
    return "\n\n".join(f"## {tenant.title}\n\n{_table(tenant.phases)}" for tenant in tenants)


def last_line(tenants: Sequence[Bills]) -> str:
    """What the quiet poll of the largest tenant of each way costs."""
    largest = {tenant.way: tenant for tenant in tenants}
    return "\n".join(f"quiet poll of {tenant.title}: {_poll(tenant)}" for tenant in largest.values())


def _poll(tenant: Bills) -> str:
    bill = tenant.phase("quiet poll")
    writes = bill.remote_writes + bill.kubernetes_writes
    return f"{bill.remote} remote calls, {bill.pages} pages, {writes} writes"


def _table(bills: Sequence[Bill]) -> str:
    made = {call for bill in bills for call in bill.calls}
    kinds = sorted(made, key=lambda call: (call.is_kubernetes, call))
    of_jobs = sorted({call for bill in bills for call in bill.jobs})
    rows = [
        ["Call", *(bill.phase for bill in bills)],
        *([_short(call), *(_number(bill.calls[call]) for bill in bills)] for call in kinds),
        *([_short(call), *(_number(bill.jobs[call]) for bill in bills)] for call in of_jobs),
        ["**Remote calls**", *(_number(bill.remote) for bill in bills)],
        ["… of them listing pages", *(_number(bill.pages) for bill in bills)],
        ["… of them writes", *(_number(bill.remote_writes) for bill in bills)],
        ["**Kubernetes writes**", *(_number(bill.kubernetes_writes) for bill in bills)],
        ["**Kubernetes reads**", *(_number(bill.kubernetes_reads) for bill in bills)],
        *_of_the_landing_zone(bills),
        ["Seconds", *(f"{bill.seconds:.0f}" for bill in bills)],
    ]
    return "\n".join(_markdown(rows))


def _of_the_landing_zone(bills: Sequence[Bill]) -> Iterable[list[str]]:
    if any(bill.credits or bill.job_credits for bill in bills):
        yield ["**Calls of Jobs**", *(_number(bill.jobs.total()) for bill in bills)]
        yield ["**Credits of Zoho CRM, operator**", *(_number(bill.credits) for bill in bills)]
        yield ["**Credits of Zoho CRM, Jobs**", *(_number(bill.job_credits) for bill in bills)]


def _markdown(rows: Sequence[Sequence[str]]) -> Iterable[str]:
    """Rows in columns as wide as they need; the first column is text, the others are numbers."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for index, (label, *numbers) in enumerate(rows):
        cells = [label.ljust(widths[0]), *map(str.rjust, numbers, widths[1:])]
        yield f"| {' | '.join(cells)} |"
        if index == 0:
            rules = ["-" * (widths[0] + 2), *("-" * (width + 1) + ":" for width in widths[1:])]
            yield f"|{'|'.join(rules)}|"


def _number(count: int) -> str:
    return f"{count:,}" if count else "·"


def _short(call: Call) -> str:
    """Service, method and what is distinct about the path."""
    path = call.path.split("/namespaces/{namespace}/")[-1].removeprefix("/data/foundation/")
    return str(replace(call, path=path))
