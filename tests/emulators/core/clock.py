"""The emulators' side of the one clock: the only writer of the offset file that everybody else reads."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path


class EmulatorClock:
    """Wall-clock seconds plus an offset that the control API may change.

    The offset is kept in ``offset_file`` as a plain number of seconds, replaced atomically, so that a reader
    (``crmflow.clock.Clock``) sees either the old or the new number. An offset found there at start is kept.
    """

    def __init__(self, offset_file: Path | None = None) -> None:
        self.offset_file = offset_file
        self._offset = _read(offset_file)
        self._write()

    @property
    def offset(self) -> float:
        """Seconds added to the system's clock."""
        return self._offset

    def now(self) -> float:
        """Seconds since the epoch."""
        return time.time() + self._offset

    def advance(self, seconds: float) -> None:
        """Let ``seconds`` pass at once."""
        self.set_offset(self._offset + seconds)

    def set_offset(self, seconds: float) -> None:
        """Stand ``seconds`` away from the system's clock."""
        self._offset = seconds
        self._write()

    def _write(self) -> None:
        if self.offset_file is None:
            return
        write_atomically(self.offset_file, f"{self._offset}\n")


def write_atomically(path: Path, text: str) -> None:
    """Replace ``path`` by ``text`` in one step, so that no reader sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    Path(temporary).replace(path)


def _read(path: Path | None) -> float:
    try:
        return float(path.read_text()) if path else 0.0
    except (OSError, ValueError):
        return 0.0
