"""``kubectl crmflow import``: manifests that adopt what exists in a sandbox for Zoho CRM. Nothing is written
in Platform or in the cluster.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from crmflow.api.kinds import CRM_DATAFLOW, ZOHO_SOURCE_CONNECTION
from crmflow.api.zohosourceconnection import DataCenter
from crmflow.cli.cluster import Cluster
from crmflow.cli.credentials import platform_credentials_in
from crmflow.cli.importing.check import Verdict, check
from crmflow.cli.importing.choices import Choices, Known
from crmflow.cli.importing.files import write_files
from crmflow.cli.importing.manifests import Import, Manifest, manifests, quoted
from crmflow.cli.importing.reading import read
from crmflow.cli.network import addresses, http_client
from crmflow.cli.options import ImportOptions
from crmflow.cli.output import write, write_table
from crmflow.cli.planning import ClusterSecrets, cluster_instance, reader
from crmflow.cli.problem import Problem, sentence
from crmflow.cli.terminal import say
from crmflow.clock import Clock
from crmflow.preview.instance import find_instance
from crmflow.reconcile.core.reading import text_at
from crmflow.sentences import every

_UNKNOWN_INSTANCE = "unknown"
"""Of an installation that has made nothing here yet: adopted objects bear no name of one."""

IMPORTED = (ZOHO_SOURCE_CONNECTION, CRM_DATAFLOW)
"""The kinds that stand for what exists in Platform."""


async def import_(options: ImportOptions) -> bool:
    """Carry the command out; whether all that exists is adopted. Raises Problem and RemoteError."""
    cluster = await Cluster.connect(options.cluster)
    try:
        choices = _choices(options, cluster.namespace)
        objects = [obj for kind in IMPORTED for obj in await cluster.objects(kind)]
        credentials = await platform_credentials_in(cluster, options.credentials, "--credentials")
        clock = Clock.from_environment()
        async with http_client(clock) as http:
            platform = reader(http, addresses(), clock)
            sandbox = await platform.client(options.organization, options.sandbox, credentials)
            contents = await read(sandbox)
            found = manifests(contents, choices, known_in(objects))
            instance = options.instance or await find_instance(platform, ClusterSecrets(cluster), objects)
            instance = instance or await cluster_instance(cluster) or _UNKNOWN_INSTANCE
            verdicts = await check(cluster, platform, instance, objects, found.manifests)
    finally:
        await cluster.close()
    fit = [one for one in verdicts if one.refusal is None]
    _write(fit, options)
    _tell(found, verdicts, contents.others)
    return not found.refusals and all(one.is_fine for one in verdicts)


def known_in(objects: Sequence[Mapping[str, Any]]) -> Known:
    """What the resources of the namespace have, or name."""
    by_kind = {kind.kind: [obj for obj in objects if obj["kind"] == kind.kind] for kind in IMPORTED}
    return Known(
        _having(by_kind[ZOHO_SOURCE_CONNECTION.kind], "connectionId", "baseConnection"),
        _having(by_kind[CRM_DATAFLOW.kind], "flowId", "flow"),
        {kind: frozenset(obj["metadata"]["name"] for obj in found) for kind, found in by_kind.items()},
    )


def _having(objects: Sequence[Mapping[str, Any]], named: str, recorded: str) -> dict[str, str]:
    """Names of resources by the id of the object that they have, which goes before one that they only
    name.
    """
    names = [(text_at(obj, "spec", named), obj) for obj in objects]
    names += [(text_at(obj, "status", recorded, "id"), obj) for obj in objects]
    return {remote_id: str(obj["metadata"]["name"]) for remote_id, obj in names if remote_id}


def _choices(options: ImportOptions, namespace: str) -> Choices:
    tables = dict(_assignment(text) for text in options.tables)
    data_center = options.data_center
    if data_center is not None and data_center not in set(DataCenter):
        raise Problem(f"--data-center {data_center} is none of Zoho's", f"They are {every(DataCenter)}")
    return Choices(
        namespace,
        options.organization,
        options.sandbox,
        options.credentials,
        options.zoho_credentials,
        DataCenter(data_center) if data_center is not None else None,
        options.connection,
        tables,
    )


def _assignment(text: str) -> tuple[str, str]:
    flow_id, equals, table = text.partition("=")
    if not (flow_id and equals and table):
        raise Problem(f"--table {text} is not of the form FLOW=TABLE", "Such as --table 1f3c…=Contacts")
    return flow_id, table


def _write(fit: Sequence[Verdict], options: ImportOptions) -> None:
    """The files and a table of them; without a folder the manifests themselves."""
    if not fit:
        return
    if options.folder is None:
        write("---\n".join(one.manifest.text for one in fit).rstrip("\n"))
        return
    folder = Path(options.folder)
    write_files(folder, [one.manifest for one in fit], overwrite=options.overwrite)
    write_table(("FILE", "ADOPTS", "PLAN"), [_row(one) for one in fit])


def _row(one: Verdict) -> tuple[str, str, str]:
    plan = "not made" if one.unchecked else "nothing to do"
    return (one.manifest.file, one.manifest.remote_id, plan)


def _tell(found: Import, verdicts: Sequence[Verdict], others: int) -> None:
    """Everything that the files do not say."""
    for text in found.ours:
        say(text)
    if others:
        say(f"Left out: flows that read from other sources or folders, {others} in all.")
    for one in verdicts:
        if one.differs:
            say(f"{_named(one.manifest)}: {one.differs}")
        if one.unchecked:
            say(f"{_named(one.manifest)}: what applying it does was not found out. {sentence(one.unchecked)}")
    refusals = [*found.refusals, *(one.refusal for one in verdicts if one.refusal is not None)]
    for refusal in refusals:
        say(f"Not adopted: {refusal}")
    if not (verdicts or refusals or found.ours):
        say("The sandbox holds nothing for Zoho CRM.")


def _named(manifest: Manifest) -> str:
    return f"{manifest.kind.kind} {manifest.name} ({quoted(manifest.remote_name)})"
