"""What the operator and its Jobs ask of others, with everything taken out that differs from one run to the
next.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

KUBERNETES, PLATFORM, BLOB = "kubernetes", "platform", "blob"
READS = frozenset({"GET", "HEAD", "OPTIONS"})

_OBJECT = re.compile(r"(/namespaces/)[^/]+(/[^/]+)(?:/[^/]+)?")
_FILE = re.compile(r"^/[^/]+(/[^/]+)(?:/.+)?")
_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{16,}|https%3A[^/]+", re.IGNORECASE)


class Caller(StrEnum):
    """Who asks, and dies."""

    OPERATOR = "operator"
    JOB = "job"
    """The process of a transfer."""


@dataclass(frozen=True, order=True)
class Call:
    """A kind of request: ``service`` is ``kubernetes`` or the emulator's listener, ``path`` has no ids."""

    service: str
    method: str
    path: str
    caller: Caller = Caller.OPERATOR

    @classmethod
    def of(
        cls, service: str, method: str, path: str, *, comp: str = "", caller: Caller = Caller.OPERATOR
    ) -> Call:
        """The kind that a request belongs to. ``path`` is without the query; ``comp`` is the part of it that
        says what is asked of Azure.
        """
        if service == KUBERNETES:
            path = _OBJECT.sub(_anonymous, path)
        elif service == BLOB:
            path = _FILE.sub(_anonymous_file, path) + (f"?comp={comp}" if comp else "")
        return cls(service, method, _ID.sub("{id}", path), caller)

    @property
    def is_kubernetes(self) -> bool:
        """True for the API server, false for Zoho and Adobe."""
        return self.service == KUBERNETES

    @property
    def is_read(self) -> bool:
        """True if nothing can change by it."""
        return self.method in READS or self.path.endswith("/coql")

    def __str__(self) -> str:
        by = "" if self.caller is Caller.OPERATOR else f"{self.caller} "
        return f"{by}{self.service} {self.method} {self.path}"


def _anonymous(match: re.Match[str]) -> str:
    """``/namespaces/a/crmdataflows/b`` without ``a`` and ``b``; what follows, as ``/status``, stays."""
    kind = f"{match[1]}{{namespace}}{match[2]}"
    has_name = match[0].count("/") > kind.count("/")
    return f"{kind}/{{name}}" if has_name else kind


def _anonymous_file(match: re.Match[str]) -> str:
    """``/account/container/folder/file`` without the account, and without folder and file."""
    return f"/{{account}}{match[1]}" + ("/{file}" if match.end() > match.end(1) else "")
