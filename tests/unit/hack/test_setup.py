"""A missing prerequisite is named together with its fix."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from hack.install import ROOT


def _setup(tmp_path: Path, python: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": "/usr/bin:/bin", "PYTHON": python}
    command = ["sh", str(ROOT / "hack" / "setup.sh"), str(tmp_path / "venv")]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def _fake_python(tmp_path: Path, script: str) -> str:
    path = tmp_path / "fake-python"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize("script", [None, "exit 1"], ids=["missing", "too old"])
def test_no_usable_python(tmp_path: Path, script: str | None) -> None:
    python = _fake_python(tmp_path, script) if script else str(tmp_path / "absent")
    answer = _setup(tmp_path, python)
    assert answer.returncode == 1
    assert "no Python ≥ 3.11 found" in answer.stderr
    assert "PYTHON=/path/to/python3" in answer.stderr


def test_no_venv_module(tmp_path: Path) -> None:
    python = _fake_python(tmp_path, 'case "$2" in *ensurepip*) exit 1 ;; esac')
    answer = _setup(tmp_path, python)
    assert answer.returncode == 1
    assert "apt-get install python3-venv" in answer.stderr


def test_it_names_the_python_that_it_would_use(tmp_path: Path) -> None:
    python = _fake_python(tmp_path, "exit 0")
    command = ["sh", str(ROOT / "hack" / "setup.sh"), "--python"]
    environment = {"PATH": "/usr/bin:/bin", "PYTHON": python}
    answer = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert answer.stdout.strip() == python
