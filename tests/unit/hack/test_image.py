"""How the image is built, with what is installed."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from hack.console import ToolError
from hack.image import command, find_builder
from hack.install import ROOT


def _install(folder: Path, name: str, status: int) -> None:
    tool = folder / name
    tool.write_text(f"#!/bin/sh\nexit {status}\n")
    tool.chmod(tool.stat().st_mode | stat.S_IXUSR)


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder on the PATH, empty."""
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def test_docker_is_taken_if_its_daemon_answers(path: Path) -> None:
    _install(path, "docker", 0)
    _install(path, "buildah", 0)
    assert find_builder() == ["docker", "build"]


def test_buildah_is_taken_if_no_daemon_answers(path: Path) -> None:
    _install(path, "docker", 1)
    _install(path, "buildah", 0)
    assert find_builder() == ["buildah", "build"]


def test_without_either_it_says_what_to_install(path: Path) -> None:
    _install(path, "docker", 1)
    with pytest.raises(ToolError, match="apt-get install buildah"):
        find_builder()


def test_the_base_is_the_dockerfiles_unless_another_is_named() -> None:
    plain = command(["docker", "build"], "crmflow:1", None)
    assert plain == ["docker", "build", "--file", f"{ROOT}/Dockerfile", "--tag", "crmflow:1", str(ROOT)]
    other = command(["buildah", "build"], "crmflow:1", "mirror.example.com/python:3.11")
    assert other[-3:] == ["--build-arg", "PYTHON_IMAGE=mirror.example.com/python:3.11", str(ROOT)]
