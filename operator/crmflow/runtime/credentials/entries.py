"""Who uses which credential. What no connection uses any more is let go, and its secrets with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar


@dataclass(eq=False, repr=False)
class Entry:
    """What is there once, and shared by the connections that use it. A connection is named as
    ``namespace/name``.
    """

    named_by: set[str] = field(default_factory=set, init=False)
    """Connections whose Secret names it, be it accepted or not: what was refused is remembered."""
    used_by: set[str] = field(default_factory=set, init=False)
    """Connections that last got a token with it."""

    @property
    def users(self) -> set[str]:
        """Both."""
        return self.named_by | self.used_by


E = TypeVar("E", bound=Entry)


class Users(Generic[E]):
    """The connections, and the entries of one kind that each has to do with: two while a Secret that was
    changed is refused.
    """

    def __init__(self, let_go: Callable[[E], None]) -> None:
        """``let_go`` drops an entry that the last connection has left."""
        self._let_go = let_go
        self.named: dict[str, E] = {}
        """What each connection's Secret named last; to be changed by :meth:`name`."""
        self.used: dict[str, E] = {}
        """What each connection last got a token with; to be changed by :meth:`use`."""

    def name(self, connection: str, entry: E) -> None:
        """The connection's Secret names ``entry``."""
        before, self.named[connection] = self.named.get(connection), entry
        self._settle(connection, before, entry)

    def use(self, connection: str, entry: E) -> None:
        """The connection got a token with ``entry``."""
        before, self.used[connection] = self.used.get(connection), entry
        self._settle(connection, before, entry)

    def forget(self, connection: str) -> None:
        """The connection is gone."""
        self._settle(connection, self.named.pop(connection, None), self.used.pop(connection, None))

    def _settle(self, connection: str, *entries: E | None) -> None:
        for entry in {entry for entry in entries if entry is not None}:
            for users, entries_of in ((entry.named_by, self.named), (entry.used_by, self.used)):
                (users.add if entries_of.get(connection) is entry else users.discard)(connection)
            if not entry.users:
                self._let_go(entry)
