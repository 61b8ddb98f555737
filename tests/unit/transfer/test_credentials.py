"""Credentials that are renewed while they are used."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from crmflow.http.errors import ErrorClass, RemoteError
from crmflow.observability.redaction import redact
from crmflow.transfer.credentials import CredentialRefusedError, Credentials
from crmflow.transfer.report import ExitCode, TransferError
from tests.unit.transfer.clock import RunningClock


def refused(reason: str) -> RemoteError:
    return RemoteError("Service", "call", ErrorClass.TERMINAL, reason, "its own words", status=401)


class Service:
    """Takes one credential."""

    def __init__(self, good: str, reason: str = "TokenRejected") -> None:
        self.good, self.reason = good, reason
        self.seen: list[str] = []

    async def __call__(self, secret: SecretStr) -> str:
        self.seen.append(secret.get_secret_value())
        if self.seen[-1] != self.good:
            raise refused(self.reason)
        return "done"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "accessToken").write_text("token-one\n")
    (tmp_path / "sasUri").write_text("https://x.test/c?sv=1&sig=s1gnature%2B")
    return tmp_path


async def test_a_credential_is_read_before_each_use(folder: Path) -> None:
    credentials, service = Credentials(folder, RunningClock()), Service("token-one")
    assert await credentials.with_token(service) == "done"
    (folder / "accessToken").write_text("token-two")
    service.good = "token-two"
    assert await credentials.with_token(service) == "done"
    assert service.seen == ["token-one", "token-two"]


@pytest.mark.parametrize("reason", ["TokenRejected", "AccessRefused"])
async def test_a_refused_token_is_waited_out(folder: Path, reason: str) -> None:
    def slept() -> None:
        if clock.passed >= 90:
            (folder / "accessToken").write_text("token-two")

    clock, service = RunningClock(slept), Service("token-two", reason)
    assert await Credentials(folder, clock).with_token(service) == "done"
    assert service.seen == ["token-one", "token-two"]
    assert 90 <= clock.passed < 95


async def test_where_none_comes_the_exit_status_says_which_was_refused(folder: Path) -> None:
    clock = RunningClock()
    credentials = Credentials(folder, clock)
    with pytest.raises(CredentialRefusedError) as token:
        await credentials.with_token(Service("another"))
    assert 120 <= clock.passed < 125
    with pytest.raises(CredentialRefusedError) as sas:
        await credentials.with_sas(Service("another", "LandingZoneRefused"))
    assert (token.value.exit_code, sas.value.exit_code) == (ExitCode.ZOHO_TOKEN, ExitCode.SAS)
    assert token.value.error.message == "its own words"


@pytest.mark.parametrize("reason", ["ScopeMissing", "PermissionDenied", "RateLimited"])
async def test_what_another_token_does_not_cure_is_told_at_once(folder: Path, reason: str) -> None:
    clock = RunningClock()
    with pytest.raises(RemoteError) as raised:
        await Credentials(folder, clock).with_token(Service("another", reason))
    assert (raised.value.reason, clock.passed) == (reason, 0)


async def test_they_are_known_to_be_secret(folder: Path) -> None:
    credentials = Credentials(folder, RunningClock())
    await credentials.with_token(Service("token-one"))
    await credentials.with_sas(Service((folder / "sasUri").read_text()))
    assert "one" not in redact("a token-one and s1gnature+ here").replace("none", "")
    assert "s1gnature" not in redact("a token-one and s1gnature+ here")


async def test_a_secret_without_the_file(tmp_path: Path) -> None:
    with pytest.raises(TransferError) as raised:
        await Credentials(tmp_path, RunningClock()).with_token(Service("x"))
    assert raised.value.exit_code == ExitCode.DECLARATION
    assert "accessToken" in raised.value.message
