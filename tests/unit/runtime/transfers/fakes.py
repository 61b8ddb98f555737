"""The requests for Jobs, pods and Secrets, in memory. How the API server and its Job controller behave is
tested on real ones.
"""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from pydantic import SecretStr

from crmflow.reconcile.external.identity import Identity
from crmflow.reconcile.extraction.names import FileKey, organization_label
from crmflow.reconcile.extraction.pending import JobKey
from crmflow.reconcile.extraction.ports import TransferCredentials, TransferOrder
from crmflow.runtime.kubernetes.errors import ExistsError
from crmflow.runtime.kubernetes.jobs import Jobs, ListedKind
from crmflow.runtime.transfers.jobs import TransferJobs
from crmflow.runtime.transfers.template import TemplateFile
from crmflow.transfer.declaration import Declaration, Way, Window
from crmflow.transfer.report import Report
from tests.unit.runtime.fakes import JumpingClock

HOME, INSTANCE = "crmflow-system", "eu-1"
ORGANIZATION = organization_label("6001", "Production")
OTHER_ORGANIZATION = organization_label("6002", "Production")
NOON = datetime(2026, 11, 4, 12, tzinfo=UTC)
FILE = FileKey(Window(begin=NOON, end=NOON.replace(hour=13)))
TEMPLATE: dict[str, Any] = {"spec": {"containers": [{"name": "transfer", "image": "crmflow:1"}]}}


def identity(uid: str = "uid-1") -> Identity:
    return Identity(INSTANCE, "CRMDataflow", "marketing", "contacts", uid)


def credentials(generation: int = 1) -> TransferCredentials:
    return TransferCredentials(
        SecretStr(f"token-{generation}"), SecretStr(f"https://blob/c?sig={generation}")
    )


def order(
    uid: str = "uid-1", attempt: int = 0, organization: str = ORGANIZATION, credits: int = 60, **more: Any
) -> TransferOrder:
    """An order for the window before one o'clock."""
    declaration = Declaration(
        form_version=1,
        zoho_api_url="https://www.zohoapis.eu",
        module="Contacts",
        columns=("id", "Email"),
        window=FILE.window,
        extraction=FILE.extraction,
        attempt=attempt,
        folder="crmflow/eu-1/marketing/contacts/0-abc",
        way=Way.BULK,
        **more,
    )
    key = JobKey(FILE, attempt)
    return TransferOrder(identity(uid), key, declaration, organization, credits, credentials())


class FakeJobs:
    """One namespace. ``errors`` are raised by the next calls of that name, in order; None lets one
    through.
    """

    namespace = HOME

    def __init__(self) -> None:
        self.stored: dict[ListedKind, dict[str, dict[str, Any]]] = {what: {} for what in ListedKind}
        self.secret_bodies: dict[str, dict[str, Any]] = {}
        self.calls: list[str] = []
        self.errors: dict[str, list[Exception | None]] = {}
        self.after: Callable[[str], None] = lambda call: None
        """Called after each call was carried out; what it raises is the lost answer."""
        self.events: dict[ListedKind, asyncio.Queue[tuple[str, dict[str, Any]] | Exception]] = {
            what: asyncio.Queue() for what in ListedKind
        }
        self._version = 0

    @property
    def port(self) -> Jobs:
        """As the code under test wants it."""
        return cast(Jobs, self)

    @property
    def jobs(self) -> dict[str, dict[str, Any]]:
        return self.stored[ListedKind.JOBS]

    @property
    def pods(self) -> dict[str, dict[str, Any]]:
        return self.stored[ListedKind.PODS]

    async def list(self, what: ListedKind, selector: str) -> tuple[str, list[dict[str, Any]]]:
        self._call(f"list {what.plural}")
        found = [copy.deepcopy(obj) for obj in self.stored[what].values() if _matches(obj, selector)]
        return str(self._version), found

    async def watch(
        self, what: ListedKind, selector: str, version: str, seconds: int, connected: Callable[[], None]
    ) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        self._call(f"watch {what.plural}")
        connected()
        while True:
            event = await self.events[what].get()
            if isinstance(event, Exception):
                raise event
            yield event

    async def find(self, what: ListedKind, name: str) -> dict[str, Any] | None:
        self._call(f"find {what.plural}")
        return copy.deepcopy(self.stored[what].get(name))

    async def create(self, job: Mapping[str, Any]) -> dict[str, Any]:
        self._call("create job")
        name = job["metadata"]["name"]
        if name in self.jobs:
            raise ExistsError("409", 409)
        self.make_job(job)
        self.after("create job")
        return copy.deepcopy(self.jobs[name])

    async def delete(self, name: str) -> None:
        self._call("delete job")
        self.remove(ListedKind.JOBS, name)
        self.after("delete job")

    async def apply_secret(self, name: str, body: Mapping[str, Any]) -> None:
        self._call("apply secret")
        self.secret_bodies[name] = copy.deepcopy(dict(body))
        self.after("apply secret")

    async def secrets(self, selector: str) -> list[dict[str, Any]]:
        self._call("list secrets")
        return [body["metadata"] for body in self.secret_bodies.values() if _matches(body, selector)]

    async def delete_secret(self, name: str) -> None:
        self._call("delete secret")
        self.secret_bodies.pop(name, None)
        self.after("delete secret")

    def make_job(self, body: Mapping[str, Any]) -> str:
        """Somebody makes a Job; its name."""
        job = self._store(ListedKind.JOBS, {**copy.deepcopy(dict(body)), "status": {}}, "ADDED")
        return str(job["metadata"]["name"])

    def make_pod(self, job: str, name: str = "", **status: Any) -> str:
        """What the Job controller does."""
        owner = self.jobs[job]
        name = name or f"{job}-{len(self.pods)}"
        labels = {
            **owner["spec"]["template"]["metadata"]["labels"],
            "batch.kubernetes.io/controller-uid": owner["metadata"]["uid"],
        }
        pod = {
            "metadata": {
                "name": name,
                "labels": labels,
                "creationTimestamp": f"2026-11-04T12:00:{len(self.pods):02}Z",
            },
            "status": {"phase": "Running", **status},
        }
        self._store(ListedKind.PODS, pod, "ADDED")
        return name

    def end_pod(self, name: str, report: Report | None, exit_code: int | None = None, **end: Any) -> None:
        """What the kubelet does."""
        code = exit_code if report is None else report.exit_code
        message = {} if report is None else {"message": report.model_dump_json(by_alias=True)}
        terminated = {"exitCode": code, "reason": "Error" if code else "Completed", **message, **end}
        status = {
            "phase": "Failed" if code else "Succeeded",
            "containerStatuses": [{"name": "transfer", "state": {"terminated": terminated}}],
        }
        self.change(ListedKind.PODS, name, status)

    def end_job(self, name: str, condition: str = "Complete", **more: str) -> None:
        """What the Job controller does."""
        status = {"conditions": [{"type": condition, "status": "True", **more}], "succeeded": 1}
        self.change(ListedKind.JOBS, name, status)

    def change(self, what: ListedKind, name: str, status: Mapping[str, Any]) -> None:
        """Somebody writes a status."""
        self._store(what, {**self.stored[what][name], "status": dict(status)}, "MODIFIED")

    def remove(self, what: ListedKind, name: str) -> None:
        """An object goes; nothing happens if there is none."""
        if name in self.stored[what]:
            gone = self._store(what, self.stored[what][name], "DELETED")
            del self.stored[what][gone["metadata"]["name"]]

    def labels(self, name: str) -> dict[str, str]:
        """Of a Secret."""
        return dict(self.secret_bodies[name]["metadata"]["labels"])

    def _store(self, what: ListedKind, obj: dict[str, Any], event: str) -> dict[str, Any]:
        self._version += 1
        metadata = {"uid": f"uid-of-{self._version}", **obj["metadata"]}
        metadata["resourceVersion"] = str(self._version)
        stored = {**obj, "metadata": metadata}
        self.stored[what][metadata["name"]] = stored
        self.events[what].put_nowait((event, copy.deepcopy(stored)))
        return copy.deepcopy(stored)

    def _call(self, name: str) -> None:
        self.calls.append(name)
        errors = self.errors.get(name)
        if errors and (error := errors.pop(0)) is not None:
            raise error


def _matches(obj: Mapping[str, Any], selector: str) -> bool:
    wanted = dict(pair.split("=") for pair in selector.split(","))
    return wanted.items() <= obj["metadata"]["labels"].items()


class Harness:
    """The port over :class:`FakeJobs`; nothing is watched unless a test does that."""

    def __init__(
        self,
        directory: Path,
        template: object = TEMPLATE,
        *,
        api: FakeJobs | None = None,
        slots: int = 2,
        own_pod: str | None = None,
    ) -> None:
        self.api = api or FakeJobs()
        self.clock = JumpingClock()
        self.woken: list[str] = []
        self.rechecks = 0
        self.path = directory / "template.json"
        if template is not None:
            self.path.write_text(json.dumps(template))
        file = TemplateFile(str(self.path) if template is not None else None, own_pod)
        self.transfers = TransferJobs(
            self.api.port, file, INSTANCE, slots, self.clock, self.woken.append, self._recheck
        )

    @classmethod
    async def listed(cls, directory: Path, **options: Any) -> Harness:
        """The same, which knows all that is there."""
        harness = cls(directory, **options)
        await harness.transfers.list()
        harness.api.calls.clear()
        harness.woken.clear()
        return harness

    @property
    def job(self) -> str:
        """The name of the only Job."""
        (name,) = self.api.jobs
        return name

    def take_calls(self) -> list[str]:
        """The calls since the last time."""
        calls = list(self.api.calls)
        self.api.calls.clear()
        return calls

    def take_woken(self) -> list[str]:
        """Who was woken since the last time."""
        woken = list(self.woken)
        self.woken.clear()
        return woken

    def _recheck(self) -> None:
        self.rechecks += 1
