"""Bills add up, and tables show them."""

from __future__ import annotations

from collections import Counter

from tests.faults.calls import KUBERNETES, Call, Caller
from tests.faults.cost.bill import Bill, Bills
from tests.faults.cost.table import last_line, tables

PREFIX = "/data/foundation/flowservice"
PAGE = Call("platform", "GET", f"{PREFIX}/flows")
READ = Call("platform", "GET", f"{PREFIX}/flows/{{id}}")
CREATE = Call("platform", "POST", f"{PREFIX}/flows")
TOKEN = Call("ims", "POST", "/ims/token/v3")
OURS = "/apis/crmflow.io/v1alpha1/namespaces/{namespace}"
WRITE = Call(KUBERNETES, "PATCH", f"{OURS}/crmdataflows/{{name}}/status")

CREATION = Bill("create 1 dataflow", Counter({CREATE: 1, READ: 2, TOKEN: 1, WRITE: 4}), 3.2)
POLL = Bill("quiet poll", Counter({PAGE: 31, READ: 2}), 1.0)


def test_each_sum_takes_its_own_calls() -> None:
    def sums(bill: Bill) -> tuple[int, int, int, int]:
        return bill.remote, bill.pages, bill.remote_writes, bill.kubernetes_writes

    assert sums(CREATION) == (4, 0, 1, 4)
    assert sums(POLL) == (33, 31, 0, 0)


def test_the_last_lines_are_about_the_largest_tenant_of_each_way() -> None:
    small = Bills(1, 1, (Bill("quiet poll", Counter({READ: 1}), 1.0),))
    large = Bills(100, 1000, (CREATION, POLL))
    other = Bills(1, 1, (Bill("quiet poll", Counter({PAGE: 4}), 1.0),), "LandingZone")
    assert last_line([small, large, other]).splitlines() == [
        "quiet poll of PlatformSource: 100 connections, 1,000 dataflows: 33 remote calls, 31 pages, 0 writes",
        "quiet poll of LandingZone: 1 connection, 1 dataflow: 4 remote calls, 4 pages, 0 writes",
    ]


def test_a_table_has_a_row_per_kind_and_a_column_per_phase() -> None:
    title, _, *rows = tables([Bills(1, 1, (CREATION, POLL))]).splitlines()
    assert title == "## PlatformSource: 1 connection, 1 dataflow"
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    assert cells[0] == ["Call", "create 1 dataflow", "quiet poll"]
    assert ["platform GET flowservice/flows", "·", "31"] in cells
    assert ["kubernetes PATCH crmdataflows/{name}/status", "4", "·"] in cells
    assert ["**Remote calls**", "4", "33"] in cells
    assert ["**Kubernetes writes**", "4", "·"] in cells
    assert not any("Jobs" in cell for row in cells for cell in row)
    assert len({len(row) for row in rows}) == 1


def test_what_jobs_ask_and_spend_stands_apart() -> None:
    coql = Call("zoho-api", "POST", "/dc/eu/production/crm/v8/coql")
    asked = Call("zoho-api", "POST", coql.path, Caller.JOB)
    listed = Call(KUBERNETES, "GET", "/apis/batch/v1/namespaces/{namespace}/jobs")
    bill = Bill("a window", Counter({coql: 1, listed: 2}), 1.0, Counter({asked: 4}), credits=1, job_credits=5)
    assert (bill.remote, bill.remote_writes, bill.kubernetes_writes, bill.kubernetes_reads) == (1, 0, 0, 2)
    rows = [
        [cell.strip() for cell in row.strip("|").split("|")]
        for row in tables([Bills(1, 1, (bill,))]).splitlines()
    ]
    assert ["job zoho-api POST /dc/eu/production/crm/v8/coql", "4"] in rows
    assert ["**Calls of Jobs**", "4"] in rows
    assert ["**Credits of Zoho CRM, operator**", "1"] in rows
    assert ["**Credits of Zoho CRM, Jobs**", "5"] in rows
