"""Objects of one kind as they were last seen, by listings, a watch and the answers to own writes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Generic, Protocol, TypeVar

Object = Mapping[str, Any]


class Known(Protocol):
    """What is kept of an object."""

    @property
    def name(self) -> str: ...
    @property
    def version(self) -> int: ...
    @property
    def has_ended(self) -> bool: ...
    @property
    def trouble(self) -> str: ...


K = TypeVar("K", bound=Known)


class Store(Generic[K]):
    """All objects of the kind, by name."""

    def __init__(self, read: Callable[[Object], K | None], news: Callable[[K], None]) -> None:
        """``read`` gives what is kept of an object, None for one that is none of ours. ``news`` is told of
        one that has ended, is gone before it has, or says another trouble.
        """
        self._read = read
        self._news = news
        self._known: dict[str, K] = {}

    def see(self, obj: Object) -> None:
        """Take an object over, unless a newer state of it is known."""
        now = self._read(obj)
        if now is None:
            return
        before = self._known.get(now.name)
        if before is not None and before.version >= now.version:
            return
        self._known[now.name] = now
        if (now.has_ended, now.trouble) != ((before.has_ended, before.trouble) if before else (False, "")):
            self._news(now)

    def gone(self, name: str) -> None:
        """An object is not there any more."""
        before = self._known.pop(name, None)
        if before is not None and not before.has_ended:
            self._news(before)

    def listed(self, version: str, objects: Iterable[Object]) -> None:
        """Take over a complete listing. What was made since it began is not part of it, and stays."""
        present = {obj["metadata"]["name"]: obj for obj in objects}
        for name, known in list(self._known.items()):
            if name not in present and known.version <= int(version):
                self.gone(name)
        for obj in present.values():
            self.see(obj)

    def get(self, name: str) -> K | None:
        """What is known of the object of that name."""
        return self._known.get(name)

    def all(self) -> Sequence[K]:
        """What is known of every object."""
        return list(self._known.values())
