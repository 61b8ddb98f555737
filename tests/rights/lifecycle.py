"""A complete life of the operator and its resources, in stages that can fail one by one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from tests.cluster.support import manifests
from tests.cluster.support.cluster import Object, condition
from tests.cluster.support.pod import Pod
from tests.cluster.support.world import CONNECTION, DATAFLOW, NOTHING, World
from tests.rights.audit import AuditLog

_POLL_SECONDS = 0.05
PATIENCE_SECONDS = 30.0
"""For a stage while nothing was refused."""
REFUSED_SECONDS = 2.0
"""For a stage from a refusal on: does it come about all the same?"""


@dataclass(frozen=True)
class Stage:
    """Something that is done, what is to come of it, and how people would notice that it does not."""

    failure: str
    act: Callable[[], None]
    reached: Callable[[], bool]


@dataclass(frozen=True)
class Failure:
    """The first stage that was not reached."""

    text: str

    def __str__(self) -> str:
        return self.text


class Lifecycle:
    """The life of ``pod``, which serves the namespace of ``world``."""

    def __init__(self, world: World, pod: Pod, audit: AuditLog) -> None:
        self._world = world
        self._pod = pod
        self._audit = audit

    def live(self) -> Failure | None:
        """Live it to its end, or until a stage fails."""
        for stage in self._stages():
            stage.act()
            if not self._comes_about(stage):
                return Failure(stage.failure)
        return None

    def _comes_about(self, stage: Stage) -> bool:
        began = time.monotonic()
        refused_at: float | None = None
        while not stage.reached():
            now = time.monotonic()
            if refused_at is None and self._audit.forbidden():
                refused_at = now
            if now > (began + PATIENCE_SECONDS if refused_at is None else refused_at + REFUSED_SECONDS):
                return False
            time.sleep(_POLL_SECONDS)
        return True

    def _stages(self) -> Iterator[Stage]:
        yield Stage("the operator does not become ready", self._pod.start, self._is_ready)
        yield Stage("resources do not become Ready", self._apply, self._are_ready)
        yield Stage("the Lease is not renewed, and the operator ends", _nothing, self._holds_on_to_the_lease)
        yield Stage("no Event tells what was made", _nothing, self._has_event)
        for kind, path in ((CONNECTION, "/connections/"), (DATAFLOW, "/flows/")):
            yield Stage(
                "a pass that meets somebody else's change can't be finished",
                partial(self._change_during_a_pass, kind, path),
                partial(self._was_read_again, kind),
            )
        yield Stage("a changed Secret is not noticed", self._break_the_secret, self._is_refused_by_zoho)
        yield Stage("a mended Secret is not noticed", self._apply_secrets, self._are_ready)
        yield Stage("deleted resources do not go", self._delete, self._are_gone)

    def _is_ready(self) -> bool:
        return self._pod.probe("readinessProbe")

    def _apply(self) -> None:
        self._apply_secrets()
        self._world.apply_connection()
        self._world.apply_dataflow()

    def _apply_secrets(self, **changed: str) -> None:
        """With a grant token: the refresh token is then the operator's to keep, and to remove at the end."""
        world, info = self._world, self._world.emulators.info
        grant = {key: info["zoho"][key] for key in ("clientId", "clientSecret", "grantToken")} | changed
        _, platform = manifests.secrets(world.namespace, info)
        for secret in (manifests.secret(world.namespace, manifests.ZOHO_SECRET, grant), platform):
            world.cluster.apply(secret)

    def _are_ready(self) -> bool:
        return all(_is_ready(self._world.get(kind)) for kind in (CONNECTION, DATAFLOW))

    def _holds_on_to_the_lease(self) -> bool:
        name = self._pod.environment["CRMFLOW_LEASE_NAME"]
        lease = self._world.cluster.get("Lease", name, self._pod.namespace)["spec"]
        return bool(lease["renewTime"] > lease["acquireTime"])

    def _has_event(self) -> bool:
        told = {
            event["regarding"]["uid"] for event in self._world.cluster.list("Event", self._world.namespace)
        }
        return {self._world.get(kind)["metadata"]["uid"] for kind in (CONNECTION, DATAFLOW)} <= told

    def _change_during_a_pass(self, kind: str, path: str) -> None:
        """Platform takes its time over a new name; meanwhile somebody labels the resource."""
        world = self._world
        world.control.fault(service="platform", method="PATCH", path=path, delay=1.0)
        world.edit(kind, displayName="Another name")
        deadline = time.monotonic() + PATIENCE_SECONDS
        while world.control.get("/faults")["faults"] and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)  # until the request has come
        label = {"metadata": {"labels": {"example.com/touched": "meanwhile"}}}
        world.cluster.patch(kind, world.name_of(kind), world.namespace, label)

    def _was_read_again(self, kind: str) -> bool:
        name = self._world.name_of(kind)
        answered = (asked for asked in self._audit.requests() if not asked.forbidden)
        return any((asked.verb, asked.name) == ("get", name) for asked in answered) and self._are_ready()

    def _break_the_secret(self) -> None:
        self._apply_secrets(clientSecret="wrong")

    def _is_refused_by_zoho(self) -> bool:
        authorized = condition(self._world.get(CONNECTION), "Authorized")
        return authorized is not None and authorized["status"] == "False"

    def _delete(self) -> None:
        self._world.delete(DATAFLOW)
        self._world.delete(CONNECTION)

    def _are_gone(self) -> bool:
        world = self._world
        left = [
            world.cluster.find(kind, world.name_of(kind), world.namespace) for kind in (CONNECTION, DATAFLOW)
        ]
        return left == [None, None] and world.counts() == NOTHING


def _is_ready(obj: Object) -> bool:
    ready = condition(obj, "Ready")
    return (
        ready is not None
        and ready["status"] == "True"
        and ready["observedGeneration"] == obj["metadata"]["generation"]
    )


def _nothing() -> None:
    """What is to come of the stage before."""
