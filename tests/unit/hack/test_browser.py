"""Where the browser of the browser tests comes from."""

from __future__ import annotations

from pathlib import Path

import pytest

from hack import browser
from hack.console import ToolError


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder of the PATH."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CHROMIUM", raising=False)
    return tmp_path


def program(path: Path) -> str:
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return str(path)


def test_debians_is_found(path: Path) -> None:
    program(path / "google-chrome")
    chromium = program(path / "chromium")
    assert browser.find_browser() == chromium


def test_another_may_be_named(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(path / "chromium")
    monkeypatch.setenv("CHROMIUM", program(path / "mine"))
    assert browser.find_browser() == str(path / "mine")


def test_without_one_the_fix_is_named(path: Path) -> None:
    with pytest.raises(ToolError, match="apt-get install chromium"):
        browser.find_browser()


def test_only_root_installs(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    program(path / "apt-get")
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert browser.main() == 1
    assert "CHROMIUM=" in capsys.readouterr().err


def test_root_installs(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    apt = path / "apt-get"
    made = f"{path}/chromium"
    apt.write_text(
        f'#!/bin/sh\necho "$@" >> {path}/log\n[ "$2" = update ] || {{ : > {made}; /bin/chmod 755 {made}; }}\n'
    )
    apt.chmod(0o755)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert browser.main() == 0
    assert capsys.readouterr().out == f"{path / 'chromium'}\n"
    assert [line.split()[1] for line in (path / "log").read_text().splitlines()] == ["update", "install"]
