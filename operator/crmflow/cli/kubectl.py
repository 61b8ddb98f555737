"""kubectl's own options, which every command takes behind its name."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any, get_type_hints

import typer

from crmflow.kubeconfig.options import ClusterOptions

_PANEL = "Options of kubectl"


def _option(*names: str, text: str, **more: Any) -> Any:
    return typer.Option(*names, help=text, rich_help_panel=_PANEL, show_default=False, **more)


_Text = str | None

_OPTIONS: dict[str, Any] = {
    "namespace": Annotated[
        _Text,
        _option("--namespace", "-n", text="Its namespace. Default: that of the kubeconfig's context."),
    ],
    "kubeconfig": Annotated[_Text, _option("--kubeconfig", text="The kubeconfig file to use.")],
    "context": Annotated[_Text, _option("--context", text="The kubeconfig's context to use.")],
    "cluster": Annotated[_Text, _option("--cluster", text="The kubeconfig's cluster to use.")],
    "user": Annotated[_Text, _option("--user", text="The kubeconfig's user to use.")],
    "as_user": Annotated[_Text, _option("--as", text="User to impersonate.")],
    "as_group": Annotated[
        list[str] | None,
        _option("--as-group", text="Group to impersonate; may be given more than once."),
    ],
    "as_uid": Annotated[_Text, _option("--as-uid", text="UID to impersonate.")],
    "as_user_extra": Annotated[
        list[str] | None,
        _option("--as-user-extra", text="KEY=VALUE to impersonate; may be given more than once."),
    ],
    "server": Annotated[_Text, _option("--server", "-s", text="The address of the API server.")],
    "tls_server_name": Annotated[
        _Text, _option("--tls-server-name", text="The name in the API server's certificate.")
    ],
    "certificate_authority": Annotated[
        _Text, _option("--certificate-authority", text="File with the certificate authorities to trust.")
    ],
    "insecure_skip_tls_verify": Annotated[
        bool, _option("--insecure-skip-tls-verify", text="Don't check the API server's certificate.")
    ],
    "client_certificate": Annotated[
        _Text, _option("--client-certificate", text="File with your certificate.")
    ],
    "client_key": Annotated[_Text, _option("--client-key", text="File with its key.")],
    "token": Annotated[
        _Text,
        _option("--token", text="Your token. Everybody on this machine can see it there."),
    ],
    "request_timeout": Annotated[
        _Text,
        _option(
            "--request-timeout", text="How long a request may take, such as 1m; 0: no limit. Default: 30s."
        ),
    ],
}
"""The fields of ClusterOptions, as they are written on the command line."""


def chooses_cluster(command: Callable[..., None]) -> Callable[..., None]:
    """Let a command that takes ``cluster`` take kubectl's options in place of it."""
    hints = get_type_hints(command, include_extras=True)
    own = [
        parameter.replace(annotation=hints[name], kind=inspect.Parameter.KEYWORD_ONLY)
        for name, parameter in inspect.signature(command).parameters.items()
        if name != "cluster"
    ]
    kubectls = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=ClusterOptions._field_defaults[name] or None,
            annotation=annotation,
        )
        for name, annotation in _OPTIONS.items()
    ]

    @functools.wraps(command)
    def taking(**given: Any) -> None:
        chosen = {name: given.pop(name) for name in _OPTIONS}
        command(**given, cluster=ClusterOptions.of(chosen))

    parameters = own + kubectls
    taking.__signature__ = inspect.Signature(parameters, return_annotation=None)  # type: ignore[attr-defined]
    taking.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return taking
