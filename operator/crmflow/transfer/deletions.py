"""Deleted records of a window, as few bytes as they can be: there may be a million."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator


class Deletions:
    """Ids, which are numbers of at most 64 bits (zoho.md 3). One that has a living row is left out: it was
    restored, or never gone.
    """

    def __init__(self, identifiers: Iterable[int] = ()) -> None:
        self._ids = array("Q", sorted(identifiers))
        self._lives = bytearray(len(self._ids))

    def __bool__(self) -> bool:
        return bool(self._ids)

    def saw(self, identifier: str | bytes) -> None:
        """There is a living row with this id."""
        number = int(identifier)
        at = bisect_left(self._ids, number)
        if at < len(self._ids) and self._ids[at] == number:
            self._lives[at] = 1

    def __iter__(self) -> Iterator[str]:
        """The ids that have no living row."""
        before = None
        for number, lives in zip(self._ids, self._lives, strict=True):
            if not lives and number != before:
                yield str(number)
            before = number
