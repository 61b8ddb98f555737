"""What an operator asks of others, with everything taken out that differs from one run to the next."""

from __future__ import annotations

import re
from dataclasses import dataclass

KUBERNETES, BLOB = "kubernetes", "blob"
READS = frozenset({"GET", "HEAD", "OPTIONS"})

_OBJECT = re.compile(r"(/namespaces/)[^/]+(/[^/]+)(?:/[^/]+)?")
_FILE = re.compile(r"^/[^/]+(/[^/]+)(?:/.+)?")
_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{16,}|https%3A[^/]+", re.IGNORECASE)


@dataclass(frozen=True, order=True)
class Call:
    """A kind of request: ``service`` is ``kubernetes`` or the emulator's listener, or what asks in front of
    it if it is not the operator; ``path`` has no ids.
    """

    service: str
    method: str
    path: str

    @classmethod
    def of(cls, service: str, method: str, path: str) -> Call:
        """The kind that a request belongs to; ``path`` is without the query."""
        if service == KUBERNETES:
            path = _OBJECT.sub(_anonymous, path)
        elif service == BLOB:
            path = _FILE.sub(_anonymous_file, path)
        return cls(service, method, _ID.sub("{id}", path))

    @property
    def is_kubernetes(self) -> bool:
        """True for the API server, false for Zoho and Adobe."""
        return self.service == KUBERNETES

    @property
    def is_read(self) -> bool:
        """True if nothing can change by it."""
        return self.method in READS or self.path.endswith("/coql")

    def __str__(self) -> str:
        return f"{self.service} {self.method} {self.path}"


def _anonymous(match: re.Match[str]) -> str:
    """``/namespaces/a/crmdataflows/b`` without ``a`` and ``b``; what follows, as ``/status``, stays."""
    kind = f"{match[1]}{{namespace}}{match[2]}"
    has_name = match[0].count("/") > kind.count("/")
    return f"{kind}/{{name}}" if has_name else kind


def _anonymous_file(match: re.Match[str]) -> str:
    """``/account/container/folder/file`` without the account, and without folder and file."""
    return f"/{{account}}{match[1]}" + ("/{file}" if match.end() > match.end(1) else "")
