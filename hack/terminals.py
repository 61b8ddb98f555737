"""Pictures of the terminal for the documentation: ``python -m hack.terminals``.

Runs the demo and then commands of the quickstart, and draws what they print as SVG. Ids, ages and times are
replaced by fixed ones, so that a picture changes only with what it shows.
"""

from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from uuid import UUID

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

from hack.console import ToolError, say
from hack.demo import environment
from hack.demo.report import REMOTE_TITLE
from hack.install import ROOT

PICTURES = ROOT / "docs" / "images" / "terminal"
_WIDTH = 132
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_FIXED = (
    (re.compile(r"(?<=:)[0-9a-f]{2}(?=…)"), "08"),
    (re.compile(r"\b(?!1970)\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"), "2026-11-30T09:15:00Z"),
    (re.compile(r"(for|in) \d+[smhd]\b"), r"\1 20m"),
    (re.compile(r"\d+[smhd] ago"), "20m ago"),
    (re.compile(r"(?<= )\d+[sm](?:\d+s)? *$", re.MULTILINE), "20s"),
    (re.compile(r"build/demo/contacts\.yaml"), "contacts.yaml"),
)
_WEB_FONTS = re.compile(r"@font-face \{\{.*?\}\}\s*", re.DOTALL)

SCENES = {
    "status": ("kubectl crmflow status", ()),
    "plan": (
        "kubectl crmflow plan -f build/demo/contacts.yaml",
        ("sed 's/value: zoho/value: Zoho CRM/' deploy/demo/4-crmdataflow.yaml > build/demo/contacts.yaml",),
    ),
    "doctor": (
        "kubectl crmflow doctor zoho-eu",
        (
            "kubectl delete secret zoho-oauth",
            "kubectl wait zohosourceconnection/zoho-eu --for=condition=Ready=False --timeout=60s",
        ),
    ),
}
"""What is shown of the plugin in the demo, and what the quickstart does before."""


def demo_picture(printed: str) -> str:
    """What ``make demo`` printed, up to what has no place in a picture."""
    return picture("demo", "make demo", printed.partition(f"\n{REMOTE_TITLE}")[0])


def plugin_pictures(folder: Path) -> Iterator[tuple[str, str]]:
    """Name and SVG of each scene, played in the demo that runs in ``folder``."""
    for name, (command, preparation) in SCENES.items():
        for step in preparation:
            _in_terminal(step, folder)
        yield name, picture(name, command, _in_terminal(command, folder))


def picture(name: str, command: str, printed: str) -> str:
    """A terminal with a command and what it printed, as SVG that loads nothing."""
    console = Console(record=True, width=_WIDTH, file=io.StringIO(), force_terminal=True)
    console.print(Text.assemble(("$ ", "green"), (_fixed(command), "bold")))
    console.print(Text.from_ansi(_fixed(printed.replace("\r\n", "\n").strip("\n"))), soft_wrap=False)
    form = _WEB_FONTS.sub("", CONSOLE_SVG_FORMAT)
    svg = console.export_svg(title="", code_format=form, theme=MONOKAI, unique_id=f"crmflow-{name}")
    return "\n".join(line.rstrip() for line in svg.splitlines()) + "\n"


def _fixed(text: str) -> str:
    """``text`` with ids, ages and times that stay the same."""
    numbers: dict[str, str] = {}
    counter = count(0x1F00000001)

    def numbered(found: re.Match[str]) -> str:
        return numbers.setdefault(found[0], str(UUID(int=next(counter) << 80 | 0x4A118000 << 48 | 0xC0FFEE)))

    text = _UUID.sub(numbered, text)
    for varies, fixed in _FIXED:
        text = varies.sub(fixed, text)
    return text


def _in_terminal(command: str, folder: Path) -> str:
    """What a person sees of a command. Raises ToolError if it can't be run."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, _WIDTH, 0, 0))
    script = f". {environment.SHELL.relative_to(ROOT)} && {command}"
    variables = {**os.environ, "TERM": "xterm-256color", "COLUMNS": str(_WIDTH)}
    with subprocess.Popen(
        ["bash", "-c", script], cwd=folder, env=variables, stdin=theirs, stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        printed = b"".join(iter(lambda: _read(ours), b"")).decode()
    os.close(ours)
    if process.returncode in (126, 127):
        raise ToolError(printed)
    return printed


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # Linux tells the end of a terminal in this way
        return b""


def main() -> int:
    """Play everything and write the pictures."""
    try:
        _draw()
    except ToolError as error:
        say(f"error: {error}")
        return 1
    finally:
        environment.stop()
    return 0


def _draw() -> None:
    demo = [sys.executable, "-m", "hack.demo", "up"]
    shown = subprocess.run(demo, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    if shown.returncode:
        raise ToolError("the demo failed: the lines above say why")
    PICTURES.mkdir(parents=True, exist_ok=True)
    for name, svg in [("demo", demo_picture(shown.stdout)), *plugin_pictures(ROOT)]:
        (PICTURES / f"{name}.svg").write_text(svg, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
