"""Everything that one run needs, with the operator behind the gate."""

from __future__ import annotations

import base64
import json
import ssl
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hack.controlplane import ControlPlane, find_assets
from hack.emulators import Emulators
from hack.install import install, operator_kubeconfig
from hack.kubeconfig import kubeconfig, write_private
from hack.kubectl import Kubectl
from hack.node import Node, crmflow_image
from tests.faults.calls import BLOB, KUBERNETES, PLATFORM, Caller
from tests.faults.gate import Gate
from tests.faults.pods import kill_pods
from tests.faults.proxy import Everybody, Proxies, Upstream
from tests.faults.supervised import SupervisedOperator
from tests.kit.cluster import Cluster
from tests.kit.home import make_home
from tests.kit.jobs import has_ended
from tests.kit.landing_zone import pod_template
from tests.kit.tenant import Tenant

INSTANCE = "faults"
POLL_SECONDS = 300.0
"""Long enough that no poll falls into a run by chance: those that it needs are made by moving the clock."""
QUIET_SECONDS = 0.6
"""An operator that asks nobody anything for so long waits for time to pass."""
_JOB_QUIET_SECONDS = 60.0
"""The same where a Job runs: its pod asks nobody anything while it starts, which takes a while on a busy
machine."""
BULK_READ_ROWS = 100
"""Of the contacts, all together are read by Bulk Read where there are Jobs, and an hour's changes by COQL."""

_SETTINGS = {
    "CRMFLOW_INSTANCE": INSTANCE,
    "CRMFLOW_POLL_INTERVAL": f"{POLL_SECONDS:.0f}s",
    "CRMFLOW_LOG_LEVEL": "INFO",
}
URLS = {
    PLATFORM: "platformUrl",
    "ims": "imsUrl",
    "zoho-accounts": "zohoAccountsUrl",
    "zoho-api": "zohoApiUrl",
    BLOB: "blobUrl",
}
"""By service, what the emulators' JSON line calls its address."""


@dataclass(frozen=True)
class Kubeconfigs:
    """The two ways into a control plane that has the kinds and the operator's rights."""

    admin: Path
    """The kubeconfig of cluster-admin."""
    operator: Path
    """A kubeconfig with the operator's rights and no more."""
    run_jobs: bool
    """Whether there is a node: then operators are set up to make Jobs."""


@contextmanager
def running_controlplane(directory: Path, *, node: bool = False) -> Iterator[Kubeconfigs]:
    """A control plane for the block, with a ``node`` if wanted; it dies with this process."""
    with ExitStack() as stack:
        plane = stack.enter_context(ControlPlane(directory))
        kubectl = Kubectl(find_assets().binary("kubectl"), plane.kubeconfig)
        install(kubectl)
        if node:
            stack.enter_context(Node(kubectl, directory / "node", [crmflow_image()]))
        identity = operator_kubeconfig(kubectl, directory / "operator.kubeconfig")
        yield Kubeconfigs(plane.kubeconfig, identity, run_jobs=node)


def home_of(namespace: str) -> str:
    """The operator's own namespace, beside the one that it serves."""
    return f"{namespace}-system"


class Bench:
    """Emulators, proxies and the place for one operator, used by one thread at a time."""

    def __init__(self, directory: Path, admin: Path, cluster: Cluster, emulators: Emulators) -> None:
        self.directory = directory
        self.admin = admin
        self.cluster = cluster
        self.emulators = emulators
        self.control = emulators.control
        self.gate = Gate(self._kill)
        self._operator: SupervisedOperator | None = None
        self._kubeconfig = directory / "operator.kubeconfig"
        self._settings: dict[str, str] = {}
        self._pods_proxy = ""
        self._home = ""

    @property
    def operator(self) -> SupervisedOperator:
        """The operator that serves the present tenant."""
        assert self._operator, "there is no tenant"
        return self._operator

    @property
    def log_file(self) -> Path:
        """What the operators that served the last tenant have logged."""
        return self.directory / "operator.log"

    def is_quiet(self) -> bool:
        """Whether everybody waits for time to pass."""
        if not self.gate.quiet_for(QUIET_SECONDS):
            return False
        return self.gate.quiet_for(_JOB_QUIET_SECONDS) or all(
            has_ended(job) for job in self.cluster.list("Job", self._home)
        )

    @contextmanager
    def tenant(self, **settings: str) -> Iterator[Tenant]:
        """A fresh namespace, fresh remote sides, and a fresh operator that is ready and has nothing to do."""
        self.gate.begin()  # a crash point that did not occur must not kill the next operator
        self.control.reset()
        namespace = f"faults-{uuid.uuid4().hex[:8]}"
        self.cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
        self._home = home = home_of(namespace)
        make_home(self.cluster, home)
        settings = {
            **_SETTINGS,
            **self._settings,
            "CRMFLOW_WATCH_NAMESPACES": namespace,
            "CRMFLOW_POD_NAMESPACE": home,
            **settings,
        }
        self._operator = operator = SupervisedOperator(self.directory, self._kubeconfig, settings)
        self.log_file.unlink(missing_ok=True)
        try:
            operator.start()
            yield Tenant(self.cluster, self.emulators, operator, namespace, check=lambda: None)
        finally:
            operator.strike()
            operator.close()
            self._operator = None
            self.cluster.abandon_namespace(namespace)
            self.cluster.abandon_namespace(home)

    def connect(self, kubeconfigs: Kubeconfigs, proxies: Proxies) -> None:
        """Lead the operators to come, and their Jobs, through ``proxies``."""
        user = json.loads(kubeconfigs.operator.read_text())["users"][0]
        write_private(
            self._kubeconfig,
            kubeconfig(proxies.cluster(KUBERNETES), user["name"], user["user"]["token"]),
        )
        self._pods_proxy = proxies.urls[Caller.JOB]
        self._settings = self.emulators.operator_settings()
        self._settings["HTTP_PROXY"] = proxies.urls[Caller.OPERATOR]
        if kubeconfigs.run_jobs:
            environment = {"HTTP_PROXY": self._pods_proxy}
            template = pod_template(self.directory, self._settings["CRMFLOW_CLOCK"], **environment)
            self._settings["CRMFLOW_TRANSFER_TEMPLATE"] = template
            self._settings["CRMFLOW_BULK_READ_ROWS"] = str(BULK_READ_ROWS)

    def _kill(self, caller: Caller) -> None:
        if caller is Caller.JOB:
            kill_pods(self._pods_proxy)
        elif self._operator is not None:
            self._operator.strike()


@contextmanager
def running_bench(kubeconfigs: Kubeconfigs, directory: Path) -> Iterator[Bench]:
    """A bench for the block."""
    directory.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        cluster = Cluster(kubeconfigs.admin)
        stack.callback(cluster.close)
        emulators = stack.enter_context(Emulators(directory).running())
        bench = Bench(directory, kubeconfigs.admin, cluster, emulators)
        services = {emulators.info[url]: service for service, url in URLS.items()}
        upstreams: dict[str, Upstream | Everybody] = {
            KUBERNETES: _api_server(json.loads(kubeconfigs.admin.read_text())),
            **{caller: Everybody(caller, services) for caller in Caller},
        }
        bench.connect(kubeconfigs, stack.enter_context(Proxies(upstreams, bench.gate)))
        yield bench


def _api_server(content: Any) -> Upstream:
    cluster = content["clusters"][0]["cluster"]
    authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
    return Upstream(cluster["server"], ssl.create_default_context(cadata=authority))
