"""The ``crmflow`` command."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import crmflow
from crmflow import __main__
from crmflow.clock import Clock
from crmflow.environment import SettingError
from crmflow.observability import logs
from crmflow.runtime import app
from crmflow.runtime.kubernetes.leader import LeadershipLostError
from crmflow.settings import Settings


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("CRMFLOW_"):
            monkeypatch.delenv(name)
    monkeypatch.setattr(logs, "configure", lambda *_: None)


class FakeApplication:
    """Notes what it was made of, and ends as it is told."""

    ends_with: Exception | None = None
    settings: Settings | None = None

    def __init__(self, settings: Settings, clock: Clock) -> None:
        type(self).settings = settings

    async def run(self) -> None:
        if self.ends_with is not None:
            raise self.ends_with


@pytest.fixture
def application(monkeypatch: pytest.MonkeyPatch) -> type[FakeApplication]:
    class Fresh(FakeApplication):
        pass

    monkeypatch.setattr(app, "Application", Fresh)
    return Fresh


def test_run_runs_the_operator_with_its_settings(
    application: type[FakeApplication], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CRMFLOW_WORKERS", "3")
    assert __main__.main(["run"]) == 0
    assert application.settings is not None
    assert application.settings.workers == 3


def test_an_operator_that_can_not_go_on_ends_with_a_trace(
    application: type[FakeApplication], caplog: pytest.LogCaptureFixture
) -> None:
    application.ends_with = RuntimeError("the watch can't go on")
    assert __main__.main(["run"]) == 1
    assert "the operator ends" in caplog.text
    assert "the watch can't go on" in caplog.text


def test_an_operator_that_lost_its_lease_says_so_in_one_line(
    application: type[FakeApplication], caplog: pytest.LogCaptureFixture
) -> None:
    application.ends_with = LeadershipLostError("somebody else has taken the Lease")
    assert __main__.main(["run"]) == 1
    [record] = caplog.records
    assert "somebody else has taken the Lease" in record.getMessage()
    assert record.exc_info is None


def test_bad_settings_are_all_named_with_their_values_but_not_a_password(
    application: type[FakeApplication], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CRMFLOW_WORKERS", "many")
    monkeypatch.setenv("CRMFLOW_IMS_URL", "ftp://user:hunter2@ims.example")
    assert __main__.main(["run"]) == 2
    error = capsys.readouterr().err
    assert [line.split(":")[0] for line in error.splitlines()] == [
        'CRMFLOW_IMS_URL="ftp',
        'CRMFLOW_WORKERS="many"',
    ]
    assert "hunter2" not in error
    assert application.settings is None


def test_a_setting_that_turns_out_to_be_unusable_ends_it_in_one_line(
    application: type[FakeApplication], caplog: pytest.LogCaptureFixture
) -> None:
    application.ends_with = SettingError(
        "CRMFLOW_LISTEN", ":8080", "another process listens there", "Stop it"
    )
    assert __main__.main(["run"]) == 2
    [record] = caplog.records
    assert 'CRMFLOW_LISTEN=":8080": another process listens there. Stop it.' in record.getMessage()
    assert record.exc_info is None


@pytest.mark.parametrize("arguments", [[], ["unknown"], ["run", "--unknown"]])
def test_a_wrong_command_line_ends_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        __main__.main(arguments)
    assert raised.value.code == 2
    assert "usage: crmflow" in capsys.readouterr().err


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        __main__.main(["--version"])
    assert raised.value.code == 0
    assert capsys.readouterr().out == f"crmflow {crmflow.__version__}\n"


def test_help_needs_neither_kopf_nor_the_kubernetes_client() -> None:
    code = (
        "import sys\n"
        "from crmflow.__main__ import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "sys.exit(sum(name in sys.modules for name in ('kopf', 'kubernetes', 'httpx', 'aiohttp')))\n"
    )
    package = Path(crmflow.__file__).parent.parent
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(package)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, "run the operator" in done.stdout) == (0, True), done.stdout + done.stderr
