"""``kubectl crmflow plan``: what applying manifests, or deleting resources, would do at Adobe, worked out by
the operator's own passes. Nothing is written anywhere.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from crmflow.api.kinds import API_VERSION, CRM_DATAFLOW, GROUP, ZOHO_SOURCE_CONNECTION
from crmflow.cli.cluster import Cluster
from crmflow.cli.network import addresses, http_client
from crmflow.cli.options import PlanOptions
from crmflow.cli.plan_output import show
from crmflow.cli.planning import ClusterSecrets, Manifest, checked, cluster_instance, reader
from crmflow.cli.problem import Problem
from crmflow.cli.terminal import say
from crmflow.clock import Clock
from crmflow.preview.instance import find_instance
from crmflow.preview.preview import NamespacePreview, ResourcePreview
from crmflow.sentences import every

NOTHING, FAILED, CHANGES = 0, 1, 2
"""Exit status: there is nothing to do; it can't be done, or not be planned to its end; there is."""
_PLANNED = (ZOHO_SOURCE_CONNECTION, CRM_DATAFLOW)
"""The kinds that declare what is to stand in Platform. A CRMDataflowRun is an act: what it does depends on
when it begins."""
_WORDS = {"connection": ZOHO_SOURCE_CONNECTION, "dataflow": CRM_DATAFLOW}


async def plan(options: PlanOptions) -> int:
    """Carry the command out; the exit status. Raises Problem."""
    cluster = await Cluster.connect(options.cluster)
    try:
        found = await _preview(cluster, options)
    finally:
        await cluster.close()
    show(found, options.output)
    if any(not one.is_complete for one in found):
        return FAILED
    return CHANGES if any(one.has_changes for one in found) else NOTHING


async def _preview(cluster: Cluster, options: PlanOptions) -> list[ResourcePreview]:
    manifests = [_of_ours(document) for document in _documents(options.files)]
    wanted = [manifest for manifest in manifests if manifest is not None]
    if options.files and not wanted:
        raise Problem(f"there is no resource of {GROUP} in {every(options.files)}")
    namespace = _namespace_of(wanted, cluster, chosen=options.cluster.namespace is not None)
    cluster.namespace = namespace
    objects = [obj for kind in _PLANNED for obj in await cluster.objects(kind)]
    known = {(obj["kind"], obj["metadata"]["name"]): obj for obj in objects}
    names = [(manifest["kind"], manifest["metadata"]["name"]) for manifest in wanted]
    if options.name is not None:
        names = [_named(options.name)]
    missing = next((name for name in names if name not in known), None)
    if missing is not None and (options.name is not None or options.delete):
        raise Problem(f'there is no {missing[0]} "{missing[1]}" in namespace "{namespace}"')
    secrets, clock = ClusterSecrets(cluster), Clock.from_environment()
    async with http_client(clock) as http:
        platform = reader(http, addresses(), clock)
        instance = options.instance or await find_instance(platform, secrets, objects)
        instance = instance or await _cluster_instance(cluster)
        preview = NamespacePreview(platform, secrets, instance, objects)
        if options.delete:
            return await preview.delete([known[name] for name in names])
        if options.name is not None:
            return await preview.apply([known[names[0]]], namespace)
        taken = [
            await checked(cluster, manifest, known.get(name))
            for manifest, name in zip(wanted, names, strict=True)
        ]
        return await preview.apply(taken, namespace)


def _documents(files: Sequence[str]) -> list[Any]:
    """Everything that the files hold, one document after the other."""
    found: list[Any] = []
    for file in _files(files):
        try:
            text = sys.stdin.read() if file == "-" else Path(file).read_text()
            documents = list(yaml.safe_load_all(text))
        except (OSError, UnicodeDecodeError) as error:
            raise Problem(f"{file} can't be read: {getattr(error, 'strerror', None) or error}") from None
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            where = f", line {mark.line + 1}" if mark is not None else ""
            raise Problem(f"{file} is no YAML{where}") from None
        for document in documents:
            is_list = isinstance(document, dict) and str(document.get("kind", "")).endswith("List")
            found += document.get("items") or [] if is_list else [document]
    return [document for document in found if document is not None]


def _files(named: Sequence[str]) -> Iterator[str]:
    """Files as they are named; of a folder what kubectl would take, in the order of the names."""
    for name in named:
        if name != "-" and Path(name).is_dir():
            inside = sorted(Path(name).iterdir())
            yield from (str(path) for path in inside if path.suffix in (".yaml", ".yml", ".json"))
        else:
            yield name


def _of_ours(document: Any) -> Manifest | None:
    """A resource of our kinds; others are told, and left out."""
    metadata = document.get("metadata") if isinstance(document, dict) else None
    name = metadata.get("name") if isinstance(metadata, dict) else None
    if not isinstance(document, dict) or not isinstance(document.get("kind"), str) or not name:
        raise Problem("a document of the file is no manifest: it lacks its kind or its name")
    kind, version = document["kind"], str(document.get("apiVersion"))
    if kind in {ours.kind for ours in _PLANNED} and version.startswith(f"{GROUP}/"):
        if version != API_VERSION:
            raise Problem(f'{kind} "{name}" is of {version}, and this command knows {API_VERSION}')
        return document
    say(f'{kind} "{name}" is not part of the plan: what it says counts once it is in the cluster.')
    return None


def _namespace_of(manifests: Sequence[Manifest], cluster: Cluster, *, chosen: bool) -> str:
    """The one namespace that is planned for, as kubectl takes it."""
    given = (manifest["metadata"].get("namespace") for manifest in manifests)
    named = sorted({str(namespace) for namespace in given if namespace})
    if chosen and named:
        named = sorted({*named, cluster.namespace})
    if len(named) > 1:
        raise Problem(f"several namespaces are named: {every(named)}", "Plan one at a time")
    return str(next(iter(named), cluster.namespace))


def _named(name: str) -> tuple[str, str]:
    """``NAME`` of a dataflow, or ``KIND/NAME`` by any name of the kind."""
    word, slash, rest = name.rpartition("/")
    if not slash:
        return CRM_DATAFLOW.kind, name
    for kind in _PLANNED:
        words = {kind.singular, kind.plural, kind.crd_name, *kind.short_names}
        words |= {short for short, meant in _WORDS.items() if meant is kind}
        if word.lower() in words:
            return kind.kind, rest
    raise Problem(f'there is no kind "{word}" of {GROUP}', "Write connection/NAME or dataflow/NAME")


async def _cluster_instance(cluster: Cluster) -> str:
    """What an installation without a name of its own goes by."""
    found = await cluster_instance(cluster)
    if found is None:
        raise Problem(
            "the name of the installation is not known: nothing of this namespace is in Platform yet, and "
            "your rights do not show the namespace kube-system",
            "Name it with --instance: the chart's value instance, or the UID of the namespace kube-system",
        )
    return found
