"""The operator's settings: environment variables that begin with ``CRMFLOW_``.

Every setting has a default that suits a cluster; the URLs exist so that the operator can be pointed at
another Platform instance, at a stage, or at the emulators.
"""

from __future__ import annotations

import difflib
import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_core.core_schema import CoreSchema, no_info_after_validator_function

from crmflow.environment import SettingError

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


_SERVICE_LINK = re.compile(
    r"_SERVICE_(HOST|PORT(_[A-Z0-9_]+)?)$|_PORT(_[0-9]+_(TCP|UDP|SCTP)(_(ADDR|PORT|PROTO))?)?$"
)
"""What the kubelet tells every Pod about a Service, such as one with the name ``crmflow``."""
_OTHERS = frozenset({"CLOCK"})


@dataclass(frozen=True)
class _Matching:
    """A value has to match ``pattern``, which the chart's schema holds too; ``wanted`` says it to people."""

    pattern: str
    wanted: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {**handler(schema), "pattern": self.pattern}

    def _check(self, value: str) -> str:
        if not re.search(self.pattern, value) or "\n" in value:
            raise ValueError(f"must be {self.wanted}")
        return value


def _url(*placeholders: str) -> AfterValidator:
    """A value has to be the address of a service, in which ``placeholders`` may stand."""

    def check(value: str) -> str:
        filled = value
        for placeholder in placeholders:
            filled = filled.replace(placeholder, "x")
        if "{" in filled or "}" in filled:
            raise ValueError(f"nothing but {' and '.join(placeholders) or 'an address'} may stand in braces")
        try:
            parts = urlsplit(filled)
            usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        except ValueError:  # a port that is no number, or a bracket without its other
            usable = False
        if not usable or re.search(r"\s", filled):
            raise ValueError("must be an http:// or https:// URL")
        if parts.username is not None or parts.query or parts.fragment:
            raise ValueError("must be a URL without a user, a query and a fragment")
        return value

    return AfterValidator(check)


_URL = Field(json_schema_extra={"pattern": r"^(https?://\S+)?$"})
"""What the chart can tell of an address before the operator does; an empty one counts as unset."""


def _port(value: str) -> str:
    if int(value.rpartition(":")[2]) > _GREATEST_PORT:
        raise ValueError(f"must have a port of at most {_GREATEST_PORT}")
    return value


_GREATEST_PORT = 65535
_LEAST_LEAD = 300.0
"""Of what stands for a lead that is not set (``reconcile/extraction/rhythm.py``)."""
_NAMESPACE = _Matching(r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$", "the name of a namespace")

Seconds = Annotated[float, BeforeValidator(_seconds), Field(gt=0, json_schema_extra={"format": "duration"})]


class Settings(BaseModel):
    """What can be set from outside; one field per ``CRMFLOW_`` variable."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    platform_url: Annotated[str, _url(), _URL] = "https://platform.adobe.io"
    """Gateway of Adobe Experience Platform (platform.md 1.1)."""
    ims_url: Annotated[str, _url(), _URL] = "https://ims-na1.adobelogin.com"
    """Adobe's identity service (platform.md 1.3)."""
    zoho_accounts_url: Annotated[str, _url("{dc}"), _URL] | None = None
    """Replaces every Zoho accounts host; ``{dc}`` stands for the data center. For development only."""
    zoho_api_url: Annotated[str, _url("{dc}", "{env}"), _URL] | None = None
    """Replaces every Zoho API host; ``{dc}`` and ``{env}`` may stand in it. For development only."""
    instance: (
        Annotated[
            str,
            _Matching(
                r"^[a-z0-9]([a-z0-9-]{0,34}[a-z0-9])?$",
                "at most 36 lower-case letters, digits and hyphens, with no hyphen at either end",
            ),
        ]
        | None
    ) = None
    """Name of this installation, part of every remote name; default: the UID of the namespace kube-system."""
    watch_namespaces: Annotated[tuple[Annotated[str, _NAMESPACE], ...], BeforeValidator(_names)] = ()
    """Namespaces to serve, comma-separated; default: all."""
    workers: int = Field(default=10, ge=1, le=200)
    """How many resources are reconciled at the same time."""
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
    transfer_template: str | None = None
    """File with the Pod template (a PodTemplateSpec in JSON) of the Jobs that copy records into landing
    zones; without one there are none. Read anew when it changes (``runtime/transfers/template.py``)."""
    transfer_slots: int = Field(default=4, ge=1, le=100)
    """How many such Jobs may run at the same time for each organization and environment of Zoho CRM."""
    extraction_lag: Seconds = 120.0
    """How long after the end of a window it is read: longer than Zoho CRM takes to show a change."""
    extraction_lead: Seconds | None = Field(default=None, validate_default=True)
    """How long before Platform picks files up their window ends, in whole seconds; default: a third of the
    dataflow's interval, from 5 to 15 minutes."""
    zoho_credit_reserve: float = Field(default=0.2, ge=0, lt=1)
    """Share of an organization's daily credits of Zoho CRM that is left to others."""
    bulk_read_rows: int = Field(default=40_000, ge=1)
    """From how many rows on a window is read by Bulk Read, which waits in a queue of Zoho CRM; fewer rows are
    read by COQL. By default where Bulk Read begins to cost fewer credits."""
    shutdown_grace: Seconds = 20.0
    """How long running passes may go on after SIGTERM before they are cut off."""
    leader_election: bool = False
    """Whether replicas agree by a Lease on the one that works. Left out, they do when running in a Pod."""
    lease_name: Annotated[
        str, _Matching(r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$", "the name of a Kubernetes object")
    ] = "crmflow"
    """Name of that Lease, in the operator's own namespace."""
    lease_duration: Seconds = 15.0
    """How long after the leader's last renewal another replica takes over."""
    lease_renew_deadline: Seconds = Field(default=10.0, validate_default=True)
    """How long after its last renewal was sent the leader may act; shorter than the Lease's duration. One
    request for the Lease may take half of it."""
    lease_retry_period: Seconds = Field(default=2.0, validate_default=True)
    """How often the leader renews the Lease and the others look at it; at most half of the deadline."""
    kubernetes_timeout: Seconds = 30.0
    """How long any other request to the API server may take."""
    takeover_after: Seconds = 120.0
    """How long the Lease of another installation has to be without a holder that renews it before the
    resources that it serves are taken over; longer than a restart takes."""
    pod_name: str | None = None
    """Name of the operator's Pod, which becomes part of its identity in the Lease; default: the host name."""
    pod_namespace: Annotated[str, _NAMESPACE] | None = None
    """The operator's own namespace, where it stores tokens; default: that of its ServiceAccount."""
    listen: Annotated[
        str,
        _Matching(
            r"^(\[[0-9A-Fa-f:.]+\]|[^\s:\[\]]*):[0-9]{1,5}$",
            "an address such as :8080, 127.0.0.1:8080 or [::1]:8080",
        ),
        AfterValidator(_port),
    ] = ":8080"
    """Address of /healthz, /readyz and /metrics, an IPv6 one in brackets; every address, of IPv4 and IPv6,
    where only a port is given."""
    listen_file: str | None = None
    """File to write the bound address into; useful with port 0."""
    log_format: Annotated[str, _Matching("^(json|text)$", "json or text")] = "json"
    """``json`` for machines, ``text`` for people."""
    log_level: Annotated[
        str, _Matching("^(DEBUG|INFO|WARNING|ERROR)$", "DEBUG, INFO, WARNING or ERROR, in capitals")
    ] = "INFO"
    """Least level that is logged."""

    @field_validator("lease_renew_deadline")
    @classmethod
    def _ends_before_the_lease(cls, value: float, given: ValidationInfo) -> float:
        duration = given.data.get("lease_duration", math.inf)
        if value >= duration:
            raise ValueError(f"must be shorter than {PREFIX}LEASE_DURATION ({duration:g}s)")
        return value

    @field_validator("lease_retry_period")
    @classmethod
    def _comes_twice_before_the_deadline(cls, value: float, given: ValidationInfo) -> float:
        deadline = given.data.get("lease_renew_deadline", math.inf)
        if value > deadline / 2:
            raise ValueError(f"must be at most half of {PREFIX}LEASE_RENEW_DEADLINE ({deadline:g}s)")
        return value

    @field_validator("extraction_lead")
    @classmethod
    def _comes_after_the_lag(cls, value: float | None, given: ValidationInfo) -> float | None:
        lag = given.data.get("extraction_lag", 0)
        if value is None and lag >= _LEAST_LEAD:
            raise ValueError(
                f"must be set, and longer than {PREFIX}EXTRACTION_LAG ({lag:g}s): by default it may be "
                f"{_LEAST_LEAD:g}s"
            )
        if value is not None and value <= lag:
            raise ValueError(f"must be longer than {PREFIX}EXTRACTION_LAG ({lag:g}s)")
        if value is not None and value % 1:
            raise ValueError("must be in whole seconds")
        return value

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


def unknown_settings(environment: Mapping[str, str] = os.environ) -> list[str]:
    """What to say of each variable that begins like a setting and is none: as good as never set."""
    known = [name.upper() for name in Settings.model_fields]
    found = []
    for name in sorted(environment):
        setting = name.removeprefix(PREFIX)
        if setting in (name, *known, *_OTHERS) or _SERVICE_LINK.search(name):
            continue
        meant = difflib.get_close_matches(setting, known, n=1)
        hint = f"; {PREFIX}{meant[0]} may be meant" if meant else ""
        found.append(f"{name} is no setting of this version and has no effect{hint}")
    return found


def setting_errors(error: ValidationError, environment: Mapping[str, str] = os.environ) -> list[SettingError]:
    """What is wrong with each setting, with its variable and its value, and what the setting is."""
    found = []
    for problem in error.errors(include_input=False, include_url=False, include_context=False):
        field = str(problem["loc"][0])
        variable = PREFIX + field.upper()
        what = (Settings.model_fields[field].description or "").split(".", maxsplit=1)[0]
        found.append(
            SettingError(
                variable,
                environment.get(variable),
                problem["msg"].removeprefix("Value error, "),
                f"It is: {' '.join(what.replace('``', '').split())}",
            )
        )
    return found
