"""The Job of a transfer and its Secret, as they are written to the API server."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from crmflow.reconcile.extraction import names
from crmflow.reconcile.extraction.ports import TransferCredentials, TransferOrder
from crmflow.runtime.transfers.template import OwnImage, PodTemplate, pod_of
from crmflow.transfer.credentials import SAS_FILE, TOKEN_FILE

DATAFLOW_ANNOTATION = "crmflow.io/dataflow"
"""For people: the namespace and name of whom the Job is for."""
ATTEMPT_ANNOTATION, CREDITS_ANNOTATION = "crmflow.io/attempt", "crmflow.io/expected-credits"
DEADLINE_SECONDS = 23 * 3600
"""Zoho keeps the file of a Bulk Read job for 24 hours, and page tokens live as long (landing-zone.md F.1)."""

Object = dict[str, Any]


def name_of(order: TransferOrder) -> str:
    """The name of the Job and of its Secret: the same whenever it is asked for."""
    return names.job_name(order.identity, order.job.file, order.job.attempt)


def job_of(order: TransferOrder, template: PodTemplate, own: OwnImage | None) -> Object:
    """The Job. It is tried once: another attempt is another Job, whose blocks have other names. A pod that is
    evicted is no failure, and its successor begins once it has ended.
    """
    labels = labels_of(order)
    declaration = order.declaration.model_dump_json(by_alias=True)
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": name_of(order),
            "labels": labels,
            "annotations": {
                DATAFLOW_ANNOTATION: f"{order.identity.namespace}/{order.identity.name}",
                ATTEMPT_ANNOTATION: str(order.job.attempt),
                CREDITS_ANNOTATION: str(order.credits),
            },
        },
        "spec": {
            "completions": 1,
            "parallelism": 1,
            "backoffLimit": 0,
            "activeDeadlineSeconds": DEADLINE_SECONDS,
            "podReplacementPolicy": "Failed",
            "podFailurePolicy": {
                "rules": [
                    {
                        "action": "Ignore",
                        "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}],
                    }
                ]
            },
            "template": pod_of(template, own, labels, declaration, name_of(order)),
        },
    }


def secret_of(
    name: str, labels: Mapping[str, str], credentials: TransferCredentials, job_uid: str | None
) -> Object:
    """The Secret of the Job ``name``; once that is there, the Secret goes with it."""
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": name, "uid": job_uid}
    values = {TOKEN_FILE: credentials.access_token, SAS_FILE: credentials.sas_uri}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "metadata": {
            "name": name,
            "labels": dict(labels),
            **({"ownerReferences": [owner]} if job_uid else {}),
        },
        "data": {
            key: base64.b64encode(value.get_secret_value().encode()).decode() for key, value in values.items()
        },
    }


def labels_of(order: TransferOrder) -> dict[str, str]:
    """Of the Job, its pod and its Secret."""
    return names.job_labels(order.identity, order.job.file, order.organization)
