"""The quickstart, word for word, in a copy of the repository; and, in the demo that runs then, every other
command that the pages show a reader.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from hack import terminals
from hack.install import ROOT
from tests.kit.doc_commands import documented, quickstart, reason

CHANGES = 2
"""Status of ``kubectl crmflow plan`` where there are changes."""


class Walk:
    """Somebody in a shell, in a clone."""

    def __init__(self, clone: Path) -> None:
        self.clone = clone

    def types(self, *commands: str, with_demo: bool = True) -> subprocess.CompletedProcess[str]:
        """What comes of these commands, typed one after the other in one shell."""
        typed = [". build/demo/environment"] if with_demo else []
        variables = {name: value for name, value in os.environ.items() if name != "KUBECONFIG"}
        return subprocess.run(
            ["bash", "-c", "\n".join(["set -o pipefail", *typed, *commands])],
            cwd=self.clone,
            env=variables,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )


@pytest.fixture
def walk(tmp_path: Path) -> Iterator[Walk]:
    """A copy of what is committed or about to be, with the environment that is installed already."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    clone = tmp_path / "crmflow"
    for name in names:
        if (ROOT / name).is_file():
            (clone / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, clone / name)  # make compares the times
    (clone / ".venv").symlink_to(ROOT / ".venv")
    walk = Walk(clone)
    yield walk
    walk.types("make demo-down", with_demo=False)


def assert_drawn(name: str, svg: str) -> None:
    assert (terminals.PICTURES / f"{name}.svg").read_text() == svg, f"run make terminals: {name}.svg"


def test_the_quickstart_and_what_other_pages_say(walk: Walk) -> None:
    start, look, plan, change, broken, mend, end = quickstart()

    demo = walk.types(*start, with_demo=False)
    assert demo.returncode == 0, demo.stderr
    assert_drawn("demo", terminals.demo_picture(demo.stdout))
    looked = walk.types(*look)
    assert looked.returncode == 0, looked.stderr

    tried = [command for command in documented() if reason(command) is None]
    outcomes = {command: walk.types(command.in_the_demo) for command in tried}
    assert [
        (command.page, command.in_the_demo, outcome.stderr)
        for command, outcome in outcomes.items()
        if outcome.returncode
    ] == []

    planned = walk.types(*plan)
    assert planned.returncode == CHANGES, planned.stderr
    for commands in (change, broken[:-1]):
        done = walk.types(*commands)
        assert done.returncode == 0, done.stderr
    examined = walk.types(broken[-1])
    assert examined.returncode == 1
    assert "SecretNotFound" in examined.stdout
    for commands in (mend, end[:-1]):
        done = walk.types(*commands)
        assert done.returncode == 0, done.stderr
    assert walk.types("kubectl get crmflow").stdout == ""
    down = walk.types(end[-1])
    assert down.returncode == 0, down.stderr


def test_the_pictures_show_what_the_plugin_prints(walk: Walk) -> None:
    (start, *_) = quickstart()
    demo = walk.types(*start, with_demo=False)
    assert demo.returncode == 0, demo.stderr
    for name, svg in terminals.plugin_pictures(walk.clone):
        assert_drawn(name, svg)
