"""What kubectl takes on its command line to choose a cluster; nothing slow is imported here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class ClusterOptions(NamedTuple):
    """Which cluster and namespace, and who asks; None is what the kubeconfig says."""

    kubeconfig: str | None = None
    context: str | None = None
    namespace: str | None = None
    cluster: str | None = None
    user: str | None = None
    server: str | None = None
    tls_server_name: str | None = None
    certificate_authority: str | None = None
    insecure_skip_tls_verify: bool = False
    client_certificate: str | None = None
    client_key: str | None = None
    token: str | None = None
    as_user: str | None = None
    as_group: tuple[str, ...] = ()
    as_uid: str | None = None
    as_user_extra: tuple[str, ...] = ()
    request_timeout: str | None = None

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> ClusterOptions:
        """From a command line's values; other names are not looked at."""
        values = {name: given[name] for name in cls._fields if given.get(name)}
        repeated = {name: tuple(value) for name, value in values.items() if isinstance(value, list)}
        return HERE._replace(**{**values, **repeated})


HERE = ClusterOptions()
"""The cluster and namespace of the kubeconfig's context."""
