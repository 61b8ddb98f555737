"""What the tools tell the person in front of them: one line per step, and what a long step is waiting for."""

from __future__ import annotations

import sys
import time
from types import TracebackType

# Off a terminal a line that rewrites itself is unreadable, so progress becomes an occasional line of its own.
_PLAIN_INTERVAL_SECONDS = 15.0
_TERMINAL_INTERVAL_SECONDS = 0.2


class ToolError(Exception):
    """A failure the person can cure: the message says what is wrong and how to fix it."""


def say(text: str) -> None:
    """Print one line at once, also into a pipe."""
    print(text, file=sys.stderr, flush=True)


class Step:
    """A step that takes a while: shows its title, what it waits for, and how long it took.

    Use it as a context manager and call :meth:`update` as often as there is news; it throttles itself.
    """

    def __init__(self, title: str) -> None:
        self._title = title
        self._terminal = sys.stderr.isatty()
        self._started = self._shown = time.monotonic()

    def __enter__(self) -> Step:
        self._show("")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._show("done" if kind is None else "FAILED", end="\n")

    def update(self, waiting_for: str) -> None:
        """Show what the step is waiting for now."""
        interval = _TERMINAL_INTERVAL_SECONDS if self._terminal else _PLAIN_INTERVAL_SECONDS
        if time.monotonic() - self._shown >= interval:
            self._show(waiting_for)

    def _show(self, text: str, end: str = "") -> None:
        self._shown = time.monotonic()
        line = f"{self._title} … [{self._shown - self._started:.0f} s] {text}".rstrip()
        if self._terminal:
            sys.stderr.write(f"\r\x1b[K{line[:150]}{end}")
        else:
            sys.stderr.write(f"{line}\n")
        sys.stderr.flush()
