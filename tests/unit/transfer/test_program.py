"""``crmflow transfer`` as a process: arguments, exit status, report, and what it keeps to itself."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from crmflow import __main__
from crmflow.transfer import program
from crmflow.transfer.report import ExitCode
from tests.unit.transfer.declared import declaration

TOKEN, SIGNATURE = "1000.abcdef.123456", "c2lnbmF0dXJl"


class Remote(ThreadingHTTPServer):
    """Zoho and the landing zone in one: counts no rows; hangs with a page of rows if ``hang`` is set."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.hang = False
        self.asked = Event()
        self.release = Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Remote
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer(404)

    def do_POST(self) -> None:
        query = json.loads(self.rfile.read(int(self.headers["content-length"])))["select_query"]
        if "COUNT" in query:
            self._answer(200, {"data": [{"COUNT(id)": 0}]})
            return
        self.server.asked.set()
        if self.server.hang:
            self.server.release.wait(30)
        self._answer(204)

    def _answer(self, status: int, body: Any = None) -> None:
        content = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        if status != 204:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def remote() -> Iterator[Remote]:
    with Remote() as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.release.set()
        server.shutdown()


@pytest.fixture
def credentials(tmp_path: Path, remote: Remote) -> Path:
    (tmp_path / "accessToken").write_text(TOKEN)
    (tmp_path / "sasUri").write_text(f"{remote.url}/container?sv=1&sig={SIGNATURE}")
    return tmp_path


def command(remote: Remote, credentials: Path) -> list[str]:
    return [
        "transfer",
        f"--declaration={declaration(zohoApiUrl=remote.url, way='COQL')}",
        f"--credentials={credentials}",
        f"--report={credentials / 'report'}",
    ]


def report(credentials: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((credentials / "report").read_text())
    return found


def test_a_window_without_rows(remote: Remote, credentials: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "crmflow", *command(remote, credentials)],
        env={**os.environ, "PYTHONPATH": "operator", "CRMFLOW_LOG_LEVEL": "DEBUG"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = report(credentials)
    assert (found["reason"], found["exitCode"], found["credits"]) == ("NothingNew", 0, 3)
    told = done.stdout + done.stderr + json.dumps(found)
    assert TOKEN not in told
    assert SIGNATURE not in told


def test_sigterm(remote: Remote, credentials: Path) -> None:
    remote.hang = True
    process = subprocess.Popen(
        [sys.executable, "-m", "crmflow", *command(remote, credentials)],
        env={**os.environ, "PYTHONPATH": "operator"},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert remote.asked.wait(60)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=10)
    finally:
        process.kill()
    assert (process.returncode, report(credentials)["reason"]) == (ExitCode.RETRY, "Terminated")


def test_a_declaration_that_is_not_understood(tmp_path: Path) -> None:
    assert program.run('{"formVersion": 9}', tmp_path, tmp_path / "report") == ExitCode.DECLARATION
    found = report(tmp_path)
    assert (found["reason"], found["exitCode"]) == ("DeclarationNotUnderstood", 30)
    assert found["message"].startswith("the declaration can't be read: formVersion:")


def test_a_folder_without_the_secret(tmp_path: Path) -> None:
    assert program.run(declaration(), tmp_path, tmp_path / "report") == ExitCode.DECLARATION
    assert report(tmp_path)["reason"] == "CredentialFileUnreadable"


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "container?sig={}",
        "/container?sig={}",
        "https:///container?sig={}",
        "https://host:port/container?sig={}",
        "https://host:99999/container?sig={}",
        "https://[::1/container?sig={}",
        "https://ho st/container?sig={}",
        "ftp://host/container?sig={}",
    ],
)
def test_a_sas_uri_that_is_no_address_is_for_the_operator_to_renew(
    remote: Remote, credentials: Path, caplog: pytest.LogCaptureFixture, uri: str
) -> None:
    (credentials / "sasUri").write_text(uri.format(SIGNATURE))
    wanted = declaration(zohoApiUrl=remote.url, way="COQL")
    assert program.run(wanted, credentials, credentials / "report") == ExitCode.SAS
    found = report(credentials)
    assert "the SAS URI of the landing zone is no address" in found["message"]
    assert SIGNATURE not in json.dumps(found) + caplog.text


@pytest.mark.parametrize("file", ["sasUri", "accessToken"])
def test_a_credential_that_is_no_text(remote: Remote, credentials: Path, file: str) -> None:
    (credentials / file).write_bytes(b"\xff\xfe")
    wanted = declaration(zohoApiUrl=remote.url, way="COQL")
    assert program.run(wanted, credentials, credentials / "report") == ExitCode.DECLARATION
    assert report(credentials)["reason"] == "CredentialFileUnreadable"


def test_an_error_that_nobody_expected_is_told_without_its_text(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    row = "Jane,Doe,jane@example.com"

    async def fails(*_: Any) -> None:
        try:
            raise KeyError(row)
        except KeyError as error:
            raise RuntimeError(f"{TOKEN} https://host/container?sig={SIGNATURE}", row) from error

    monkeypatch.setattr(program, "_transfer", fails)
    assert program.run(declaration(), tmp_path, tmp_path / "report") == ExitCode.BUG
    [record] = [record for record in caplog.records if hasattr(record, "places")]
    assert record.places[0] == "RuntimeError"
    assert "KeyError" in record.places
    told = caplog.text + str([vars(record) for record in caplog.records]) + str(capfd.readouterr())
    told += (tmp_path / "report").read_text()
    assert not [secret for secret in (row, "jane@example.com", TOKEN, SIGNATURE) if secret in told]


def test_a_report_that_can_not_be_written_is_no_other_outcome(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert program.run("{}", tmp_path, tmp_path / "nowhere" / "report") == ExitCode.DECLARATION
    assert "the report can't be written" in caplog.text


def test_a_setting_that_can_not_be_used(
    remote: Remote, credentials: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CRMFLOW_LOG_LEVEL", "LOUD")
    assert __main__.main(command(remote, credentials)) == ExitCode.DECLARATION
    assert "CRMFLOW_LOG_LEVEL" in report(credentials)["message"]


def test_what_must_be_given(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        __main__.main(["transfer"])
    assert "--declaration" in capsys.readouterr().err
