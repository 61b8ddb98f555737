"""The command lines of the three servers, for a cluster that is thrown away after use."""

from __future__ import annotations

from pathlib import Path

# Just what a namespaced operator can notice: namespaces that finish, owners that collect, accounts that
# exist, Jobs that run; and what a node needs for its pods to be scheduled to it (hack/node).
_CONTROLLERS = (
    "namespace-controller",
    "garbage-collector-controller",
    "serviceaccount-controller",
    "serviceaccount-token-controller",
    "root-ca-certificate-publisher-controller",
    "job-controller",
    "pod-garbage-collector-controller",
    "node-lifecycle-controller",
)


def etcd(directory: Path, url: str) -> list[str]:
    """One member without peers. Nothing is flushed to disk: the data need not survive a crash."""
    return [
        f"--data-dir={directory / 'etcd'}",
        f"--listen-client-urls={url}",
        f"--advertise-client-urls={url}",
        "--listen-peer-urls=http://127.0.0.1:0",
        "--socket-reuse-port",
        "--unsafe-no-fsync",
        "--log-level=warn",
    ]


def kube_apiserver(directory: Path, etcd_url: str, port: int) -> list[str]:
    """Token authentication and RBAC, with the admission plugins and the watch cache that every cluster has.

    It makes its own serving certificate before it reads the key that signs the ServiceAccounts' tokens, so
    one key serves both and nothing here has to make keys.
    """
    certificates = directory / "certificates"
    return [
        f"--etcd-servers={etcd_url}",
        "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1",  # else it looks for a network interface, and fails without one
        "--endpoint-reconciler-type=none",  # a loopback address is no valid endpoint
        f"--secure-port={port}",
        "--permit-port-sharing",
        f"--cert-dir={certificates}",
        f"--token-auth-file={directory / 'tokens.csv'}",
        "--authorization-mode=RBAC",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-signing-key-file={certificates / 'apiserver.key'}",
        f"--service-account-key-file={certificates / 'apiserver.key'}",
        "--service-cluster-ip-range=10.0.0.0/24",
        "--kubelet-preferred-address-types=InternalIP",  # a node of this machine has no name that resolves
        f"--audit-policy-file={directory / 'audit-policy.json'}",
        f"--audit-log-path={directory / 'audit.log'}",
        "--profiling=false",
    ]


def audit_policy() -> dict[str, object]:
    """Who asked for what, and whether they might: for ServiceAccounts alone, without the content."""
    asked = {"level": "Metadata", "userGroups": ["system:serviceaccounts"], "omitStages": ["RequestReceived"]}
    return {"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": [asked, {"level": "None"}]}


def kube_controller_manager(directory: Path) -> list[str]:
    """Only the controllers above, and no port."""
    certificates = directory / "certificates"
    return [
        f"--kubeconfig={directory / 'kubeconfig'}",
        f"--controllers={','.join(_CONTROLLERS)}",
        f"--service-account-private-key-file={certificates / 'apiserver.key'}",
        f"--root-ca-file={certificates / 'apiserver.crt'}",
        "--leader-elect=false",
        "--kube-api-qps=1000",  # its own limit would make a test of many objects wait
        "--kube-api-burst=1000",
        "--secure-port=0",
    ]
