"""What every pod of a transfer has: a file that the installation writes, as a PodTemplateSpec in JSON.

It holds what depends on the cluster: proxies, certificate authorities, scheduling, resources, labels. What
makes a transfer of it is added here, and what it must not be able to do is held, whatever the file says.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from crmflow.reloading import ReloadedFile
from crmflow.settings import PREFIX

SETTING = f"{PREFIX}TRANSFER_TEMPLATE"
CONTAINER = "transfer"
CREDENTIALS = "/var/run/secrets/crmflow/transfer"
"""Where the Secret is mounted. As a whole: a file that is mounted by its ``subPath`` never changes."""
MESSAGE = "/dev/termination-log"
_VOLUME = "credentials"
_OPERATOR = "operator"
"""The operator's container in its own Pod."""

log = logging.getLogger("crmflow.transfers")

Object = dict[str, Any]


class _Metadata(BaseModel):
    model_config = ConfigDict(extra="forbid")

    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}


class _Container(BaseModel):
    model_config = ConfigDict(extra="allow")

    image: str | None = None


class _Spec(BaseModel):
    model_config = ConfigDict(extra="allow")

    containers: Annotated[list[_Container], Field(min_length=1, max_length=1)]


class PodTemplate(BaseModel):
    """A PodTemplateSpec with one container, as far as it is looked at; the API server checks the rest."""

    model_config = ConfigDict(extra="forbid")

    metadata: _Metadata = _Metadata()
    spec: _Spec

    @property
    def names_an_image(self) -> bool:
        """Whether it says what runs; else that is the operator's own image."""
        return bool(self.spec.containers[0].image)


@dataclass(frozen=True)
class OwnImage:
    """The image of the operator's own Pod, and how that is pulled. With it, operator and transfer are always
    of one version, also in the middle of an upgrade.
    """

    container: Mapping[str, Any]
    pull_secrets: Sequence[Mapping[str, str]] = ()

    @classmethod
    def of_pod(cls, pod: Mapping[str, Any]) -> OwnImage:
        """Of a Pod as the API server gives it, to which others may have added containers."""
        containers = pod["spec"]["containers"]
        own = next((one for one in containers if one["name"] == _OPERATOR), containers[0])
        parts = {name: own[name] for name in ("image", "imagePullPolicy") if name in own}
        return cls(parts, pod["spec"].get("imagePullSecrets") or ())


class TemplateFile:
    """The template in force, and what is in the way of one."""

    def __init__(self, path: str | None, own_pod: str | None) -> None:
        self._file = ReloadedFile(Path(path), PodTemplate, f"Pod template ({SETTING})", log) if path else None
        self.own_pod = own_pod
        """The name of the Pod that this process runs in; None outside of Pods."""

    @property
    def is_set(self) -> bool:
        """Whether this installation is to have transfers at all."""
        return self._file is not None

    @property
    def usable(self) -> bool:
        """False while the file can't be used."""
        self.current()
        return self._file is None or self._file.usable

    def current(self) -> PodTemplate | None:
        """The template; None if there is no usable one."""
        return self._file.current() if self._file else None

    @property
    def obstacle(self) -> str | None:
        """Why no Job can be made of it, for people; None if one can."""
        template = self.current()
        if self._file is None:
            return (
                f"This installation of the operator has no transfers: its setting {SETTING} names no Pod "
                "template. Whoever runs the operator can set it; the chart does with transfer.enabled."
            )
        if template is None:
            return (
                f"This installation of the operator has no transfers: the Pod template that {SETTING} names "
                f"can't be used ({self._file.problem}). Whoever runs the operator has to correct it."
            )
        if not template.names_an_image and self.own_pod is None:
            return (
                "This installation of the operator has no transfers: it does not run in a Pod whose image it "
                f"could use, and the Pod template that {SETTING} names has no image. Whoever runs the "
                "operator has to name one there."
            )
        return None


def pod_of(
    template: PodTemplate, own: OwnImage | None, labels: Mapping[str, str], declaration: str, secret: str
) -> Object:
    """The PodTemplateSpec of the Job that does what ``declaration`` says with the credentials in ``secret``.
    ``own`` is the operator's image, where the template names none.
    """
    spec = template.spec.model_dump(exclude_unset=True)
    (given,) = spec["containers"]
    if own is not None:
        given = {**own.container, **given}
        spec.setdefault("imagePullSecrets", [dict(secret) for secret in own.pull_secrets])
    volume = {"name": _VOLUME, "secret": {"secretName": secret}}
    mount = {"name": _VOLUME, "mountPath": CREDENTIALS, "readOnly": True}
    container = {
        **given,
        "name": CONTAINER,
        "args": ["transfer", "--declaration", _literally(declaration), "--credentials", CREDENTIALS],
        "terminationMessagePath": MESSAGE,
        "terminationMessagePolicy": "File",
        "volumeMounts": [*(given.get("volumeMounts") or ()), mount],
        "securityContext": {
            **(given.get("securityContext") or {}),
            "privileged": False,
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    security = {"seccompProfile": {"type": "RuntimeDefault"}, **(spec.get("securityContext") or {})}
    return {
        "metadata": {
            "labels": {**template.metadata.labels, **labels},
            "annotations": template.metadata.annotations,
        },
        "spec": {
            **spec,
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,  # a Service named crmflow would set variables like our settings
            # The first process of a namespace ignores SIGTERM until it handles it, and Python takes a while
            # to come that far: who ends a Job in that time would have to wait until the grace period is over.
            "shareProcessNamespace": True,
            "securityContext": {**security, "runAsNonRoot": True},
            "containers": [container],
            "volumes": [*(spec.get("volumes") or ()), volume],
        },
    }


def _literally(argument: str) -> str:
    """Without ``$(NAME)`` that the kubelet would put a variable in the place of."""
    return argument.replace("$", "$$")
