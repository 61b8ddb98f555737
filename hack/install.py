"""Install the kinds and the operator's rights in a cluster, and give the operator an identity of its own
there.
"""

from __future__ import annotations

from pathlib import Path

from hack.kubeconfig import kubeconfig, write_private
from hack.kubectl import Kubectl

ROOT = Path(__file__).resolve().parent.parent
NAMESPACE = "crmflow-system"
SERVICE_ACCOUNT = "crmflow"

# Not the Deployment: here the operator runs as a process of this machine, not as a pod.
_RIGHTS = ("namespace.yaml", "rbac.yaml")


def install(kubectl: Kubectl, source: Path = ROOT) -> None:
    """Install the CRDs and the operator's rights; returns when the API server serves the kinds. ``source``
    is where the repository's files are, those of an older version perhaps.
    """
    # Server-side: the CRDs outgrow the annotation that client-side apply would keep a copy in.
    kubectl("apply", "--server-side", "--force-conflicts", "-f", str(source / "crds"))
    for file in _RIGHTS:
        kubectl("apply", "-f", str(source / "deploy" / "base" / file))
    kubectl("wait", "--for=condition=Established", "--timeout=60s", "-f", str(source / "crds"))
    # Established, and still answering 429 for a moment; kubectl waits as long as that asks it to.
    plurals = [path.stem.partition("_")[2] for path in sorted((source / "crds").glob("*.yaml"))]
    kubectl("get", ",".join(plurals), "--all-namespaces")


def operator_kubeconfig(kubectl: Kubectl, path: Path, lifetime: str = "24h") -> Path:
    """Write a kubeconfig that has the operator's rights and no more: a token of its ServiceAccount."""
    admin = kubectl.json("config", "view", "--minify", "--flatten", "--raw")
    token = kubectl("create", "token", SERVICE_ACCOUNT, f"--namespace={NAMESPACE}", f"--duration={lifetime}")
    write_private(path, kubeconfig(admin["clusters"][0]["cluster"], user=SERVICE_ACCOUNT, token=token))
    return path
