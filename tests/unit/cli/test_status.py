"""``kubectl crmflow status``: what is picked, what is told of it, and how it is shown."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from rich.console import Console

from crmflow.cli.advice import advice_on
from crmflow.cli.options import Format, StatusOptions
from crmflow.cli.output import write_data
from crmflow.cli.problem import Problem
from crmflow.cli.status import command
from crmflow.cli.status.report import Picked, as_data, tree
from crmflow.cli.status.tree import age, drawn, nodes, plain

NOW = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
RUN = {
    "id": "r2",
    "state": "failed",
    "startTime": "2026-11-30T11:00:00Z",
    "completionTime": "2026-11-30T11:00:42Z",
    "records": {"read": 9, "written": 7, "failed": 2, "skipped": 0},
    "cause": "CONNECTOR-1001-500: The copy failed.",
}


def condition(type_: str, status: str = "True", reason: str = "Succeeded", message: str = "Fine.") -> Any:
    return {
        "type": type_,
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": "2026-11-30T09:00:00Z",
    }


def connection(
    name: str = "zoho-eu", *conditions: Any, namespace: str = "crm", **spec: Any
) -> dict[str, Any]:
    return {
        "metadata": {"namespace": namespace, "name": name, "generation": 2},
        "spec": {"zoho": {"dataCenter": "EU"}, "platform": {"sandbox": "prod"}, **spec},
        "status": {
            "observedGeneration": 2,
            "conditions": [*(conditions or (condition("Ready"), condition("Authorized")))],
        },
    }


def dataflow(name: str = "contacts", *conditions: Any, namespace: str = "crm", **more: Any) -> dict[str, Any]:
    spec, status = more.get("spec", {}), more.get("status", {})
    return {
        "metadata": {"namespace": namespace, "name": name, "generation": 1},
        "spec": {
            "connectionRef": {"name": "zoho-eu"},
            "source": {"table": "Contacts"},
            "schedule": {"frequency": "Hour", "interval": 1},
            **spec,
        },
        "status": {
            "observedGeneration": 1,
            "conditions": [*(conditions or (condition("Ready"), condition("Synced")))],
            "transport": "PlatformSource",
            "flow": {"id": "f1"},
            "schedule": {"effectiveStartTime": "2026-11-30T08:30:00Z"},
            **status,
        },
    }


def everything(*objects: dict[str, Any]) -> frozenset[tuple[str, str]]:
    return frozenset((one["metadata"]["namespace"], one["metadata"]["name"]) for one in objects)


def told(
    connections: list[dict[str, Any]], dataflows: list[dict[str, Any]], *runs: dict[str, Any]
) -> list[Any]:
    picked = Picked(everything(*connections), everything(*dataflows))
    return tree(connections, dataflows, runs, picked, NOW)


def text(connections: list[dict[str, Any]], dataflows: list[dict[str, Any]], runs: int = 3) -> str:
    return plain(nodes(told(connections, dataflows), NOW, runs))


def requested(name: str, *conditions: Any, of: str = "contacts", minute: int = 10) -> dict[str, Any]:
    """A CRMDataflowRun that was created at that minute."""
    created = f"2026-11-30T11:{minute:02}:00Z"
    return {
        "metadata": {"namespace": "crm", "name": name, "generation": 1, "creationTimestamp": created},
        "spec": {"dataflowRef": {"name": of}},
        "status": {"observedGeneration": 1, "conditions": [*conditions]} if conditions else {},
    }


COMPLETE = condition("Complete", "True", "Succeeded", "7 of 7 rows were ingested.")
READING = condition("Complete", "False", "ReadingZoho", "The Job reads Zoho CRM.")
REFUSED = [
    condition("Complete", "False", "AlreadyRan", "It has run."),
    condition("Failed", "True", "AlreadyRan", "It has run."),
]


def test_runs_that_were_asked_for_stand_below_their_dataflow() -> None:
    runs = [
        requested("done", COMPLETE),
        requested("reading", READING, minute=1),
        requested("new", minute=30),
        requested("again", *REFUSED, minute=20),
        requested("of-another", COMPLETE, of="leads"),
    ]
    found = told([connection()], [dataflow()], *runs)
    lines = plain(nodes(found, NOW, 3)).splitlines()
    assert lines[lines.index("    CRMDataflowRun crm/new  Unknown") :] == [
        "    CRMDataflowRun crm/new  Unknown",
        "    CRMDataflowRun crm/reading  ReadingZoho for 3h",
        "      The Job reads Zoho CRM.",
        "    CRMDataflowRun crm/again  Failed: AlreadyRan for 3h",
        "      It has run.",
        f"      What to do: {advice_on('Failed', 'AlreadyRan')}",
        "    CRMDataflowRun crm/done  Complete for 3h",
        "      7 of 7 rows were ingested.",
    ]
    [data] = as_data(found[0])["dataflows"]
    assert [run["name"] for run in data["requestedRuns"]] == ["new", "again", "done", "reading"]
    advice = {one["type"]: one["advice"] for one in data["requestedRuns"][1]["conditions"]}
    assert advice["Failed"] == advice_on("Failed", "AlreadyRan")
    assert found[0].is_well, "a run that has failed is history; RunsHealthy tells of the flow"


def test_of_runs_that_have_ended_as_many_are_shown_as_of_others() -> None:
    runs = [requested(f"done-{minute}", COMPLETE, minute=minute) for minute in range(10, 15)]
    shown = plain(nodes(told([connection()], [dataflow()], *runs, requested("new")), NOW, 2))
    assert [line.split()[1] for line in shown.splitlines() if "CRMDataflowRun " in line] == [
        "crm/new",
        "crm/done-14",
        "crm/done-13",
    ]


FAILED = condition(
    "RunsHealthy", "False", "Failed", "Run r2 ended as failed. CONNECTOR-1001-500: The copy failed."
)


def test_a_tree_of_a_connection_its_dataflow_and_the_runs_of_it() -> None:
    older = {"id": "r1", "state": "success", "startTime": "2026-11-30T10:00:00Z"}
    flow = dataflow(
        "contacts", condition("Ready"), condition("Synced"), FAILED, status={"recentRuns": [RUN, older]}
    )
    assert text([connection()], [flow]) == "\n".join(
        [
            "ZohoSourceConnection crm/zoho-eu  Ready for 3h  Zoho EU, sandbox prod",
            "  Authorized",
            "  CRMDataflow crm/contacts  Ready for 3h  Contacts, PlatformSource, every hour",
            "    Synced",
            "    RunsHealthy False: Failed for 3h",
            "      Run r2 ended as failed. CONNECTOR-1001-500: The copy failed.",
            f"      What to do: {advice_on('RunsHealthy', 'Failed')}",
            "    Next run in 30m, at 2026-11-30T12:30:00Z",
            "    Run r2  failed  1h ago, took 42s  9 read, 7 written, 2 failed",
            "      CONNECTOR-1001-500: The copy failed.",
            "    Run r1  success  2h ago",
        ]
    )
    assert "Run r1" not in text([connection()], [flow], runs=1)


def test_what_becomes_of_failed_runs() -> None:
    retries = [
        {"run": "r0", "state": "Succeeded", "retries": 1, "runs": ["r1"]},
        {"run": "r2", "state": "Due", "retries": 1, "retryTime": "2026-11-30T12:05:00Z", "cause": "Busy."},
    ]
    flow = dataflow(status={"runRetries": retries})
    assert "    Retry of r2  Due, asked for 1 times, next in 5m\n      Busy." in text([connection()], [flow])
    [found] = told([connection()], [flow])
    assert as_data(found)["dataflows"][0]["retries"] == [{"runs": [], **one} for one in retries]


def test_a_cause_is_told_once() -> None:
    refused = ("False", "RefreshTokenRejected", "Zoho does not accept the refresh token.")
    stalled = condition("Stalled", "True", *refused[1:])
    found = text(
        [connection("zoho-eu", condition("Ready", *refused), stalled, condition("Authorized", *refused))], []
    )
    assert found.count("Zoho does not accept") == 1
    assert "  not Ready for 3h" in found
    assert f"What to do: {advice_on('Authorized', 'RefreshTokenRejected')}" in found


def test_ready_speaks_for_itself_where_no_condition_does() -> None:
    found = text([connection("zoho-eu", condition("Ready", "False", "Paused", "It is paused."))], [])
    assert "  Ready False: Paused for 3h\n    It is paused." in found


def test_the_pipe_gets_plain_text_and_the_terminal_a_drawn_tree() -> None:
    flow = dataflow(status={"recentRuns": [{**RUN, "cause": "\x1b[31mred\x07 [bold]no markup"}]})
    piped = text([connection()], [flow])
    assert piped.isascii()
    assert "\x1b" not in piped
    console = Console(width=60, force_terminal=True, color_system="truecolor", markup=False)
    with console.capture() as captured:
        console.print(drawn(nodes(told([connection()], [flow]), NOW, 3)))
    assert "└── " in captured.get()
    assert "\x1b[31m\x1b" not in captured.get()
    assert "[bold]no markup" in captured.get()


@pytest.mark.parametrize(
    ("objects", "notes"),
    [
        (connection("zoho-eu", paused=True), ["spec.paused is true: nothing is read or changed."]),
        ({**connection(), "status": {}}, ["No operator has looked at it yet."]),
        (
            {**connection(), "metadata": {"namespace": "crm", "name": "zoho-eu", "generation": 3}},
            ["Generation 3 is not done yet: what follows is of generation 2."],
        ),
    ],
    ids=["paused", "new", "edited"],
)
def test_what_has_to_be_known_beside_conditions(objects: dict[str, Any], notes: list[str]) -> None:
    [found] = told([objects], [])
    assert list(found.resource.notes) == notes
    assert found.is_well == (notes[0].startswith("spec.paused"))


WAITS = condition("RunsHealthy", "Unknown", "NoRunYet", "The flow has not run yet.")


@pytest.mark.parametrize(
    ("flow", "well"),
    [
        (dataflow(), True),
        (dataflow("contacts", condition("Ready"), WAITS), True),
        (dataflow("contacts", condition("Ready"), FAILED), False),
        (dataflow("contacts", condition("Ready", "False")), False),
        (dataflow("contacts", condition("Ready", "Unknown")), False),
    ],
)
def test_whether_somebody_has_to_look(flow: dict[str, Any], well: bool) -> None:
    [found] = told([connection()], [flow])
    assert found.is_well == well
    assert as_data(found)["isWell"] == as_data(found)["dataflows"][0]["isWell"] == well


def test_a_dataflow_without_its_connection_is_shown_below_its_name() -> None:
    [found] = told([], [dataflow()])
    assert not found.is_well
    assert "ZohoSourceConnection crm/zoho-eu  does not exist\n  CRMDataflow crm/contacts" in text(
        [], [dataflow()]
    )


@pytest.mark.parametrize(
    ("schedule", "status", "enabled", "expected"),
    [
        ({"frequency": "Hour", "interval": 2}, {}, True, "2026-11-30T12:30:00Z"),
        ({"frequency": "Day", "interval": 1}, {}, True, "2026-12-01T08:30:00Z"),
        ({"frequency": "Once"}, {}, True, None),
        (
            {"frequency": "Once"},
            {"schedule": {"effectiveStartTime": "2026-12-01T00:00:00Z"}},
            True,
            "2026-12-01T00:00:00Z",
        ),
        ({"frequency": "Hour", "interval": 1}, {}, False, None),
        ({"frequency": "Hour", "interval": 1}, {"flow": None}, True, None),
        ({"frequency": "Fortnight"}, {}, True, None),
    ],
)
def test_the_next_run(schedule: Any, status: Any, enabled: bool, expected: str | None) -> None:
    flow = dataflow(spec={"schedule": schedule, "ingestion": {"enabled": enabled}}, status=status)
    [found] = told([connection()], [flow])
    assert as_data(found)["dataflows"][0]["nextRunTime"] == expected


def test_what_is_picked() -> None:
    connections = [connection("zoho-eu"), connection("zoho-us"), connection("zoho-eu", namespace="other")]
    dataflows = [
        dataflow("contacts"),
        dataflow("leads"),
        dataflow("deals", spec={"connectionRef": {"name": "zoho-us"}}),
    ]

    def names(picked: Picked) -> list[tuple[str, str, list[str]]]:
        found = tree(connections, dataflows, (), picked, NOW)
        return [
            (one.resource.namespace, one.resource.name, [flow.resource.name for flow in one.dataflows])
            for one in found
        ]

    none: frozenset[tuple[str, str]] = frozenset()
    assert names(Picked(frozenset({("crm", "zoho-eu")}), none)) == [("crm", "zoho-eu", ["contacts", "leads"])]
    assert names(Picked(none, frozenset({("crm", "leads")}))) == [("crm", "zoho-eu", ["leads"])]
    assert names(Picked(everything(*connections), everything(*dataflows))) == [
        ("crm", "zoho-eu", ["contacts", "leads"]),
        ("crm", "zoho-us", ["deals"]),
        ("other", "zoho-eu", []),
    ]


def test_programs_get_it_whole(capsys: pytest.CaptureFixture[str]) -> None:
    runs = [{**RUN, "id": f"r{number}"} for number in range(10)]
    flow = dataflow("contacts", condition("Ready"), FAILED, status={"recentRuns": runs})
    write_data([as_data(one) for one in told([connection()], [flow])], Format.JSON)
    [found] = json.loads(capsys.readouterr().out)
    [shown] = found["dataflows"]
    assert len(shown["runs"]) == 10
    assert shown["runs"][0] == {**RUN, "id": "r0"}
    assert [one["advice"] for one in shown["conditions"]] == [None, advice_on("RunsHealthy", "Failed")]


def test_a_status_that_this_version_cannot_read_whole_is_shown_as_far_as_it_can() -> None:
    flow = dataflow(status={"recentRuns": "all", "lastRun": 7})
    assert "Contacts, PlatformSource, every hour" in text([connection()], [flow])


@pytest.mark.parametrize(
    ("seconds", "shown"), [(-3, "0s"), (59, "59s"), (60, "1m"), (7199, "1h"), (86400 * 30, "30d")]
)
def test_ages(seconds: float, shown: str) -> None:
    assert age(seconds) == shown


def test_advice_is_that_of_the_condition() -> None:
    assert advice_on("RunsHealthy", "Running") == ""
    assert "crmflow-transfer" in advice_on("Extracted", "Running")
    assert advice_on("Authorized", "ScopeMissing") == advice_on("Extracted", "ScopeMissing") != ""
    assert advice_on("Ready", "NobodyKnowsThis") == ""


async def test_there_is_nothing_to_watch_at(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Problem, match="no terminal"):
        await command.status(StatusOptions(watch=True))
