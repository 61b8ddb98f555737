"""The person's terminal: what is told, what is asked, and the browser that is opened from it.

Everything for people goes to standard error: standard output is for what may be piped on.
"""

from __future__ import annotations

import getpass
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from pydantic import SecretStr

from crmflow.observability.redaction import register

_BROWSER_SECONDS = 10.0


def say(text: str) -> None:
    """Tell the person something."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def ask_secret(prompt: str) -> SecretStr:
    """One line from the terminal without echo, or from standard input when that is no terminal."""
    if sys.stdin.isatty():
        with _interruptible():
            line = getpass.getpass(f"{prompt}: ")
    else:
        line = sys.stdin.readline()
    register(line.strip())
    return SecretStr(line.strip())


def can_ask() -> bool:
    """Whether a person is there to answer a question."""
    return sys.stdin.isatty()


def confirm(question: str) -> bool:
    """Whether the person says yes; anything else is a no."""
    sys.stderr.write(f"{question} (yes/no): ")
    sys.stderr.flush()
    with _interruptible():
        answer = sys.stdin.readline()
    return answer.strip().lower() in ("y", "yes")


def open_browser(url: str) -> bool:
    """Open ``url`` in the person's browser; False where there is none to open."""
    # Without a display only text browsers are left, which would take the terminal over.
    has_display = sys.platform in ("darwin", "win32") or any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
    )
    if not has_display:
        return False
    try:
        # A process of its own: browsers write to the standard output that they inherit.
        opened = subprocess.run(  # noqa: S603 - our own interpreter; the URL is one argument
            [sys.executable, "-m", "webbrowser", url],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_BROWSER_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return opened.returncode == 0


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let Ctrl-C end a prompt at once: asyncio would only note it, and go on waiting."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
