"""Who a remote object belongs to, written so that it can be found again.

Every remote object carries a lookup key, a bracket at the end of its name, that depends only on the
installation and on the resource's kind, namespace and name: a cluster rebuilt from Git finds its objects
again. The description holds a second line that verifies a hit. Nothing that a user writes can break or forge
either.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

REMOTE_NAME_LENGTH = 100
"""Longest remote name that we make; no limit is published, and the UI shows about as much."""

_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f,"\[\]\u2028\u2029]+')
"""Commas mean OR in Flow Service filters, quotes delimit their values (platform.md 3), brackets delimit our
key.
"""


class Slot(str):
    """A place for one remote object of a resource, as lookup keys and intents name it.

    A later ``revision`` is a place of its own beside the first one, so that a successor can exist before what
    it replaces is gone. Revision 0 is the name alone.
    """

    __slots__ = ("name", "revision")
    name: str
    revision: int

    def __new__(cls, name: str, revision: int = 0) -> Slot:
        slot = super().__new__(cls, f"{name}.{revision}" if revision else name)
        slot.name, slot.revision = name, revision
        return slot


@dataclass(frozen=True)
class Identity:
    """A resource, seen from outside the cluster."""

    instance: str
    kind: str
    namespace: str
    name: str
    uid: str

    def __str__(self) -> str:
        """As messages name the resource within its cluster."""
        return f"{self.kind}/{self.namespace}/{self.name}"

    def key(self, slot: str) -> str:
        """The bracket that marks this resource's object in ``slot``."""
        text = "\n".join((self.instance, self.kind, self.namespace, self.name, slot))
        return f"[crmflow:{self.instance}:{hashlib.sha256(text.encode()).hexdigest()[:16]}]"

    def remote_name(self, display_name: str | None, slot: str) -> str:
        """``{display name} [crmflow:{instance}:{hash}]``, at most 100 characters."""
        key = self.key(slot)
        room = REMOTE_NAME_LENGTH - len(key) - 1
        return f"{plain_name(display_name or self.default_display_name, room)} {key}"

    def description(self, text: str | None) -> str:
        """The user's text, and a last line that names the owner."""
        own = f"managed by crmflow {self.instance} {self.namespace}/{self.name} {self.uid}"
        return f"{text.strip()}\n{own}" if text and text.strip() else own

    @property
    def default_display_name(self) -> str:
        """What a resource without ``displayName`` is called remotely."""
        return f"{self.namespace}.{self.name}"


def plain_name(text: str, length: int = REMOTE_NAME_LENGTH) -> str:
    """``text`` without characters that mean something in names, folded, cut to ``length``."""
    folded = re.sub(r"\s+", " ", _FORBIDDEN.sub(" ", text)).strip()
    return (folded[:length].rstrip() or "crmflow")[:length]


def mapping_set_name(instance: str, content_hash: str) -> str:
    """Mapping sets are named by their content, so that equal ones can be shared."""
    return f"crmflow:{instance}:{content_hash}"


def content_hash_in(name: str) -> str:
    """What :func:`mapping_set_name` was made of."""
    return name.rpartition(":")[2]
