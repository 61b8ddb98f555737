"""The control API, the recorder and the faults that both emulators share."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from crmflow.clock import Clock
from tests.contract.aep import Aep
from tests.emulators.aep import seed_data as ids
from tests.emulators.core.clock import EmulatorClock
from tests.emulators.core.control import switch_table
from tests.emulators.core.mask import SecretMask, masked
from tests.emulators.core.server import Emulators

FLOWS = "/data/foundation/flowservice/flows"
README = Path(__file__).parent.parent / "emulators" / "README.md"


def _all_exchanges(emulators: Emulators) -> list[dict[str, Any]]:
    assert emulators.recorder.file is not None
    return [json.loads(line) for line in emulators.recorder.file.read_text().splitlines()]


async def test_health(control: Any) -> None:
    assert await control("GET", "/healthz") == {"status": "ok"}


async def test_state_holds_all_emulators_and_no_secret(aep: Aep, control: Any) -> None:
    await aep.flow()
    state = await control("GET", "/state")
    assert set(state) == {"aep", "zoho", "blob", "clock", "exchanges"}
    prod = state["aep"]["sandboxes"]["prod"]
    assert [len(prod[k]) for k in ("connections", "sourceConnections", "targetConnections", "flows")] == [
        1
    ] * 4
    assert len(prod["mappingSets"]) == 1
    seeded = aep.emulators.info()
    text = json.dumps(state)
    for secret in (
        aep.token,
        ids.CLIENT_SECRET,
        *(seeded["zoho"][name] for name in ("clientSecret", "refreshToken", "grantToken")),
    ):
        assert secret not in text


async def test_a_snapshot_brings_back_what_clients_made(
    aep: Aep, control: Any, emulators: Emulators, http: aiohttp.ClientSession
) -> None:
    flow = await aep.flow()
    await control("POST", "/aep/runs", {"flowId": flow})
    token = await _zoho_token(emulators, http)
    kinds = ("connections", "sourceConnections", "targetConnections", "flows", "runs", "mappingSets")
    held = (await control("GET", "/aep"))["sandboxes"]["prod"]
    snapshot = await control("GET", "/snapshot")

    await control("POST", "/reset")
    await control("POST", "/clock", {"advance": 1e6})
    assert (await control("GET", "/aep"))["sandboxes"]["prod"]["flows"] == []
    shown = await control("PUT", "/snapshot", snapshot)
    assert shown["now"] == pytest.approx(snapshot["now"], abs=5)
    again = (await control("GET", "/aep"))["sandboxes"]["prod"]
    assert {kind: again[kind] for kind in kinds} == {kind: held[kind] for kind in kinds}
    assert (await aep.get(f"/flows/{flow}")).item["id"] == flow  # by the token from before
    assert emulators.zoho.tokens.access_token(token) is not None
    assert await _zoho_token(emulators, http) != token


async def test_what_is_no_snapshot_is_refused(emulators: Emulators, http: aiohttp.ClientSession) -> None:
    for states in ({"other": {}}, {"aep": {"tokens": 1}}):
        body = {"now": 0, "states": states}
        async with http.put(f"{emulators.control_url}/snapshot", json=body) as response:
            assert response.status == 400


async def _zoho_token(emulators: Emulators, http: aiohttp.ClientSession) -> str:
    seeded = emulators.info()["zoho"]
    form = {
        "grant_type": "refresh_token",
        "client_id": seeded["clientId"],
        "client_secret": seeded["clientSecret"],
        "refresh_token": seeded["refreshToken"],
    }
    async with http.post(f"{emulators.zoho_accounts_url}/oauth/v2/token", data=form) as response:
        return str((await response.json())["access_token"])


async def test_reset_brings_the_seed_back(aep: Aep, control: Any, emulators: Emulators) -> None:
    await aep.flow()
    await control("PATCH", "/switches/aep", {"secretsOnRead": "echoed"})
    await control("POST", "/faults", {"status": 500})
    await control("POST", "/reset")
    assert emulators.aep.switches.secretsOnRead == "masked"
    assert await control("GET", "/faults") == {"faults": []}
    state = await control("GET", "/state")
    assert state["aep"]["sandboxes"]["prod"]["flows"] == []
    assert (await aep.get("/flows")).status == 401  # the token went with the rest


async def test_the_clock_is_the_one_that_the_operator_reads(control: Any, emulators: Emulators) -> None:
    operator = Clock(emulators.clock.offset_file)
    assert (await control("POST", "/clock", {"offset": 100}))["offset"] == 100
    assert (await control("POST", "/clock", {"advance": 50.5}))["offset"] == 150.5
    assert abs(operator.now() - emulators.clock.now()) < 1
    assert (await control("GET", "/clock"))["offset"] == 150.5


def test_a_clock_file_outlives_the_process(tmp_path: Path) -> None:
    file = tmp_path / "clock"
    EmulatorClock(file).advance(60)
    assert float(file.read_text()) == 60
    assert EmulatorClock(file).offset == 60
    file.write_text("not a number")
    assert EmulatorClock(file).offset == 0


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/clock", {}),
        ("POST", "/clock", {"advance": 1, "offset": 1}),
        ("POST", "/clock", {"advance": "soon"}),
        ("POST", "/clock", {"rewind": 1}),
        ("PATCH", "/switches/aep", {"secretsOnRead": "shown"}),
        ("PATCH", "/switches/aep", {"unknown": 1}),
        ("PATCH", "/switches/aep", []),
        ("PATCH", "/switches/nobody", {}),
        ("GET", "/exchanges?since=yesterday", None),
        ("POST", "/faults", {"method": "GET", "reset": "during"}),
        ("POST", "/faults", {"path": "("}),
        ("POST", "/faults", {"service": "nobody"}),
        ("POST", "/aep/runs", {"flowId": "nothing"}),
        ("POST", "/aep/runs", {"flowId": "nothing", "sandbox": "nowhere"}),
        ("GET", "/aep/sandboxes/prod/flows/nothing", None),
        ("DELETE", "/aep/sandboxes/prod/dataSets/nothing", None),
        ("GET", "/nothing", None),
    ],
)
async def test_bad_requests_say_why(
    http: aiohttp.ClientSession, emulators: Emulators, method: str, path: str, body: Any
) -> None:
    async with http.request(method, emulators.control_url + path, json=body) as response:
        assert response.status in (400, 404)
        assert (await response.json())["error"]


async def test_switches_change_together_or_not_at_all(control: Any, emulators: Emulators) -> None:
    changed = await control("PATCH", "/switches/aep", {"testFailure": "error", "indexLagSeconds": 5})
    assert (changed["testFailure"], changed["indexLagSeconds"]) == ("error", 5)
    assert await control("GET", "/switches/aep") == changed
    with pytest.raises(AssertionError):
        await control("PATCH", "/switches/aep", {"testFailure": "result", "indexLagSeconds": -1})
    assert emulators.aep.switches.testFailure == "error"


async def test_zoho_switches_are_there_too(control: Any) -> None:
    before = await control("GET", "/switches/zoho")
    assert before
    assert await control("PATCH", "/switches/zoho", {}) == before


# Recorder


async def test_an_exchange_is_recorded_as_it_was(aep: Aep, emulators: Emulators) -> None:
    since = emulators.recorder.count
    await aep.get("/flows", "name==a", "state==enabled", limit="5")
    (exchange,) = emulators.recorder.since(since)
    assert exchange["service"] == "platform"
    assert (exchange["method"], exchange["path"]) == ("GET", FLOWS)
    assert exchange["query"] == {"property": ["name==a", "state==enabled"], "limit": ["5"]}
    assert exchange["headers"]["x-sandbox-name"] == "prod"
    assert exchange["body"] is None
    assert exchange["status"] == 200
    assert exchange["responseHeaders"]["Content-Type"].startswith("application/json")
    assert exchange["responseBody"] == {"items": [], "_links": {}}
    assert _all_exchanges(emulators)[-1] == exchange


async def test_ids_in_a_path_stay_encoded(aep: Aep, emulators: Emulators) -> None:
    await aep.get("/flows/a%2Fb")
    assert emulators.recorder.since(emulators.recorder.count - 1)[0]["path"] == f"{FLOWS}/a%2Fb"


async def test_a_token_is_followed_without_being_shown(aep: Aep, emulators: Emulators) -> None:
    since = emulators.recorder.count
    await aep.log_in()
    await aep.get("/flows")
    asked, used = emulators.recorder.since(since)
    assert asked["body"]["client_id"] == ids.CLIENT_ID
    assert asked["body"]["client_secret"] == masked(ids.CLIENT_SECRET)
    assert asked["responseBody"]["access_token"] == masked(aep.token)
    assert used["headers"]["Authorization"] == f"Bearer {masked(aep.token)}"


async def test_no_secret_is_written_anywhere(aep: Aep, emulators: Emulators) -> None:
    emulators.aep.switches.secretsOnRead = "echoed"
    id = await aep.connection()
    await aep.get(f"/connections/{id}")
    await aep.get("/connections", f"auth.params.clientSecret=={ids.CLIENT_SECRET}")
    await aep.get(f"/flows/{aep.token}")
    seeded = emulators.info()
    assert emulators.recorder.file is not None
    text = emulators.recorder.file.read_text()
    for secret in (
        aep.token,
        ids.CLIENT_SECRET,
        seeded["zoho"]["clientSecret"],
        seeded["zoho"]["refreshToken"],
    ):
        assert secret not in text


def test_the_mask_learns() -> None:
    mask = SecretMask()
    secret = "canary/secret+value"
    assert mask.body({"clientSecret": secret, "code": "INVALID"}) == {
        "clientSecret": masked(secret),
        "code": "INVALID",
    }
    assert mask.text(f"it was {secret}") == f"it was {masked(secret)}"
    assert secret not in mask.text("canary%2Fsecret%2Bvalue")
    assert mask.parameters({"code": ["1000.code"], "state": ["open"]}) == {
        "code": [masked("1000.code")],
        "state": ["open"],
    }
    assert masked(secret) != masked("another")
    assert mask.body({"client_secret": masked(secret)}) == {"client_secret": masked(secret)}


async def test_control_gives_the_exchanges_since(aep: Aep, control: Any) -> None:
    first = await control("GET", "/exchanges")
    await aep.get("/flows")
    second = await control("GET", f"/exchanges?since={first['next']}")
    assert [e["path"] for e in second["exchanges"]] == [FLOWS]
    assert second["next"] == first["next"] + 1


# Faults


async def test_a_fault_answers_instead_of_the_service(aep: Aep, control: Any, emulators: Emulators) -> None:
    body = {"error_code": "503000", "message": "busy"}
    fault = {"service": "platform", "method": "GET", "path": "/flows$", "status": 503, "body": body}
    await control("POST", "/faults", {**fault, "times": 2, "headers": {"Retry-After": "7"}})
    for _ in range(2):
        found = await aep.get("/flows")
        assert (found.status, found.body, found.headers["Retry-After"]) == (503, body, "7")
    assert (await aep.get("/flows")).status == 200
    assert emulators.recorder.since(emulators.recorder.count - 2)[0]["fault"] == "status: 503"


async def test_a_fault_leaves_others_alone(aep: Aep, control: Any) -> None:
    await control("POST", "/faults", {"service": "ims", "status": 500})
    await control("POST", "/faults", {"method": "POST", "status": 500})
    await control("POST", "/faults", {"path": "/connections", "status": 500})
    assert (await aep.get("/flows")).status == 200
    assert len((await control("GET", "/faults"))["faults"]) == 3
    await control("DELETE", "/faults")
    assert (await aep.log_in()).status == 200


async def test_a_fault_may_let_some_pass_and_last_for_ever(aep: Aep, control: Any) -> None:
    await control("POST", "/faults", {"skip": 1, "times": None, "status": 500})
    assert [(await aep.get("/flows")).status for _ in range(3)] == [200, 500, 500]


async def test_an_html_answer(aep: Aep, control: Any, emulators: Emulators) -> None:
    await control("POST", "/faults", {"status": 502, "body": "<html>bad gateway</html>"})
    async with aep.http.get(emulators.platform_url + FLOWS) as response:
        assert (response.status, response.content_type) == (502, "text/html")
        assert await response.text() == "<html>bad gateway</html>"


@pytest.mark.parametrize(("reset", "made"), [("before", 0), ("after", 1)])
async def test_a_lost_answer(aep: Aep, control: Any, emulators: Emulators, reset: str, made: int) -> None:
    await control("POST", "/faults", {"method": "POST", "path": "/connections$", "reset": reset})
    with pytest.raises(aiohttp.ClientError):
        await aep.post("/connections", aep.connection_body())
    (exchange,) = emulators.recorder.since(emulators.recorder.count - 1)
    assert (exchange["status"], exchange["fault"]) == (0, f"reset: {reset}")
    assert exchange["responseBody"] is None
    assert len((await aep.get("/connections")).body["items"]) == made


async def test_a_late_answer(aep: Aep, control: Any) -> None:
    await control("POST", "/faults", {"path": "/flows$", "delay": 30})
    late = asyncio.create_task(aep.get("/flows"))
    assert (await aep.get("/runs")).status == 200
    assert not late.done()
    late.cancel()
    with pytest.raises(asyncio.CancelledError):
        await late


# README and process


@pytest.mark.parametrize("emulator", ["aep", "zoho", "blob"])
def test_the_readme_lists_every_switch(emulators: Emulators, emulator: str) -> None:
    switches, path = {
        "aep": (emulators.aep.switches, README),
        "zoho": (emulators.zoho.switches, README.parent / "zoho" / "README.md"),
        "blob": (emulators.blob.switches, README.parent / "blob" / "README.md"),
    }[emulator]
    rows = [line for line in path.read_text().splitlines() if re.match(r"\| `\w+` \| .* \| `.*` \| ", line)]
    assert rows == switch_table(type(switches)).splitlines()


def test_the_readme_names_every_control_route(emulators: Emulators) -> None:
    text = README.read_text() + (README.parent / "zoho" / "README.md").read_text()
    for route in emulators.control_routes():
        assert route in text, route


async def test_the_process_prints_one_line_and_stops_on_a_signal(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.emulators",
        "--info",
        str(tmp_path / "info.json"),
        "--exchanges",
        str(tmp_path / "exchanges.jsonl"),
        "--clock-file",
        str(tmp_path / "clock"),
        stdout=asyncio.subprocess.PIPE,
        env={"PYTHONPATH": "operator", "PATH": ""},
        cwd=README.parent.parent.parent,
    )
    assert process.stdout is not None
    try:
        line = await asyncio.wait_for(process.stdout.readline(), 20)
        info = json.loads(line)
        assert json.loads((tmp_path / "info.json").read_text()) == info
        async with (
            aiohttp.ClientSession() as session,
            session.get(info["controlUrl"] + "/healthz") as response,
        ):
            assert response.status == 200
        assert info["platform"]["orgId"] == ids.ORGANIZATION
        assert info["zohoApiUrlTemplate"] == info["zohoApiUrl"] + "/dc/{dc}/{env}"
        assert {"clientId", "clientSecret", "refreshToken", "grantToken"} < set(info["zoho"])
        assert (tmp_path / "clock").exists()
    finally:
        process.terminate()
    assert await asyncio.wait_for(process.wait(), 20) == 0
    assert await process.stdout.read() == b""
