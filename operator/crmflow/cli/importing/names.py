"""Names of resources, made of what people called the objects that they are to stand for."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection

LONGEST = 63
"""Shorter than Kubernetes asks for: it stays readable in a terminal, and fits into labels."""
_SUFFIX_LENGTH = 8


def resource_name(text: str, otherwise: str, remote_id: str, taken: Collection[str]) -> str:
    """The name of a resource: ``text`` in the letters that Kubernetes allows, or ``otherwise`` where nothing
    of it is left. If that is ``taken``, the beginning of the object's id tells them apart.
    """
    name = _plain(text)[:LONGEST].strip("-") or otherwise
    if name not in taken:
        return name
    digits = _plain(remote_id).replace("-", "")
    for length in range(_SUFFIX_LENGTH, max(len(digits), _SUFFIX_LENGTH) + 1):
        suffix = digits[:length]
        longer = f"{name[: LONGEST - len(suffix) - 1].strip('-')}-{suffix}"
        if longer not in taken:
            return longer
    raise ValueError(f"two objects have the id {remote_id}")


def _plain(text: str) -> str:
    """Lower-case letters, digits and single hyphens."""
    ascii_letters = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", ascii_letters).strip("-")
