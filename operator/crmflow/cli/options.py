"""What can be said on the command line, one class per command; the help texts are in ``crmflow.cli.main``."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from crmflow.kubeconfig.options import HERE, ClusterOptions


class Format(StrEnum):
    """How a command writes for programs; for people it writes tables."""

    JSON = "json"
    YAML = "yaml"


class PlanFormat(StrEnum):
    """How a plan is written, beside the table for people."""

    JSON = "json"
    YAML = "yaml"
    MARKDOWN = "markdown"
    """For a comment of a pull request."""


@dataclass(frozen=True)
class AuthorizeOptions:
    """``kubectl crmflow authorize``."""

    name: str
    cluster: ClusterOptions = HERE
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


@dataclass(frozen=True)
class ExploreOptions:
    """``kubectl crmflow explore``."""

    name: str
    cluster: ClusterOptions = HERE
    table: str | None = None
    preview: bool = False
    rows: int = 10
    columns: tuple[str, ...] = ()
    output: Format | None = None


@dataclass(frozen=True)
class AllowlistOptions:
    """``kubectl crmflow allowlist``: a connection's name, or a region, or the namespace's only connection."""

    name: str | None = None
    region: str | None = None
    cluster: ClusterOptions = HERE
    output: Format | None = None


@dataclass(frozen=True)
class DoctorOptions:
    """``kubectl crmflow doctor``: without a name, every connection of the namespace."""

    name: str | None = None
    cluster: ClusterOptions = HERE
    live: bool = False
    report: str | None = None
    output: Format | None = None


@dataclass(frozen=True)
class ApproveOptions:
    """``kubectl crmflow approve``: ``yes`` answers the question, and so does the hash of a ``plan``."""

    name: str
    cluster: ClusterOptions = HERE
    yes: bool = False
    plan: str | None = None


@dataclass(frozen=True)
class StatusOptions:
    """``kubectl crmflow status``: without name and selector, everything of the namespace."""

    name: str | None = None
    cluster: ClusterOptions = HERE
    everywhere: bool = False
    selector: str | None = None
    watch: bool = False
    runs: int = 3
    output: Format | None = None


@dataclass(frozen=True)
class ErrorsOptions:
    """``kubectl crmflow errors``: without ``run``, the newest run that has refused something."""

    name: str
    cluster: ClusterOptions = HERE
    run: str | None = None
    rows: int = 10
    output: Format | None = None


@dataclass(frozen=True)
class PlanOptions:
    """``kubectl crmflow plan``: a resource of the cluster by its name, or the manifests of files."""

    name: str | None = None
    files: tuple[str, ...] = ()
    delete: bool = False
    instance: str | None = None
    cluster: ClusterOptions = HERE
    output: PlanFormat | None = None


@dataclass(frozen=True)
class ImportOptions:
    """``kubectl crmflow import``."""

    credentials: str
    organization: str
    sandbox: str
    cluster: ClusterOptions = HERE
    zoho_credentials: str = "zoho-oauth"
    data_center: str | None = None
    connection: str | None = None
    tables: tuple[str, ...] = ()
    """``FLOW=TABLE``."""
    folder: str | None = None
    overwrite: bool = False
    instance: str | None = None


@dataclass(frozen=True)
class NewDataflowOptions:
    """``kubectl crmflow new dataflow``."""

    connection: str
    table: str
    cluster: ClusterOptions = HERE
    schema: str | None = None
    dataset: str | None = None
    name: str | None = None
    file: str | None = None
