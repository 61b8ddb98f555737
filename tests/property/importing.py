"""A sandbox with random contents, legal by what the emulators let in, and what an import makes of it."""

from __future__ import annotations

import base64
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from crmflow.cli.importing.check import Verdict, verdict
from crmflow.cli.importing.choices import Choices, Known
from crmflow.cli.importing.manifests import Import
from crmflow.cli.importing.manifests import manifests as adopting
from crmflow.cli.importing.reading import read
from crmflow.http.client import HttpClient
from crmflow.preview.access import PlatformReader, ServiceUrls
from crmflow.preview.preview import NamespacePreview
from crmflow.reconcile.credentials import PlatformCredentials
from crmflow.runtime.controller.secrets import SecretReader
from crmflow.zoho.datacenters import ZohoEndpoints
from tests.contract.aep import CONVERSION, Aep
from tests.emulators.aep import seed_data as ids
from tests.emulators.core.server import Emulators
from tests.kit import manifests
from tests.property.bench import INSTANCE, NAMESPACE, POLL_SECONDS, Bench, CountedTransport

_LAG_SECONDS = 120.0
"""After which listings show what was made."""
CHOICES = Choices(NAMESPACE, ids.ORGANIZATION, "prod", manifests.PLATFORM_SECRET, manifests.ZOHO_SECRET)
COLUMNS = ("Email", "First_Name", "Last_Name", "Mobile", "Modified_Time", "Created_Time")
TARGETS = (
    "personalEmail.address",
    "workEmail.address",
    "person.name.firstName",
    "person.name.fullName",
    "mobilePhone.number",
    "_crmflowdemo.origin",
    "_crmflowdemo.jobTitle",
)
NAMES = ("Contacts", 'A, "B" # c', "東京", "no", "- [x]: {y}", "12:30", "%YAML 1.1", "  spaces  ", "a" * 300)
VALUES = (
    "no",
    "0x1f",
    "1e3",
    "null",
    "~",
    "2026-01-01",
    "a: b",
    "# c",
    "'",
    '\\"',
    "line\nbreak",
    "[x]",
    "é",
)
EXPRESSIONS = (
    'concat(First_Name," ",Last_Name)',
    "Email",
    '"fixed: # no"',
    "upper(Last_Name)",
)


@dataclass
class Contents:
    """What was made, by what is to become of it."""

    flows: list[str] = field(default_factory=list)
    drafts: list[str] = field(default_factory=list)


async def fill(aep: Aep, rng: random.Random, count: int) -> Contents:
    """So many flows by people who like it odd."""
    made = Contents()
    connections = [await aep.connection() for _ in range(rng.randint(1, 2))]
    for _ in range(count):
        body = await aep.source_body(rng.choice(connections))
        wanted = {*rng.sample(COLUMNS, rng.randint(1, 4)), *COLUMNS[:3], "Modified_Time"}
        shown = [column for column in body["params"]["columns"] if column["name"] in wanted]
        rng.shuffle(shown)
        body["params"]["columns"] = shown
        source = await _made(aep, "sourceConnections", body)
        second = rng.random() < 0.2
        version = f"application/vnd.adobe.xed-full+json;version={2 if second else 1}"
        dataset = (
            ids.NEXT_VERSION_DATASET if second else rng.choice((ids.CONTACTS_DATASET, ids.PROFILE_DATASET))
        )
        target = await _made(aep, "targetConnections", aep.target_body(dataset, version=version))
        found = await aep.post(f"{CONVERSION}/mappingSets", _mapping_body(aep, rng, version))
        assert found.status == 200, found.body
        schedule = _schedule(aep, rng)
        copy = {"name": "Copy", "params": {"deltaColumn": {"name": "Modified_Time"}}}
        mapping = {"name": "Mapping", "params": {"mappingId": found.body["id"], "mappingVersion": 0}}
        body = {
            "name": rng.choice(NAMES),
            "flowSpec": {"id": ids.CRM_FLOW_SPEC, "version": "1.0"},
            "sourceConnectionIds": [source],
            "targetConnectionIds": [target],
            "transformations": [mapping] if schedule["frequency"] == "once" else [copy, mapping],
            "scheduleParams": schedule,
            **rng.choice(({}, {"options": {"partialIngestionPercent": rng.choice((1, "5", 0.5, 100))}})),
        }
        if rng.random() < 0.15:
            made.drafts.append(await _made(aep, "flows?mode=draft", body))
            continue
        made.flows.append(await _made(aep, "flows", body))
        aep.pass_transition()
        if rng.random() < 0.25:
            assert (await aep.post(f"/flows/{made.flows[-1]}/action?op=disable")).status == 200
            aep.pass_transition()
    if rng.random() < 0.5:
        aep.emulators.clock.advance(rng.choice((600, 86_400, 30 * 86_400)))
    return made


class Person:
    """Whoever imports, without a cluster."""

    def __init__(self, bench: Bench) -> None:
        settings = bench.settings()
        hosts = ServiceUrls(
            ZohoEndpoints(settings.zoho_accounts_url, settings.zoho_api_url),
            settings.ims_url,
            settings.platform_url,
        )
        self._reader = PlatformReader(HttpClient(CountedTransport(), bench.clock), hosts, bench.clock)
        self._secrets = SecretReader(bench.server)  # type: ignore[arg-type]

    async def imports(self) -> tuple[Import, list[Verdict]]:
        """What is made of the sandbox, and what the planner says of it."""
        secret = await self._secrets.read(NAMESPACE, manifests.PLATFORM_SECRET)
        credentials = PlatformCredentials.from_secret(secret or {})
        client = await self._reader.client(ids.ORGANIZATION, "prod", credentials)
        found = adopting(await read(client), CHOICES, Known())
        preview = NamespacePreview(self._reader, self._secrets, INSTANCE, [])
        planned = await preview.apply([one.plain for one in found.manifests], NAMESPACE)
        by_name = {(one.key.kind, one.key.name): one for one in planned}
        return found, [verdict(one, by_name[one.kind.kind, one.name]) for one in found.manifests]


async def run_import(emulators: Emulators, seed: int) -> list[str]:
    """One sandbox that is imported, and whose manifests are applied; what is wrong."""
    rng = random.Random(seed)
    bench = Bench(emulators)
    bench.add_secrets()
    emulators.clock.set_offset(0)
    bench.pick_habits(rng)
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http:
        aep = Aep(emulators, http)
        assert (await aep.log_in()).status == 200
        contents = await fill(aep, rng, rng.randint(1, 5))
    emulators.clock.advance(_LAG_SECONDS)
    mark = emulators.recorder.count
    found, verdicts = await Person(bench).imports()
    again, _ = await Person(bench).imports()
    problems = list(_misjudged(contents, found, verdicts))
    if [one.text for one in found.manifests] != [one.text for one in again.manifests]:
        problems.append("the second import wrote other files")
    for _, values in bench.server.secrets.values():
        secrets = [base64.b64decode(value).decode() for value in values.values()]
        problems += [
            f"a value of a Secret is in {one.file}"
            for one in found.manifests
            for s in secrets
            if s in one.text
        ]
    await bench.start()
    try:
        for one in found.manifests:
            bench.server.apply(bench.key(one.kind.kind, one.name), one.plain["spec"])
        if not await bench.settle(lambda: _is_well(bench)):
            problems.append(f"not all is Ready and Synced: {bench.state()}")
        await bench.pass_time(2 * POLL_SECONDS)
    finally:
        await bench.stop()
    return [*problems, *_writes(emulators, mark)]


def _misjudged(contents: Contents, found: Import, verdicts: list[Verdict]) -> Iterator[str]:
    """What is not planned as nothing, and flows of which another thing became than should."""
    yield from (f"{one.manifest.name}: {one}" for one in verdicts if not one.is_fine or one.differs)
    adopted = {one.remote_id for one in found.manifests}
    yield from (f"{flow} is not adopted" for flow in contents.flows if flow not in adopted)
    if {one.remote_id for one in found.refusals} != set(contents.drafts):
        yield f"drafts {contents.drafts}, refused {[str(one) for one in found.refusals]}"


def _is_well(bench: Bench) -> bool:
    return all(
        {"Ready", "Synced"} <= {one["type"] for one in _conditions(obj) if one["status"] == "True"}
        for obj in bench.server.objects.values()
    )


def _conditions(obj: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    found: Sequence[Mapping[str, Any]] = obj.get("status", {}).get("conditions", ())
    return found


def _writes(emulators: Emulators, mark: int) -> Iterator[str]:
    """What has changed something at Platform since."""
    for call in emulators.recorder.since(mark):
        if call["service"] == "platform" and call["method"] != "GET" and "validate" not in call["path"]:
            yield f"{call['method']} {call['path']}"


def _schedule(aep: Aep, rng: random.Random) -> dict[str, Any]:
    start = int(aep.emulators.clock.now()) + rng.choice((60, 3600, 10 * 86_400))
    if rng.random() < 0.25:
        return {"startTime": start, "frequency": "once"}
    frequency, intervals = rng.choice(
        (("minute", (15, 90)), ("hour", (1, 6)), ("day", (1, 15)), ("week", (1,)))
    )
    interval = rng.choice(intervals)
    return {
        "startTime": rng.choice((start, str(start))),
        "frequency": frequency,
        "interval": rng.choice((interval, str(interval))),
        **rng.choice(({}, {"backfill": rng.choice((True, "false"))})),
    }


def _mapping_body(aep: Aep, rng: random.Random, version: str) -> dict[str, Any]:
    targets = rng.sample(TARGETS, rng.randint(1, len(TARGETS)))
    if rng.random() < 0.3:  # as Adobe's pages of 2025 write it (platform.md 8)
        return {
            "version": 0,
            "xdmSchema": ids.CONTACTS_SCHEMA,
            "xdmVersion": "2.0" if version.endswith("2") else "1.0",
            "mappings": [
                {"sourceAttribute": rng.choice(COLUMNS[:3]), "destinationXdmPath": target}
                for target in targets
            ],
        }
    return aep.mapping_body([_entry(rng, target) for target in targets], version)


def _entry(rng: random.Random, target: str) -> dict[str, str]:
    kind = rng.choice(("ATTRIBUTE", "EXPRESSION", "STATIC"))
    values = {"ATTRIBUTE": COLUMNS[:3], "EXPRESSION": EXPRESSIONS, "STATIC": VALUES}[kind]
    return {"sourceType": kind, "source": rng.choice(values), "destination": target}


async def _made(aep: Aep, kind: str, body: dict[str, Any]) -> str:
    found = await aep.post(f"/{kind}", body)
    assert found.status == 201, found.body
    made: str = found.body["id"]
    return made
