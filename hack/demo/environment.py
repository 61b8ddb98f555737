"""What the demo runs on: a cluster, the emulators and the operator, each a process that ``stop`` can find
again.
"""

from __future__ import annotations

import json
import shlex
import shutil
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from hack.azurite import azurite_command
from hack.console import ToolError, say
from hack.controlplane import ControlPlane, find_assets
from hack.emulators import Emulators
from hack.install import ROOT, install, operator_kubeconfig
from hack.kubeconfig import write_private
from hack.kubectl import Kubectl
from hack.node import Node, crmflow_image
from hack.operator_process import OperatorProcess
from hack.processes import ProcessRecord, terminate
from hack.transfer_template import write_transfer_template

DIRECTORY = ROOT / "build" / "demo"
KUBECONFIG = DIRECTORY / "kubeconfig"
SHELL = DIRECTORY / "environment"
"""What a shell reads so that kubectl and the plugin find the demo: ``. build/demo/environment``."""
NAMESPACE = "crm-demo"
_RUNNING = DIRECTORY / "running.json"
_POLL_INTERVAL = "2s"


@dataclass(frozen=True)
class Demo:
    """The running parts."""

    kubectl: Kubectl
    emulators: Emulators
    operator: OperatorProcess
    runs_jobs: bool
    """Whether the cluster runs Jobs of the operator, without which nothing is written into a landing zone."""


@dataclass(frozen=True)
class _Running:
    """What has to be ended, kept in a file."""

    current_cluster: bool
    processes: list[ProcessRecord]

    @classmethod
    def load(cls) -> _Running:
        if not _RUNNING.exists():
            return cls(current_cluster=False, processes=[])
        content = json.loads(_RUNNING.read_text())
        return cls(content["current_cluster"], [ProcessRecord(**record) for record in content["processes"]])

    def save(self) -> None:
        _RUNNING.write_text(json.dumps(asdict(self)))


def start(*, current_cluster: bool) -> Demo:
    """Start everything, after ending a demo that still runs. Raises ToolError if a part does not start."""
    if _RUNNING.exists():
        say("There is a demo already: replacing it")
        stop()
    DIRECTORY.mkdir(mode=0o700, parents=True, exist_ok=True)
    _Running(current_cluster, []).save()
    kubectl = _current_cluster() if current_cluster else _own_cluster()
    install(kubectl)
    # A cluster that is not ours would need an image of the operator; a node of ours needs Linux.
    runs_jobs = not current_cluster and sys.platform == "linux"
    if runs_jobs:
        azurite_command()  # installs it with a word about it, before something waits for it
        node = Node(kubectl, DIRECTORY / "node", [crmflow_image()])
        _remember(*node.start(tethered=False))
    emulators = Emulators(DIRECTORY, landing_zone=runs_jobs)
    _remember(emulators.start(tethered=False))
    operator = _operator(kubectl, emulators, runs_jobs=runs_jobs)
    process, _ = operator.start(tethered=False)
    _remember(process)
    _write_shell(kubectl, emulators)
    operator.wait_ready(process)
    return Demo(kubectl, emulators, operator, runs_jobs)


def stop() -> None:
    """End the demo. In a cluster that is not its own its resources go first, while the operator still
    runs.
    """
    running = _Running.load()
    if running.current_cluster:
        _leave_current_cluster()
    terminate(running.processes[::-1])
    ControlPlane(DIRECTORY / "controlplane").stop()
    _RUNNING.unlink(missing_ok=True)
    say("The demo is stopped; its logs are still in build/demo")


def _own_cluster() -> Kubectl:
    plane = ControlPlane(DIRECTORY / "controlplane").start()
    write_private(KUBECONFIG, plane.kubeconfig.read_text())
    return Kubectl(find_assets().binary("kubectl"), KUBECONFIG)


def _current_cluster() -> Kubectl:
    binary = shutil.which("kubectl")
    if binary is None:
        raise ToolError("CLUSTER=current needs kubectl on PATH: install it, or leave CLUSTER out")
    selected = Kubectl(binary, None)("config", "view", "--minify", "--flatten", "--raw", "-o", "json")
    write_private(KUBECONFIG, selected)  # a later change of the current context must not move the demo
    kubectl = Kubectl(binary, KUBECONFIG)
    say(f"Using your cluster: {kubectl('config', 'current-context').strip()}")
    return kubectl


def _leave_current_cluster() -> None:
    """Delete the demo's namespace and say what stays. A failure is told, and does not keep the rest
    running.
    """
    kubectl = Kubectl(shutil.which("kubectl") or "kubectl", KUBECONFIG)
    say(f"Deleting the namespace {NAMESPACE} from your cluster")
    try:
        # Dataflows before the connection that they use, both before their Secrets.
        for kind in ("crmdataflowruns", "crmdataflows", "zohosourceconnections"):
            kubectl("delete", kind, "--all", f"--namespace={NAMESPACE}", "--timeout=30s")
        kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--timeout=30s")
    except ToolError as error:
        say(f"{error}\nWithout the operator the resources keep their finalizers: remove them by hand")
    say("Your cluster keeps the kinds and the operator's rights; to remove them:")
    say("  kubectl delete -f deploy/base/rbac.yaml -f deploy/base/namespace.yaml -f crds/")


def _write_shell(kubectl: Kubectl, emulators: Emulators) -> None:
    kubectl("config", "set-context", "--current", f"--namespace={NAMESPACE}")
    found_last = (
        f"{ROOT / '.venv' / 'bin'}:{Path(kubectl.binary).parent}"  # what you have yourself comes first
    )
    values = {"KUBECONFIG": str(KUBECONFIG), **emulators.operator_settings()}
    lines = [f"export {name}={shlex.quote(value)}" for name, value in values.items()]
    SHELL.write_text("\n".join([*lines, f'export PATH="$PATH":{shlex.quote(found_last)}', ""]))


def _operator(kubectl: Kubectl, emulators: Emulators, *, runs_jobs: bool) -> OperatorProcess:
    identity = operator_kubeconfig(kubectl, DIRECTORY / "operator.kubeconfig")
    settings = {
        **emulators.operator_settings(),
        "CRMFLOW_POLL_INTERVAL": _POLL_INTERVAL,
        "CRMFLOW_WATCH_NAMESPACES": NAMESPACE,
    }
    if runs_jobs:
        template = write_transfer_template(DIRECTORY / "transfer.json", settings["CRMFLOW_CLOCK"])
        settings["CRMFLOW_TRANSFER_TEMPLATE"] = template
    operator = OperatorProcess(DIRECTORY, identity, settings)
    operator.log.unlink(missing_ok=True)
    return operator


def _remember(*processes: ProcessRecord) -> None:
    running = _Running.load()
    _Running(running.current_cluster, [*running.processes, *processes]).save()
