"""Fixtures of the tests on a real API server: one control plane and one set of emulators for the session."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hack.controlplane import ControlPlane, find_assets
from hack.emulators import Emulators
from hack.foreign_kinds import KINDS, foreign_kind
from hack.install import install, operator_kubeconfig
from hack.kubectl import Kubectl
from hack.node import Image, Node, crmflow_image
from tests.kit import canary
from tests.kit.cluster import OUR_KINDS, Cluster, Object
from tests.kit.home import make_home
from tests.kit.invariants import check_invariants
from tests.kit.jobs import Jobs
from tests.kit.landing_zone import Contacts, Transfers, grant_reads, pod_template
from tests.kit.operator import Operator
from tests.kit.plugin import Plugin
from tests.kit.tenant import CONNECTION, Tenant

LONG = {"TRANSFER_FAULTS": "test_landing_zone_faults.py", "QUICKSTART": "test_quickstart.py"}
"""Modules with a target of their own, by the variable that it sets."""
collect_ignore = [module for variable, module in LONG.items() if not os.environ.get(variable)]

SHELL = Image("shell:*", ("/bin/sh", "-c"), {"PATH": "/usr/bin:/bin"})


@pytest.fixture(scope="session")
def controlplane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A running, empty cluster."""
    with ControlPlane(tmp_path_factory.mktemp("controlplane")) as plane:
        yield plane


@pytest.fixture(scope="session")
def kubectl(controlplane: ControlPlane) -> Kubectl:
    """kubectl as cluster-admin, with the kinds and the operator's rights installed."""
    tool = Kubectl(find_assets().binary("kubectl"), controlplane.kubeconfig)
    install(tool)
    return tool


def _is_established(crd: Object) -> bool:
    conditions = crd["status"].get("conditions") or ()  # kubectl wait fails while there are none at all
    return any((found["type"], found["status"]) == ("Established", "True") for found in conditions)


@pytest.fixture(scope="session")
def foreign_kinds(kubectl: Kubectl, cluster: Cluster) -> None:
    """The kinds of other projects that our manifests use: Argo CD's, Flux's, the Prometheus Operator's."""
    for name in KINDS:
        applied = kubectl("apply", "--server-side", "-f", str(foreign_kind(name)), "--output=name")
        crd = applied.strip().partition("/")[2]
        cluster.wait("CustomResourceDefinition", crd, None, _is_established, what="Established=True")


@pytest.fixture(scope="session")
def kubeconfig(kubectl: Kubectl, controlplane: ControlPlane) -> Path:
    """The kubeconfig of cluster-admin, with the kinds and the operator's rights installed."""

    return controlplane.kubeconfig


@pytest.fixture(scope="session")
def operator_identity(kubectl: Kubectl, controlplane: ControlPlane) -> Path:
    """A kubeconfig with the operator's rights and no more."""
    return operator_kubeconfig(kubectl, controlplane.directory / "operator.kubeconfig")


@pytest.fixture(scope="session")
def cluster(kubeconfig: Path) -> Iterator[Cluster]:
    """A client of the API server as cluster-admin."""
    client = Cluster(kubeconfig)
    yield client
    client.close()


@pytest.fixture(scope="session")
def node(kubectl: Kubectl, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """A node that runs what is scheduled, from the operator's image or from ``shell``, whose arguments are a
    shell's script.
    """
    with Node(kubectl, tmp_path_factory.mktemp("node"), [crmflow_image(), SHELL]) as node:
        yield node


@pytest.fixture
def jobs(node: Node, cluster: Cluster, namespace: str) -> Jobs:
    """Jobs in the test's namespace."""
    return Jobs(cluster, namespace)


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    """A namespace of this test's own."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    yield name
    cluster.abandon_namespace(name)


@pytest.fixture(scope="session")
def _emulators(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulators]:
    emulators = Emulators(tmp_path_factory.mktemp("emulators"))
    with emulators.running():
        yield emulators


@pytest.fixture
def emulators(_emulators: Emulators) -> Emulators:
    """The emulators of Zoho CRM and Adobe Experience Platform, in their seeded state."""
    _emulators.control.reset()
    return _emulators


@pytest.fixture
def home(cluster: Cluster, namespace: str) -> Iterator[str]:
    """The operator's own namespace, where it may store tokens; emulated ones are the same in every
    test. Nobody waits for its deletion, so each has a name of its own.
    """
    name = f"{namespace}-{uuid.uuid4().hex[:4]}-system"
    make_home(cluster, name)
    yield name
    cluster.abandon_namespace(name)


@pytest.fixture
def operator(
    emulators: Emulators, operator_identity: Path, namespace: str, home: str, tmp_path: Path
) -> Iterator[Operator]:
    """An operator that serves the test's namespace. Not started yet: ``operator.start()`` does that."""
    settings = {
        **emulators.operator_settings(),
        "CRMFLOW_WATCH_NAMESPACES": namespace,
        "CRMFLOW_POD_NAMESPACE": home,
    }
    runner = Operator(tmp_path, operator_identity, settings)
    yield runner
    runner.close()


@pytest.fixture
def check_reconciled(
    cluster: Cluster, namespace: str, emulators: Emulators, operator: Operator
) -> Callable[..., None]:
    """Call it at the end of a reconcile test: status invariants hold, and no secret shows anywhere."""

    def check(*further_secrets: str) -> None:
        for kind in OUR_KINDS:
            for obj in cluster.list(kind, namespace):
                check_invariants(obj)
        sources = canary.visible(cluster, namespace)
        sources["operator log"] = operator.log
        sources["exchange log"] = emulators.exchanges.read_text()
        canary.assert_no_secrets([*emulators.secrets(), *further_secrets], sources)

    return check


@pytest.fixture
def tenant(
    cluster: Cluster,
    emulators: Emulators,
    operator: Operator,
    namespace: str,
    check_reconciled: Callable[..., None],
) -> Iterator[Tenant]:
    """A tenant's namespace with the operator running. Afterwards the status invariants are checked, and that
    no secret shows anywhere.
    """
    operator.start()
    tenant = Tenant(cluster, emulators, operator, namespace, check_reconciled)
    yield tenant
    tenant.check()


@pytest.fixture
def ready(tenant: Tenant) -> Tenant:
    """The tenant, whose connection is Ready."""
    tenant.apply_secrets()
    tenant.apply_connection()
    tenant.wait_ready(CONNECTION, seconds=60)
    return tenant


@pytest.fixture
def plugin(tenant: Tenant, kubectl: Kubectl, tmp_path: Path) -> Iterator[Plugin]:
    """The plugin of somebody who may read connections and Secrets in their namespace."""
    (tmp_path / "desk").mkdir()
    plugin = Plugin(tenant, kubectl, tmp_path / "desk")
    yield plugin
    plugin.check()


@pytest.fixture
def transfer_template(operator: Operator, tmp_path: Path) -> None:
    """The installation can run transfers."""
    file = pod_template(tmp_path, operator.settings["CRMFLOW_CLOCK"])
    operator.settings["CRMFLOW_TRANSFER_TEMPLATE"] = file


@pytest.fixture
def zone(transfer_template: None, tenant: Tenant) -> Tenant:
    """A tenant whose grant allows our own reads."""
    grant_reads(tenant)
    return tenant


@pytest.fixture
def contacts(zone: Tenant) -> Contacts:
    return Contacts(zone)


@pytest.fixture
def transfers(zone: Tenant, home: str) -> Transfers:
    return Transfers(zone, home)
