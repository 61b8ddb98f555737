"""What can be said on the command line of ``kubectl crmflow authorize``."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class AuthorizeOptions:
    """One field per option, as it was typed; the help texts stand in ``crmflow.cli.main``."""

    name: str
    namespace: str | None = None
    kubeconfig: str | None = None
    context: str | None = None
    redirect_uri: str | None = None
    paste: bool = False
    grant_token: bool = False
    print_only: bool = False
    scopes: str | None = None
    client_id: str | None = None
    client_secret_file: str | None = None
    client_data_center: str | None = None
    browser: bool = True
    timeout: str = "10m"
