"""The operator's settings: environment variables that begin with ``CRMFLOW_``.

Every setting has a default that suits a cluster; the URLs exist so that the operator can be pointed at
another Platform instance, at a stage, or at the emulators.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

PREFIX = "CRMFLOW_"

_DURATION_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h)")
_UNIT_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def parse_duration(text: str) -> float:
    """Seconds in a duration such as ``90s``, ``5m`` or ``1h30m``; ValueError for anything else."""
    parts = list(_DURATION_PART.finditer(text))
    if not parts or "".join(part.group() for part in parts) != text:
        raise ValueError("must be a duration such as 30s, 5m or 1h30m")
    return sum(float(part[1]) * _UNIT_SECONDS[part[2]] for part in parts)


def _seconds(value: object) -> object:
    return parse_duration(value) if isinstance(value, str) else value


def _names(value: object) -> object:
    return (
        tuple(name.strip() for name in value.split(",") if name.strip()) if isinstance(value, str) else value
    )


Seconds = Annotated[float, BeforeValidator(_seconds), Field(gt=0)]


class Settings(BaseModel):
    """What can be set from outside; one field per ``CRMFLOW_`` variable."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    platform_url: str = "https://platform.adobe.io"
    """Gateway of Adobe Experience Platform (platform.md 1.1)."""
    ims_url: str = "https://ims-na1.adobelogin.com"
    """Adobe's identity service (platform.md 1.3)."""
    zoho_accounts_url: str | None = None
    """Replaces every Zoho accounts host; ``{dc}`` stands for the data centre. For development only."""
    zoho_api_url: str | None = None
    """Replaces every Zoho API host; ``{dc}`` and ``{env}`` may stand in it. For development only."""
    instance: str | None = Field(default=None, pattern=r"^[a-z0-9]([a-z0-9-]{0,34}[a-z0-9])?$")
    """Name of this installation, part of every remote name; default: the UID of the namespace kube-system."""
    watch_namespaces: Annotated[tuple[str, ...], BeforeValidator(_names)] = ()
    """Namespaces to serve, comma-separated; all of them when empty."""
    workers: int = Field(default=10, ge=1, le=200)
    """How many resources are worked on at the same time."""
    poll_interval: Seconds = 300.0
    """How often each sandbox is listed for changes and new runs."""
    resync_interval: Seconds = 3600.0
    """How often a resource that is Ready is checked completely."""
    create_grace: Seconds = 60.0
    """How long a create whose answer was lost may take to show up before it is tried again: longer than
    any request and any lag of an index."""
    ip_allow_list: str | None = None
    """File with the addresses that Platform's sources connect from, in place of the packaged one; read anew
    when it changes (``aep/egress.py``)."""
    tenancy: str | None = None
    """File that says which namespaces may use which organizations and sandboxes; without one, each may use
    what its Secrets open. Read anew when it changes (``reconcile/tenancy.py``)."""
    shutdown_grace: Seconds = 20.0
    """How long running passes may go on after SIGTERM before they are cut off."""
    leader_election: bool = False
    """Whether replicas agree by a Lease on the one that works. Left out, they do when running in a Pod."""
    lease_name: str = Field(default="crmflow", pattern=r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$")
    """Name of that Lease, in the operator's own namespace."""
    pod_name: str | None = None
    """Name of the operator's Pod, which becomes part of its identity in the Lease; default: the host name."""
    pod_namespace: str | None = Field(default=None, pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")
    """The operator's own namespace, where it stores tokens; default: that of its ServiceAccount."""
    listen: str = Field(default=":8080", pattern=r"^(\[[0-9A-Fa-f:.]+\]|[^\s:\[\]]*):[0-9]{1,5}$")
    """Address of /healthz, /readyz and /metrics, an IPv6 one in brackets; every address, of IPv4 and IPv6,
    where only a port is given."""
    listen_file: str | None = None
    """File to write the bound address into; useful with port 0."""
    log_format: str = Field(default="json", pattern="^(json|text)$")
    """``json`` for machines, ``text`` for people."""
    log_level: str = Field(default="INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$")
    """Least level that is logged."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Settings:
        """Settings from ``CRMFLOW_*``; an empty variable counts as unset. Raises ValidationError."""
        given: dict[str, object] = {
            name: value
            for name in cls.model_fields
            if (value := environment.get(PREFIX + name.upper(), "")) != ""
        }
        if "KUBERNETES_SERVICE_HOST" in environment:  # what every client library tells a Pod by
            given.setdefault("leader_election", True)
        return cls.model_validate(given)
