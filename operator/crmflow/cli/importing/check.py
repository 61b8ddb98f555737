"""Manifests that were written by an import, looked at by the planner: applying them has to write nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from crmflow.cli.api_server import InvalidError
from crmflow.cli.cluster import Cluster
from crmflow.cli.importing.manifests import Manifest, Refusal
from crmflow.cli.planning import ClusterSecrets, checked
from crmflow.observability.redaction import sanitize
from crmflow.preview.access import PlatformReader
from crmflow.preview.notes import Write
from crmflow.preview.preview import NamespacePreview, ResourcePreview
from crmflow.sentences import every, naming

_TEXT_LENGTH = 1024


@dataclass(frozen=True)
class Verdict:
    """What the planner says of a manifest."""

    manifest: Manifest
    refusal: Refusal | None = None
    """It can't be applied, or applying it would write."""
    unchecked: str = ""
    """Why the planner did not come to its end, as a sentence."""
    differs: str = ""
    """In what that which is only observed differs, as a sentence."""

    @property
    def is_fine(self) -> bool:
        """Whether applying the manifest is known to write nothing."""
        return self.refusal is None and not self.unchecked


async def check(
    cluster: Cluster,
    reader: PlatformReader,
    instance: str,
    objects: Sequence[dict[str, Any]],
    found: Sequence[Manifest],
) -> list[Verdict]:
    """What the planner says of each. Raises Problem and RemoteError."""
    existing = {(obj["kind"], obj["metadata"]["name"]): obj for obj in objects}
    verdicts: dict[str, Verdict] = {}
    taken: dict[str, Mapping[str, Any]] = {}
    for one in found:
        try:
            taken[one.file] = await checked(cluster, one.plain, existing.get((one.kind.kind, one.name)))
        except InvalidError as error:
            verdicts[one.file] = Verdict(one, _refusal(one, error.message))
    preview = NamespacePreview(reader, ClusterSecrets(cluster), instance, objects)
    planned = await preview.apply(list(taken.values()), cluster.namespace)
    by_name = {(one.key.kind, one.key.name): one for one in planned}
    for one in found:
        if one.file in taken:
            verdicts[one.file] = verdict(one, by_name[one.kind.kind, one.name])
    return [verdicts[one.file] for one in found]


def verdict(manifest: Manifest, planned: ResourcePreview) -> Verdict:
    """What the planner says of one manifest."""
    if planned.has_changes:
        return Verdict(manifest, _refusal(manifest, f"applying it would write: {_writes(planned)}."))
    end = planned.outcome
    if not planned.is_complete:
        said = f"{end.reason or end.outcome_class}: {sanitize(end.message, _TEXT_LENGTH)}"
        return Verdict(manifest, unchecked=said)
    return Verdict(manifest, differs=sanitize(planned.drift, _TEXT_LENGTH))


def _writes(planned: ResourcePreview) -> str:
    if planned.plan is not None:
        return f"another flow, since only that can have {every(planned.plan.fields)}"
    return every(_named(planned.writes))


def _named(writes: Iterable[Write]) -> Iterable[str]:
    for write in writes:
        fields = [field.strip("/").replace("/", ".") for field in write.fields]
        yield f"{str(write.verb).lower()} {write.object}{naming(' ({})', fields, none='')}"


def _refusal(manifest: Manifest, why: str) -> Refusal:
    noun = "base connection" if manifest.kind.singular == "zohosourceconnection" else "flow"
    text = sanitize(why, _TEXT_LENGTH).rstrip(".")
    return Refusal(
        noun,
        manifest.remote_id,
        manifest.remote_name,
        f"can't be adopted as it is: {text}",
        "Change it in Platform so that a manifest can say it, or write the manifest by hand and look at the "
        "plan: kubectl crmflow plan -f FILE.",
    )
