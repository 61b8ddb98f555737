"""What the demo needs is prepared side by side, and a failure is told with the end of its log."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from hack.console import ToolError
from hack.prepare import parts, prepare


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_parts_run_at_once_and_their_commands_one_after_the_other(tmp_path: Path) -> None:
    meet = f"""
import pathlib, sys, time
pathlib.Path({str(tmp_path)!r}, sys.argv[1]).touch()
while not pathlib.Path({str(tmp_path)!r}, sys.argv[2]).exists():
    time.sleep(0.01)
"""
    one, other = [*python(meet), "one", "other"], [*python(meet), "other", "one"]
    count = f"""
import pathlib
here = pathlib.Path({str(tmp_path)!r})
(here / "order").write_text(str(len(list(here.glob("o*")))))
"""
    after = python(count)
    prepare({"One": [one, after], "Other": [other]}, tmp_path / "logs")
    assert (tmp_path / "order").read_text() == "2"


def test_a_failure_is_told_with_its_log(tmp_path: Path) -> None:
    failing = python("print('no route to host'); raise SystemExit(3)")
    never = python(f"open({str(tmp_path / 'ran')!r}, 'w')")
    with pytest.raises(ToolError, match=r"no route to host\nGo programs failed: .*go-programs\.log"):
        prepare({"Go programs": [failing, never], "Other": [python("pass")]}, tmp_path / "logs")
    assert not (tmp_path / "ran").exists()


def test_a_cluster_of_ones_own_needs_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLUSTER", "current")
    assert list(parts("python3")) == ["Python packages"]
    monkeypatch.delenv("CLUSTER")
    assert "Kubernetes" in parts("python3")
