"""Which namespace may use which sandbox of which organization, where that was decided for the cluster.

Without a list every namespace may use what its Secrets open. With one, a sandbox needs both: a credential,
and an entry of the list that names the namespace, the organization and the sandbox.
"""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Pattern = Annotated[str, Field(min_length=1, max_length=253)]
"""A name in which ``*`` stands for any characters, also none."""
Patterns = Annotated[tuple[Pattern, ...], Field(min_length=1)]


class Tenant(BaseModel):
    """Namespaces, and what each of them may use. All three have to fit."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    namespaces: Patterns
    """Names of namespaces."""
    organizations: Patterns
    """IMS organization IDs, as in ``spec.platform.organization``."""
    sandboxes: Patterns
    """Names of sandboxes, as in ``spec.platform.sandbox``."""


class TenancyList(BaseModel):
    """All entries; one that fits is enough, and without any nobody may use anything."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    tenants: tuple[Tenant, ...]
    """The entries, in any order."""

    def allows(self, namespace: str, organization: str, sandbox: str) -> bool:
        """Whether an entry lets ``namespace`` use the sandbox."""
        return any(
            _fits(namespace, tenant.namespaces)
            and _fits(organization, tenant.organizations)
            and _fits(sandbox, tenant.sandboxes)
            for tenant in self.tenants
        )


def everybody(_namespace: str, _organization: str, _sandbox: str) -> bool:
    """The rule where there is no list."""
    return True


def _fits(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
