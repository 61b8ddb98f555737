"""What is installed in the cluster: the API server, our resource definitions, the operator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kubernetes.aio import client

from crmflow.api.kinds import GROUP, KINDS, VERSION
from crmflow.cli.api_server import ForbiddenError, call
from crmflow.cli.cluster import Cluster
from crmflow.cli.connection import Connection
from crmflow.cli.doctor.checks import Check, Subject, failed, failed_by, ok, warning
from crmflow.cli.problem import Problem
from crmflow.sentences import every

OPERATOR_LABEL = f"{GROUP}/component=operator"
"""On every Deployment of ours, whatever it is called: app.kubernetes.io/name is the user's to choose."""
_FORMER_LABEL = "app.kubernetes.io/name=crmflow"
"""What an installation has that is older than the label above."""

_INSTALL = "Install crmflow: docs/guides/install.md"


async def server_version(cluster: Cluster) -> str:
    """The API server's version, such as v1.36.3. Raises Problem."""
    found: Any = await call(
        client.VersionApi(cluster.api).get_code(_request_timeout=cluster.seconds), "its version"
    )
    return str(found.git_version) if found else "unknown"


async def check_api_server(cluster: Cluster) -> Check:
    """It answers."""
    try:
        return ok(Subject.API_SERVER, f"Kubernetes {await server_version(cluster)} answers")
    except ForbiddenError:
        return ok(Subject.API_SERVER, "Kubernetes answers; your rights do not show its version")
    except Problem as problem:
        return failed_by(Subject.API_SERVER, problem)


async def check_definitions(cluster: Cluster) -> Check:
    """It serves the kinds."""
    try:
        found: Any = await call(
            client.CustomObjectsApi(cluster.api).get_api_resources(
                GROUP, VERSION, _request_timeout=cluster.seconds
            ),
            f"the resources of {GROUP}",
        )
    except Problem as problem:
        return failed_by(Subject.DEFINITIONS, problem)
    served = {resource.name for resource in found.resources} if found else set()
    missing = [kind.crd_name for kind in KINDS if kind.plural not in served]
    if missing:
        return failed(
            Subject.DEFINITIONS,
            f"the cluster does not serve {every(missing)} in {VERSION}",
            "Install them: kubectl apply --server-side -f crds/",
        )
    plurals = every([kind.plural for kind in KINDS])
    return ok(Subject.DEFINITIONS, f"the cluster serves {plurals} in {VERSION}")


async def check_operator(cluster: Cluster, connections: Sequence[Connection]) -> list[Check]:
    """Its Deployment is available; where rights do not show that, its work does."""
    reconciled = [connection for connection in connections if connection.status.observed_generation]
    evidence = f"it has reconciled {len(reconciled)} of {len(connections)} connections here"
    try:
        deployments = await _deployments(cluster)
    except ForbiddenError:
        if reconciled:
            return [ok(Subject.OPERATOR, f"{evidence}; your rights do not show its Deployment")]
        return [
            warning(
                Subject.OPERATOR,
                "your rights do not show its Deployment, and there is no connection that it has reconciled",
                "Ask whoever runs the cluster whether crmflow runs and serves this namespace",
            )
        ]
    except Problem as problem:
        return [failed_by(Subject.OPERATOR, problem)]
    if deployments:
        return [_check_deployment(deployment) for deployment in deployments]
    if reconciled:
        return [
            warning(
                Subject.OPERATOR,
                f"there is no Deployment with the label {OPERATOR_LABEL}, though {evidence}",
                "If it runs outside the cluster all is well; else install it again",
            )
        ]
    return [failed(Subject.OPERATOR, f"there is no Deployment with the label {OPERATOR_LABEL}", _INSTALL)]


async def _deployments(cluster: Cluster) -> list[Any]:
    apps, deployments = client.AppsV1Api(cluster.api), {}
    for label in (OPERATOR_LABEL, _FORMER_LABEL):
        found: Any = await call(
            apps.list_deployment_for_all_namespaces(label_selector=label, _request_timeout=cluster.seconds),
            "the Deployments",
        )
        for deployment in found.items if found else ():
            deployments[deployment.metadata.namespace, deployment.metadata.name] = deployment
    return list(deployments.values())


def _check_deployment(deployment: Any) -> Check:
    namespace, name = deployment.metadata.namespace, deployment.metadata.name
    wanted = 1 if deployment.spec.replicas is None else deployment.spec.replicas
    available = deployment.status.available_replicas or 0
    message = f"Deployment {namespace}/{name}: {available} of {wanted} replicas are available"
    if wanted == 0:
        return failed(
            Subject.OPERATOR, message, f"kubectl -n {namespace} scale deployment/{name} --replicas=1"
        )
    if available >= wanted:
        return ok(Subject.OPERATOR, message)
    see = f"kubectl -n {namespace} describe deployment/{name}; kubectl -n {namespace} logs deployment/{name}"
    return warning(Subject.OPERATOR, message, see) if available else failed(Subject.OPERATOR, message, see)
