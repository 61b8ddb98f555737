"""What Argo CD finds and heals: the requests of its server-side diff and server-side apply, without Argo CD.

To compare, Argo CD sends a manifest in a dry run as ``argocd-controller``, by force. From the answer it takes
what this manager does not own, as the work of webhooks, and sets the rest against the live object. Of a spec
that is owned as one it owns everything or nothing, so all of the answer counts. To heal, it sends the same
request in earnest. Decision 20 tells what Argo CD's own code said to the same edits.
"""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import pytest

from hack.controlplane import ControlPlane
from hack.install import ROOT
from hack.kubectl import Kubectl
from tests.kit.cluster import Cluster, Object
from tests.kit.manifests import load, merged
from tests.upgrade.stage import store

pytestmark = pytest.mark.usefixtures("kubectl")

MANAGER = "argocd-controller"
EXAMPLE = ROOT / "deploy" / "argocd" / "example"
DATAFLOW: Object = load((EXAMPLE / "crmdataflow.yaml").read_text())
CONNECTION: Object = load((EXAMPLE / "zohosourceconnection.yaml").read_text())
FIRST, *REST = DATAFLOW["spec"]["mapping"]
COLUMNS = DATAFLOW["spec"]["source"]["columns"]

OF_A_DATAFLOW: dict[str, Object] = {
    "a source becomes a value": {"mapping": [{"target": FIRST["target"], "value": "x"}, *REST]},
    "an entry more": {"mapping": [FIRST, *REST, {"target": "_crmflowdemo.more", "value": "x"}]},
    "an entry less": {"mapping": REST},
    "entries in another order": {"mapping": [*REST, FIRST]},
    "a column more": {"source": {"columns": [*COLUMNS, "Phone"]}},
    "a column less": {"source": {"columns": COLUMNS[1:]}},
    "all columns": {"source": {"columns": None}},
    "the schema by its title": {"target": {"schema": {"id": None, "title": "Contacts"}}},
    "the dataset by its name": {"target": {"dataset": {"id": None, "name": "Contacts", "create": {}}}},
    "a mapping set instead": {"mapping": None, "mappingSetRef": {"id": "f00d", "version": 2}},
    "once": {
        "schedule": {"frequency": "Once", "interval": None, "backfill": None},
        "deltaColumn": None,
    },
    "paused": {"paused": True},
    "disabled": {"ingestion": {"enabled": False}},
    "error diagnostics": {"ingestion": {"errorDiagnostics": True}},
    "a description": {"description": "Edited"},
    "orphaned": {"deletionPolicy": "Orphan"},
}
OF_A_CONNECTION: dict[str, Object] = {
    "paused": {"paused": True},
    "tokens when credentials change": {"tokenPush": "OnCredentialChange"},
    "scopes": {"zoho": {"scopes": ["ZohoCRM.modules.READ"]}},
    "parameters": {"platform": {"authParams": {"endpoint": "crm.zoho.eu"}}},
    "another name": {"displayName": "Edited"},
    "orphaned": {"deletionPolicy": "Orphan"},
}
"""What may differ between Git and the cluster, as merge patches of the spec of the examples."""

CASES = [
    pytest.param(example, change, id=f"{example['kind']}-{name}")
    for example, changes in ((DATAFLOW, OF_A_DATAFLOW), (CONNECTION, OF_A_CONNECTION))
    for name, change in changes.items()
]


def manifest(example: Object, namespace: str, change: Object | None = None) -> Object:
    """The example in a namespace, as Git has it."""
    obj: Object = merged(example, {"metadata": {"namespace": namespace}, "spec": change or {}})
    return obj


def is_out_of_sync(cluster: Cluster, desired: Object) -> bool:
    """What a comparison finds."""
    answer = cluster.apply(desired, manager=MANAGER, dry_run=True)
    [owned] = [entry for entry in answer["metadata"]["managedFields"] if entry["manager"] == MANAGER]
    assert owned["fieldsV1"]["f:spec"] == {}, "owned as one"
    return bool(answer["spec"] != live(cluster, desired)["spec"])


def live(cluster: Cluster, desired: Object) -> Object:
    metadata = desired["metadata"]
    return cluster.get(desired["kind"], metadata["name"], metadata["namespace"])


def edit(cluster: Cluster, desired: Object, change: Object) -> None:
    """What a person does with kubectl edit."""
    metadata = desired["metadata"]
    cluster.patch(desired["kind"], metadata["name"], metadata["namespace"], {"spec": change})


def assert_heals(cluster: Cluster, desired: Object, stored: Object) -> None:
    """The difference is found, a sync makes the spec what it is when Git's manifest alone is applied, and
    nothing is found any more.
    """
    assert is_out_of_sync(cluster, desired)
    cluster.apply(desired, manager=MANAGER)
    assert live(cluster, desired)["spec"] == stored["spec"]
    assert not is_out_of_sync(cluster, desired)


@pytest.mark.parametrize(("example", "change"), CASES)
def test_an_edit_in_the_cluster_is_healed(
    cluster: Cluster, namespace: str, example: Object, change: Object
) -> None:
    desired = manifest(example, namespace)
    stored = cluster.apply(desired, manager=MANAGER)
    assert not is_out_of_sync(cluster, desired)
    edit(cluster, desired, change)
    assert_heals(cluster, desired, stored)


@pytest.mark.parametrize(("example", "change"), CASES)
def test_the_opposite_edit_is_healed_too(
    cluster: Cluster, namespace: str, example: Object, change: Object
) -> None:
    desired = manifest(example, namespace, change)
    stored = cluster.apply(desired, manager=MANAGER)
    edit(cluster, desired, _undone(change, example["spec"]))
    assert_heals(cluster, desired, stored)


@pytest.mark.parametrize(("example", "change"), CASES)
def test_what_is_taken_out_of_git_is_no_longer_in_force(
    cluster: Cluster, namespace: str, example: Object, change: Object
) -> None:
    cluster.apply(manifest(example, namespace, change), manager=MANAGER)
    desired = manifest(example, namespace)
    plain = cluster.apply(merged(desired, {"metadata": {"name": "plain"}}), manager=MANAGER)
    assert_heals(cluster, desired, plain)


def test_fields_that_an_older_version_let_be_owned_one_by_one_are_healed(
    cluster: Cluster, controlplane: ControlPlane, namespace: str
) -> None:
    desired = manifest(DATAFLOW, namespace)
    stored = cluster.apply(desired, manager=MANAGER)
    before = deepcopy(stored)
    [entry] = before["metadata"]["managedFields"]
    entry["fieldsV1"]["f:spec"] = _one_by_one(desired["spec"])
    assert controlplane.etcd_url
    store(controlplane.etcd_url, before)
    owned = live(cluster, desired)["metadata"]["managedFields"][0]["fieldsV1"]["f:spec"]
    assert "f:mapping" in owned
    edit(cluster, desired, OF_A_DATAFLOW["a mapping set instead"])
    assert_heals(cluster, desired, stored)


@pytest.mark.parametrize("example", [DATAFLOW, CONNECTION], ids=["dataflow", "connection"])
def test_an_application_may_leave_pausing_to_people(
    cluster: Cluster, namespace: str, example: Object
) -> None:
    """With ``ignoreDifferences`` of ``/spec/paused`` a pause is no difference, and with
    ``RespectIgnoreDifferences`` a sync sends the live value of it.
    """
    desired = manifest(example, namespace)
    cluster.apply(desired, manager=MANAGER)
    edit(cluster, desired, {"paused": True, "displayName": "Edited"})
    answer = cluster.apply(desired, manager=MANAGER, dry_run=True)["spec"]
    differing = {name for name, value in live(cluster, desired)["spec"].items() if answer.get(name) != value}
    assert differing == {"paused", "displayName"}
    sent = merged(desired, {"spec": {"paused": True}})
    healed = cluster.apply(sent, manager=MANAGER)["spec"]
    assert (healed["paused"], healed["displayName"]) == (True, example["spec"]["displayName"])


def test_whoever_applies_a_part_of_a_spec_is_told_what_is_missing(
    kubectl: Kubectl, cluster: Cluster, namespace: str
) -> None:
    """The price: a spec has one owner. A patch changes a part."""
    desired = manifest(DATAFLOW, namespace)
    cluster.apply(desired, manager=MANAGER)
    part = {**desired, "spec": {"paused": True}}
    with pytest.raises(Exception, match=r"spec\.connectionRef: Required value"):
        cluster.apply(part, manager="colleague")
    kubectl("patch", "cdf", "contacts", f"-n={namespace}", "--type=merge", '-p={"spec":{"paused":true}}')
    assert live(cluster, desired)["spec"]["paused"]


def _undone(change: Object, spec: Object) -> Object:
    """The merge patch that undoes ``change`` of ``spec``."""
    return {
        name: _undone(value, spec[name])
        if isinstance(value, dict) and isinstance(spec.get(name), dict)
        else spec.get(name)
        for name, value in change.items()
    }


def _one_by_one(value: Any) -> Object:
    """Who owns each field of ``value`` owns this (``fieldsV1``)."""
    if isinstance(value, dict):
        return {f"f:{name}": _one_by_one(inner) for name, inner in value.items()}
    if isinstance(value, list):
        keys = [
            f"k:{json.dumps({'target': item['target']}, separators=(',', ':'))}"
            if isinstance(item, dict)
            else f"v:{json.dumps(item)}"
            for item in value
        ]
        items = [{".": {}, **_one_by_one(item)} if isinstance(item, dict) else {} for item in value]
        return {".": {}, **dict(zip(keys, items, strict=True))}
    return {}
