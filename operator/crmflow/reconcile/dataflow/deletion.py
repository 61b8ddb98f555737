"""The steps that end a CRMDataflow: flow first, then source and target connection (platform.md 12)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from crmflow.api.crmdataflow import LandingZoneFolder, Predecessor
from crmflow.api.kinds import ZOHO_SOURCE_CONNECTION
from crmflow.api.zohosourceconnection import ZohoSourceConnectionSpec
from crmflow.http.errors import ErrorClass, RemoteError
from crmflow.observability.events import EventType
from crmflow.reconcile.core import creation, platform_access
from crmflow.reconcile.core.deletion import has_remote, orphan, orphans, reach_for_deletion, remote_ids
from crmflow.reconcile.core.engine import step
from crmflow.reconcile.core.outcome import PassEndedError, StalledError, WaitingError, explain
from crmflow.reconcile.core.sandbox import SandboxClient
from crmflow.reconcile.dataflow.state import DataflowPass, objects_at, sandbox_of
from crmflow.reconcile.external.remote_object import RemoteObject
from crmflow.reconcile.extraction.names import FileKey, folders_until


@step()
async def reach_platform(pass_: DataflowPass) -> SandboxClient | None:
    """The way to Platform; None if nothing has to be done there, or what is there may be left."""
    if pass_.observes or not is_begun(pass_):
        return None
    try:
        return await reach_for_deletion(pass_, _reach(pass_))
    except PassEndedError:
        if _has_objects(pass_):
            raise
        return None


def is_begun(pass_: DataflowPass) -> bool:
    """Whether something was made for the dataflow in its sandbox, or may have been: files, or more."""
    return _has_objects(pass_) or pass_.status.landing_zone is not None


def _has_objects(pass_: DataflowPass) -> bool:
    return (
        bool(creation.intents(pass_))
        or any(has_remote(pass_, kind) for kind in pass_.objects)
        or pass_.status.predecessor is not None
    )


@step()
async def end_transfers(pass_: DataflowPass) -> None:
    """No Job of the dataflow runs, and none is left."""
    if pass_.status.extraction is None:
        return
    if not await pass_.services.transfers.delete_all(pass_.identity.uid):
        raise WaitingError("InUse", "Waiting until the Job that reads Zoho CRM has ended.", retry_after=2.0)


@step()
async def remove_files(pass_: DataflowPass, sandbox: SandboxClient | None) -> None:
    """Our files are gone from the landing zone, those for earlier flows as well, unless what is in Platform
    is left: then the flow may still take them. What can't be reached any more goes by itself within seven
    days.
    """
    zone = pass_.status.landing_zone
    if zone is not None and sandbox is not None and not orphans(pass_):
        await delete_files(pass_, zone, folders_until(_below_container(zone)))


async def delete_files(
    pass_: DataflowPass, zone: LandingZoneFolder, folders: Iterable[str] | None = None
) -> None:
    """Our files are gone from a folder, or from those ``folders`` of the container. Raises RemoteError."""
    key = platform_access.connection_key(pass_.identity.namespace, pass_.spec.connection_ref.name)
    files = pass_.services.access.landing_zone(key)
    try:
        for folder in folders or (_below_container(zone),):
            for blob in await files.list(folder):
                if FileKey.of(blob.path) is not None:
                    await files.delete(blob.path)
    except RemoteError as error:
        if error.error_class not in (ErrorClass.NOT_FOUND, ErrorClass.TERMINAL):
            raise
        text = f"Files were left in {zone.path}, from where they go within seven days: {explain(error)}"
        pass_.record_event("FilesLeft", "Delete", text, EventType.WARNING)


@step()
async def release(pass_: DataflowPass, sandbox: SandboxClient | None, kind: RemoteObject[Any]) -> None:
    """The object is gone, or left without our key in its name."""
    if not has_remote(pass_, kind):
        return
    for remote_id in await remote_ids(pass_, sandbox, kind):
        if sandbox is None or orphans(pass_):
            await orphan(pass_, sandbox, kind, remote_id)
            continue
        try:
            await sandbox.delete(kind, remote_id)
        except RemoteError as error:
            if error.error_class is not ErrorClass.IN_USE:
                raise
            text = f"Waiting until Platform lets the {kind.slot.name} go: {explain(error)}"
            raise WaitingError("InUse", text, transition=True) from error
    creation.forget(pass_, kind.slot)
    pass_.record(**kind.record(None))


@step()
async def release_predecessor(pass_: DataflowPass, sandbox: SandboxClient | None) -> None:
    """The same of the flow that was being replaced, and of its files."""
    predecessor = pass_.status.predecessor
    if predecessor is None:
        return
    if sandbox is not None and not orphans(pass_):
        await delete_predecessor(pass_, sandbox, predecessor)
    else:
        for kind, remote_id in _objects_of(predecessor):
            await orphan(pass_, sandbox, kind, remote_id)
    pass_.record(predecessor=None)


async def delete_predecessor(pass_: DataflowPass, sandbox: SandboxClient, predecessor: Predecessor) -> None:
    """Its files and remote objects are gone, and status does not record them any more. Raises RemoteError."""
    zone = predecessor.landing_zone
    if zone is not None:
        await delete_files(pass_, zone, folders_until(_below_container(zone)))
    for kind, remote_id in _objects_of(predecessor):
        await sandbox.delete(kind, remote_id)
        predecessor = predecessor.model_copy(update=dict(kind.record(None)))
        pass_.record(predecessor=predecessor)


def _objects_of(predecessor: Predecessor) -> list[tuple[RemoteObject[Any], str]]:
    recorded = ((kind, kind.id_in(predecessor)) for kind in objects_at(predecessor.slot_revision or 0))
    return [(kind, remote_id) for kind, remote_id in recorded if remote_id is not None]


def _below_container(zone: LandingZoneFolder) -> str:
    return zone.path.partition("/")[2]


def _check_sandbox(pass_: DataflowPass, connection: ZohoSourceConnectionSpec) -> None:
    """What is not found in another sandbox is not gone. Raises PassEndedError."""
    there = pass_.status.platform
    if there is not None and there != sandbox_of(connection):
        raise StalledError(
            "ConnectionMissing",
            f'The remote objects are in sandbox "{there.sandbox}" of {there.organization}, to which '
            "spec.connectionRef does not lead any more. Have it name a connection that does, or set "
            "spec.deletionPolicy to Orphan to leave them where they are.",
        )


async def _reach(pass_: DataflowPass) -> SandboxClient:
    name = pass_.spec.connection_ref.name
    view = pass_.services.lister.get(ZOHO_SOURCE_CONNECTION, pass_.identity.namespace, name)
    if view is not None:
        _check_sandbox(pass_, view.spec)
        return await platform_access.reach_platform_for_deletion(pass_, name, view.spec)
    held = await platform_access.cached_platform(pass_, name, None)
    if held is None:
        raise StalledError(
            "ConnectionMissing",
            f'The remote objects can\'t be deleted without ZohoSourceConnection "{name}", which is '
            "gone. Create it again, or set spec.deletionPolicy to Orphan to leave them where they are.",
        )
    return held
