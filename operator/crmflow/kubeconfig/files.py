"""The files: found, read, and merged as kubectl merges them.

Of two files that say the same thing the first one counts, and a relative path belongs to the file that names
it (https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator

from crmflow.environment import SettingError, reason

_DEFAULT = Path(".kube", "config")

T = TypeVar("T")


class _Part(BaseModel):
    """A part of the file. Unknown fields are ignored, as by kubectl; null counts as absent."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: item for key, item in value.items() if item is not None}
        return {} if value is None else value


class Extension(_Part):
    """Data of another program."""

    name: str = ""
    extension: Any = None


class ClusterEntry(_Part):
    """How to reach an API server."""

    server: str = ""
    tls_server_name: str = Field("", alias="tls-server-name")
    insecure: bool = Field(False, alias="insecure-skip-tls-verify")
    authority: str = Field("", alias="certificate-authority")
    authority_data: str = Field("", alias="certificate-authority-data")
    proxy_url: str = Field("", alias="proxy-url")
    extensions: tuple[Extension, ...] = ()


class Variable(_Part):
    """A variable of an exec plugin's environment."""

    name: str = ""
    value: str = ""


class Exec(_Part):
    """A program that gives credentials (https://kubernetes.io/docs/reference/access-authn-authz/authentication/)."""

    api_version: str = Field("", alias="apiVersion")
    command: str = ""
    args: tuple[str, ...] = ()
    env: tuple[Variable, ...] = ()
    install_hint: str = Field("", alias="installHint")
    provide_cluster_info: bool = Field(False, alias="provideClusterInfo")
    interactive_mode: str = Field("", alias="interactiveMode")


class AuthProvider(_Part):
    """The forerunner of exec plugins."""

    name: str = ""
    config: Mapping[str, str] = Field(default_factory=dict, repr=False)


class UserEntry(_Part):
    """Who asks, and as whom."""

    certificate: str = Field("", alias="client-certificate")
    certificate_data: str = Field("", alias="client-certificate-data", repr=False)
    key: str = Field("", alias="client-key")
    key_data: SecretStr = Field(SecretStr(""), alias="client-key-data")
    token: SecretStr = SecretStr("")
    token_file: str = Field("", alias="tokenFile")
    username: str = ""
    password: SecretStr = SecretStr("")
    as_user: str = Field("", alias="as")
    as_uid: str = Field("", alias="as-uid")
    as_groups: tuple[str, ...] = Field((), alias="as-groups")
    as_user_extra: Mapping[str, tuple[str, ...]] = Field(default_factory=dict, alias="as-user-extra")
    exec: Exec | None = None
    auth_provider: AuthProvider | None = Field(None, alias="auth-provider")


class Context(_Part):
    """A cluster, a user and a namespace, by their names."""

    cluster: str = ""
    user: str = ""
    namespace: str = ""


class _NamedCluster(_Part):
    name: str = ""
    cluster: ClusterEntry = ClusterEntry()


class _NamedUser(_Part):
    name: str = ""
    user: UserEntry = UserEntry()


class _NamedContext(_Part):
    name: str = ""
    context: Context = Context()


class _File(_Part):
    api_version: Literal["", "v1"] = Field("", alias="apiVersion")
    kind: Literal["", "Config"] = ""
    current_context: str = Field("", alias="current-context")
    clusters: tuple[_NamedCluster, ...] = ()
    users: tuple[_NamedUser, ...] = ()
    contexts: tuple[_NamedContext, ...] = ()


@dataclass(frozen=True)
class KubeconfigOrigin:
    """Where the files were looked for: the setting, and what it says."""

    name: str
    value: str | None

    def error(self, problem: str, advice: str = "") -> SettingError:
        """The kubeconfig can't be used."""
        return SettingError(self.name, self.value, problem, advice)


@dataclass
class Kubeconfig:
    """All files, merged."""

    origin: KubeconfigOrigin
    current_context: str = ""
    clusters: dict[str, ClusterEntry] = field(default_factory=dict)
    users: dict[str, UserEntry] = field(default_factory=dict)
    contexts: dict[str, Context] = field(default_factory=dict)
    found: bool = False
    """Whether there was a file at all."""
    paths: tuple[Path, ...] = ()
    """Where it was looked for."""

    @classmethod
    def load(cls, file: str | None, environ: Mapping[str, str]) -> Self:
        """``--kubeconfig``, else those of KUBECONFIG that exist, else the one in the home.

        Raises SettingError for a file that can't be used, and if ``file`` does not exist.
        """
        if file:
            config = cls(KubeconfigOrigin("--kubeconfig", file))
            paths = [Path(file)]
        elif environ.get("KUBECONFIG"):
            config = cls(KubeconfigOrigin("KUBECONFIG", environ["KUBECONFIG"]))
            paths = [Path(path) for path in environ["KUBECONFIG"].split(os.pathsep) if path]
        else:
            home = environ.get("HOME") or environ.get("USERPROFILE")
            config = cls(KubeconfigOrigin("KUBECONFIG", None))
            paths = [Path(home) / _DEFAULT] if home else []
        config.paths = tuple(paths)
        for path in paths:
            try:
                content = path.read_text(encoding="utf-8-sig")
            except FileNotFoundError:
                if file:
                    raise config.origin.error("the file does not exist", "Name one that exists") from None
            except (OSError, UnicodeDecodeError) as error:
                why = reason(error) if isinstance(error, OSError) else "it is not text"
                raise config.origin.error(f"{path} can't be read: {why}") from None
            else:
                config._add(path, content)
        return config

    def _add(self, path: Path, content: str) -> None:
        try:
            parsed = _File.model_validate(yaml.safe_load(content))
            clusters = _by_name(parsed.clusters, lambda entry: (entry.name, entry.cluster))
            users = _by_name(parsed.users, lambda entry: (entry.name, entry.user))
            contexts = _by_name(parsed.contexts, lambda entry: (entry.name, entry.context))
        except (yaml.YAMLError, ValidationError, ValueError, RecursionError) as error:
            # Not chained and not quoted: the text may hold credentials.
            raise self.origin.error(f"{path} is not a kubeconfig: {_explain(error)}", "Correct it") from None
        directory = path.absolute().parent
        self.found = True
        self.current_context = self.current_context or parsed.current_context
        self.clusters = {**_placed(clusters, directory, ("authority",)), **self.clusters}
        users = {name: _with_command(user, directory) for name, user in users.items()}
        self.users = {**_placed(users, directory, ("certificate", "key", "token_file")), **self.users}
        self.contexts = {**contexts, **self.contexts}


class _DuplicateError(ValueError):
    """Two entries of one list have one name."""


def _by_name(entries: Sequence[Any], of: Callable[[Any], tuple[str, T]]) -> dict[str, T]:
    found: dict[str, T] = {}
    for entry in entries:
        name, value = of(entry)
        if name in found:
            raise _DuplicateError(f'the name "{name}" is given twice')
        found[name] = value
    return found


M = TypeVar("M", bound=_Part)


def _placed(entries: dict[str, M], directory: Path, names: tuple[str, ...]) -> dict[str, M]:
    """The entries with their paths made absolute."""
    return {
        key: entry.model_copy(
            update={name: str(directory / path) for name in names if (path := getattr(entry, name))}
        )
        for key, entry in entries.items()
    }


def _with_command(user: UserEntry, directory: Path) -> UserEntry:
    """A command with a slash in it is a path, another one is looked for in PATH."""
    if user.exec is None or os.sep not in user.exec.command:
        return user
    command = str(directory / user.exec.command)
    return user.model_copy(update={"exec": user.exec.model_copy(update={"command": command})})


def _explain(error: Exception) -> str:
    if isinstance(error, ValidationError):
        problem = error.errors(include_input=False, include_url=False, include_context=False)[0]
        where = ".".join(str(part) for part in problem["loc"])
        return f"{where}: {problem['msg']}" if where else problem["msg"]
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f"line {error.problem_mark.line + 1} is not YAML"
    return str(error) if isinstance(error, _DuplicateError) else "it is not YAML"
