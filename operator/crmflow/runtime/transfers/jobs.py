"""The Jobs of transfers as reconciling sees them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from crmflow.clock import Clock
from crmflow.http.errors import ErrorClass, RemoteError
from crmflow.reconcile.credentials import fingerprint
from crmflow.reconcile.extraction import names
from crmflow.reconcile.extraction.observed import TransferJob
from crmflow.reconcile.extraction.pending import JobKey
from crmflow.reconcile.extraction.ports import TransferCredentials, TransferOrder
from crmflow.reconcile.extraction.slots import Waiting
from crmflow.runtime.kubernetes.errors import ExistsError, KubernetesError, remote_error
from crmflow.runtime.kubernetes.jobs import Jobs, ListedKind
from crmflow.runtime.transfers.manifests import job_of, labels_of, name_of, secret_of
from crmflow.runtime.transfers.reading import KnownJob, KnownPod, pods_of, transfer_job
from crmflow.runtime.transfers.slots import SlotQueue
from crmflow.runtime.transfers.store import Store
from crmflow.runtime.transfers.template import OwnImage, PodTemplate, TemplateFile
from crmflow.runtime.transfers.watch import StoreWatch

LOOK_SECONDS = 5.0
"""How often it is looked at whether there can be transfers."""

log = logging.getLogger("crmflow.transfers")

_OPERATION = "transfers"
_ALL = f"{names.APP_LABEL}={names.APP}"


class TransferJobs:
    """Implements the port Transfers.

    What is known comes from a watch, and own writes are known at once: slots are never passed. The names of a
    Job and its Secret are made of what status records, so whatever this process dies between, the same call
    made again completes what was begun.
    """

    def __init__(
        self,
        api: Jobs,
        template: TemplateFile,
        instance: str,
        slots: int,
        clock: Clock,
        wake: Callable[[str], None],
        obstacle_changed: Callable[[], None],
    ) -> None:
        """``wake`` has the dataflow with a uid reconciled; ``obstacle_changed`` has everything."""
        self._api = api
        self._template = template
        self._instance = instance
        self._clock = clock
        self._wake = wake
        self._obstacle_changed = obstacle_changed
        self._slots = SlotQueue(slots)
        self._jobs: Store[KnownJob] = Store(KnownJob.of, self._job_news)
        self._pods: Store[KnownPod] = Store(KnownPod.of, self._pod_news)
        self._being_made: dict[str, TransferOrder] = {}
        self._supplied: dict[str, str] = {}
        """Fingerprint of what the Secret of each Job holds, as far as this process has written it."""
        self._own_image: OwnImage | None = None
        self._unknown: dict[ListedKind, str | None] = dict.fromkeys(ListedKind)
        """What was not listed yet, and why not where that is refused."""
        self._watches = [
            StoreWatch(api, ListedKind.JOBS, _ALL, self._jobs, clock, self._answered),
            StoreWatch(api, ListedKind.PODS, _ALL, self._pods, clock, self._answered),
        ]

    async def list(self) -> None:
        """Know all Jobs and pods that there are. Raises KubernetesError if the API server can't be asked."""
        if self.is_configured:
            for watch in self._watches:
                await watch.list()

    async def run(self) -> None:
        """Follow them for ever."""
        await asyncio.gather(self._look_at_obstacle(), *(watch.run() for watch in self._watches))

    @property
    def is_configured(self) -> bool:
        """Whether this installation is to have transfers; without, nothing is ever asked."""
        return self._template.is_set

    @property
    def obstacle(self) -> str | None:
        """Why there can be none in this installation, for people; None if there can."""
        return self._template.obstacle or next(filter(None, self._unknown.values()), None)

    async def jobs(self, uid: str) -> Mapping[JobKey, TransferJob]:
        """The Jobs of a dataflow, with what their pods have said at their end. Raises RemoteError."""
        if not self.is_configured:
            return {}
        self._require_known()
        found = [job for job in self._jobs.all() if job.dataflow == uid]
        for job in found:
            if job.has_ended and not self._pods_of(job):  # the watch of pods may be behind
                with self._asking():
                    _, pods = await self._api.list(ListedKind.PODS, pods_of(job))
                for pod in pods:
                    self._pods.see(pod)
        return {job.key: transfer_job(job, self._pods_of(job)) for job in found}

    def may_start(self, organization: str, waiting: Waiting, credits: int = 0) -> bool:
        """Whether the dataflow holds a slot of the organization now."""
        return self._slots.ask(organization, waiting, credits, self._taken(organization))

    def waits_no_more(self, uid: str) -> None:
        """The dataflow wants no slot now."""
        organization = self._slots.leave(uid)
        if organization is not None:
            self._wake_next(organization)

    def reserved_credits(self, organization: str, besides: str = "") -> int:
        """What the Jobs that run are expected to cost, those that are being made, and those that may be."""
        running = {job.name: job.credits for job in self._running(organization)}
        being_made = {name: order.credits for name, order in self._made_for(organization).items()}
        return sum({**being_made, **running}.values()) + self._slots.credits(organization, besides)

    async def start(self, order: TransferOrder) -> None:
        """Make the Secret, then the Job, then have the Secret go with the Job. Raises RemoteError."""
        name = name_of(order)
        self._being_made[name] = order
        self._slots.leave(order.identity.uid)
        try:
            with self._asking():
                job = self._jobs.get(name) or await self._make(order)
                await self._write_secret(job, order.credentials)
        finally:
            del self._being_made[name]
            self._wake_next(order.organization)

    async def supply(self, uid: str, credentials: TransferCredentials) -> None:
        """Give the Jobs of a dataflow that run what is good now. Raises RemoteError."""
        wanted = _fingerprint(credentials)
        for job in self._jobs.all():
            if job.dataflow == uid and not job.has_ended and self._supplied.get(job.name) != wanted:
                with self._asking():
                    await self._write_secret(job, credentials)

    async def delete(self, uid: str, job: JobKey) -> None:
        """Delete a Job and its Secret. Raises RemoteError."""
        for known in self._jobs.all():
            if (known.dataflow, known.key) == (uid, job):
                with self._asking():
                    await self._delete(known.name)

    async def delete_all(self, uid: str) -> bool:
        """Delete all Jobs and Secrets of a dataflow; True once none is left and no pod runs any more. The API
        server is asked: the watch may be behind, and nobody looks again. Raises RemoteError.
        """
        self.waits_no_more(uid)
        if not self.is_configured:
            return True
        selector = f"{_ALL},{names.UID_LABEL}={uid}"
        with self._asking():
            _, jobs = await self._api.list(ListedKind.JOBS, selector)
            _, pods = await self._api.list(ListedKind.PODS, selector)
            secrets = await self._api.secrets(selector)
            for name in {*(job["metadata"]["name"] for job in jobs), *(one["name"] for one in secrets)}:
                await self._delete(name)
        known = [KnownJob.of(job) for job in jobs]
        return not any(job is None or not job.has_ended for job in known) and all(
            KnownPod.of(pod).has_ended for pod in pods
        )

    async def sweep(self, exists: Callable[[str], bool]) -> None:
        """Delete the Jobs and Secrets of this installation whose dataflow, by its uid, does not exist: its
        finalizer was taken away by force. Raises RemoteError.
        """
        for uid in self._slots.uids():
            if not exists(uid):
                self.waits_no_more(uid)
        if not self.is_configured:
            return
        with self._asking():
            secrets = await self._api.secrets(f"{_ALL},{names.INSTANCE_LABEL}={self._instance}")
            owners = {one["name"]: one["labels"].get(names.UID_LABEL, "") for one in secrets}
            owners |= {job.name: job.dataflow for job in self._jobs.all() if job.instance == self._instance}
            for name, uid in owners.items():
                if not exists(uid):
                    log.warning("deleting the transfer %s: its dataflow is gone", name)
                    await self._delete(name)

    async def _make(self, order: TransferOrder) -> KnownJob:
        """Raises KubernetesError, RemoteError."""
        name = name_of(order)
        template = self._template.current()
        if template is None:
            raise _error(ErrorClass.TERMINAL, "TransfersNotConfigured", self.obstacle or "")
        own_image = await self._image_for(template)
        await self._api.apply_secret(name, secret_of(name, labels_of(order), order.credentials, None))
        try:
            job = await self._api.create(job_of(order, template, own_image))
        except ExistsError:
            job = await self._api.find(ListedKind.JOBS, name) or {}
        known = KnownJob.of(job) if job else None
        if known is None:
            raise KubernetesError(f'the Job "{name}" is none of a transfer, or was just deleted')
        self._jobs.see(job)
        return known

    async def _image_for(self, template: PodTemplate) -> OwnImage | None:
        """The operator's own image, where the template names none. Raises KubernetesError."""
        own_pod = self._template.own_pod
        if template.names_an_image or own_pod is None:
            return None
        if self._own_image is None:
            pod = await self._api.find(ListedKind.PODS, own_pod)
            if pod is None:
                raise KubernetesError(f'the operator\'s own Pod "{own_pod}" is not to be found')
            self._own_image = OwnImage.of_pod(pod)
        return self._own_image

    async def _write_secret(self, job: KnownJob, credentials: TransferCredentials) -> None:
        await self._api.apply_secret(job.name, secret_of(job.name, job.labels, credentials, job.uid))
        if self._jobs.get(job.name) is not None:
            self._supplied[job.name] = _fingerprint(credentials)

    async def _delete(self, name: str) -> None:
        """The Job first: while it runs, it reads the Secret."""
        await self._api.delete(name)
        self._jobs.gone(name)
        await self._api.delete_secret(name)

    def _pods_of(self, job: KnownJob) -> Sequence[KnownPod]:
        return [pod for pod in self._pods.all() if pod.job == job.uid]

    def _running(self, organization: str) -> Sequence[KnownJob]:
        return [job for job in self._jobs.all() if not job.has_ended and self._is_ours(job, organization)]

    def _made_for(self, organization: str) -> Mapping[str, TransferOrder]:
        return {n: order for n, order in self._being_made.items() if order.organization == organization}

    def _is_ours(self, one: KnownJob | KnownPod, organization: str) -> bool:
        return (one.instance, one.organization) == (self._instance, organization)

    def _taken(self, organization: str) -> int:
        """Slots that are taken: by Jobs that run or are being made, and by pods that still end though their
        Job has, or is gone.
        """
        running = self._running(organization)
        pods = [pod for pod in self._pods.all() if not pod.has_ended and self._is_ours(pod, organization)]
        being_made = self._made_for(organization).keys() - {job.name for job in running}
        return len({*(job.uid for job in running), *(pod.job for pod in pods)}) + len(being_made)

    def _wake_next(self, organization: str) -> None:
        for waiting in self._slots.next(organization, self._taken(organization)):
            self._wake(waiting.uid)

    def _job_news(self, job: KnownJob) -> None:
        if job.has_ended or self._jobs.get(job.name) is None:
            self._supplied.pop(job.name, None)
        self._wake(job.dataflow)
        self._wake_next(job.organization)

    def _pod_news(self, pod: KnownPod) -> None:
        """The end of a pod matters once its Job has ended or is gone; before, the Job will tell of it."""
        job = next((job for job in self._jobs.all() if job.uid == pod.job), None)
        if pod.trouble or job is None or job.has_ended:
            self._wake(pod.dataflow)
        self._wake_next(pod.organization)

    async def _look_at_obstacle(self) -> None:
        """Tell when there can be transfers, or no more."""
        known = self.obstacle
        while True:
            await self._clock.sleep(LOOK_SECONDS)
            if self.obstacle != known:
                known = self.obstacle
                self._obstacle_changed()

    def _answered(self, what: ListedKind, error: KubernetesError | None) -> None:
        refusal = None
        if error is not None:
            refusal = (
                f"This installation of the operator has no transfers: it may not watch {what.plural} in its "
                f'own namespace "{self._api.namespace}" ({error.words}). Whoever runs the operator has to '
                "give it the rights that come with the installation."
            )
        if refusal is not None and self._unknown.get(what) != refusal:
            log.error("%s", refusal)
        if refusal is None:
            self._unknown.pop(what, None)
        else:
            self._unknown[what] = refusal

    def _require_known(self) -> None:
        """Raises RemoteError while it is not known which Jobs there are."""
        for refusal in self._unknown.values():
            if refusal is None:
                raise _error(ErrorClass.TRANSIENT, "KubernetesUnavailable", "transfers are not listed yet")
            raise _error(ErrorClass.TERMINAL, "TransfersNotConfigured", refusal)

    @contextmanager
    def _asking(self) -> Iterator[None]:
        """While the API server is asked. Raises RemoteError instead of what that raises."""
        try:
            yield
        except KubernetesError as error:
            raise remote_error(
                error,
                _OPERATION,
                "TransferForbidden",
                f'The operator may not run transfers as Jobs of its own namespace "{self._api.namespace}"',
                f"the Jobs of transfers can't be reached ({error})",
            ) from error


def _fingerprint(credentials: TransferCredentials) -> str:
    return fingerprint(credentials.access_token, credentials.sas_uri)


def _error(error_class: ErrorClass, reason: str, message: str) -> RemoteError:
    return RemoteError("Kubernetes", _OPERATION, error_class, reason, message, cure_is_silent=True)
