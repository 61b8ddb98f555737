"""What is asked at the terminal, and the browser that is opened from it."""

from __future__ import annotations

import io
import os
import pty
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from crmflow.cli.terminal import ask_secret, open_browser
from crmflow.observability.redaction import redact
from hack.install import ROOT

_ASK = (
    "import asyncio\n"
    "from crmflow.cli.terminal import ask_secret\n"
    "async def main(): print(len(ask_secret('Grant token').get_secret_value()))\n"
    "asyncio.run(main())\n"
)


def test_a_line_of_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("  a-secret-of-no-shape \nnext\n"))
    answer = ask_secret("Grant token")
    assert answer.get_secret_value() == "a-secret-of-no-shape"
    assert "a-secret-of-no-shape" not in redact("it is a-secret-of-no-shape")


class Terminal:
    """A program at a terminal of its own."""

    def __init__(self, code: str) -> None:
        self._ours, theirs = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": str(ROOT / "operator")},
            preexec_fn=lambda: os.close(os.open(os.ttyname(0), os.O_RDWR)),  # makes it the controlling one
        )
        os.close(theirs)
        self.shown = ""

    def wait_for(self, text: str, seconds: float = 30) -> None:
        """Read until the terminal shows it."""
        deadline = time.monotonic() + seconds
        while text not in self.shown:
            assert time.monotonic() < deadline, self.shown
            try:
                self.shown += os.read(self._ours, 4096).decode()
            except OSError:  # the other end is closed
                break
        assert text in self.shown

    def type(self, text: str) -> None:
        """Press keys."""
        os.write(self._ours, text.encode())


def test_what_is_typed_does_not_show() -> None:
    terminal = Terminal(_ASK)
    terminal.wait_for("Grant token: ")
    terminal.type("1000.aaaa.bbbb\n")
    terminal.wait_for("14")
    assert terminal.process.wait(30) == 0
    assert "1000" not in terminal.shown


@pytest.mark.parametrize(
    ("typed", "answer"), [("yes", True), ("Y", True), ("no", False), ("", False), ("yes please", False)]
)
def test_only_a_yes_is_a_yes(typed: str, answer: bool) -> None:
    terminal = Terminal("from crmflow.cli.terminal import *\nprint(can_ask(), confirm('Approve it?'))")
    terminal.wait_for("Approve it? (yes/no): ")
    terminal.type(f"{typed}\n")
    terminal.wait_for(f"True {answer}")


def test_ctrl_c_ends_the_question_at_once() -> None:
    terminal = Terminal(_ASK)
    terminal.wait_for("Grant token: ")
    terminal.type("\x03")
    assert terminal.process.wait(30) != 0


@pytest.fixture
def browser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A browser that writes down what it is to open, and is noisy."""
    script, opened = tmp_path / "browser", tmp_path / "opened"
    script.write_text(f'#!/bin/sh\necho noise\nprintf %s "$1" > {opened}\n')
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("BROWSER", str(script))
    return opened


def test_the_browser_gets_the_address(browser: Path, capfd: pytest.CaptureFixture[str]) -> None:
    url = "http://localhost/oauth/v2/auth?scope=a,b&state=x%2F'\"; $HOME"
    assert open_browser(url)
    assert browser.read_text() == url
    assert capfd.readouterr() == ("", "")


def test_without_a_display_there_is_no_browser(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    assert not open_browser("http://localhost/")
