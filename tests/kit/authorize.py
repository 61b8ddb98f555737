"""``kubectl crmflow authorize`` as a process, and a person who does at Zoho what a browser would do."""

from __future__ import annotations

import os
import re
import signal
import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Self

import httpx

from hack.install import ROOT
from tests.kit import prefork

_URL = re.compile(r"^(http\S+/oauth/v2/auth\?\S+)$", re.MULTILINE)
_WAITING = "Waiting for the answer"
_SECONDS = 60.0


class Authorize:
    """One run of the command. ``stdin`` is what is piped into it; nothing is a terminal."""

    def __init__(
        self, arguments: list[str], environment: Mapping[str, str], stdin: str | None = None
    ) -> None:
        self._process = prefork.ForkedPlugin(
            ["authorize", *arguments], env={**_bare_environment(), **environment}, cwd=ROOT
        )
        self.stdout, self.stderr = "", ""
        self._news = threading.Condition()
        self._reading = 2
        self._readers = [
            threading.Thread(target=self._read, args=(name,), daemon=True) for name in ("stdout", "stderr")
        ]
        for reader in self._readers:
            reader.start()
        if stdin is not None:
            self.type(stdin)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.close()

    def type(self, text: str) -> None:
        """Give it a line, and no more."""
        self._process.stdin.write(text + "\n")
        self._process.stdin.close()

    @property
    def url(self) -> str:
        """The address that it sends the person to, as soon as an answer is waited for."""
        self._wait_for(_WAITING)
        return self._found_url()

    @property
    def shown_url(self) -> str:
        """The same where the person is to paste the answer."""
        self._wait_for("\n\n")
        return self._found_url()

    def consent(self, account: str, decision: str = "accept") -> str:
        """Decide on Zoho's page; returns where that sends the browser."""
        return decide(self.url, account, decision)

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        self._process.send_signal(signal.SIGINT)

    def finish(self) -> int:
        """Wait for its end; the exit status."""
        status = self._process.wait(_SECONDS)
        for reader in self._readers:
            reader.join(_SECONDS)
        return status

    @property
    def output(self) -> str:
        """Everything that the person has seen."""
        return self.stdout + self.stderr

    def _found_url(self) -> str:
        found = _URL.search(self.stderr)
        assert found is not None, self.stderr
        return found[1]

    def _wait_for(self, text: str) -> None:
        with self._news:
            came = self._news.wait_for(
                lambda: text in self.stderr or not self._reading,
                _SECONDS,
            )
        assert came, f"no {text!r} in: {self.stderr}"
        assert text in self.stderr, self.stderr

    def _read(self, name: str) -> None:
        stream = getattr(self._process, name)
        while text := os.read(stream.fileno(), 65536).decode():
            with self._news:
                setattr(self, name, getattr(self, name) + text)
                self._news.notify_all()
        with self._news:
            self._reading -= 1
            self._news.notify_all()


def decide(url: str, account: str, decision: str = "accept") -> str:
    """What the buttons of the consent page do; returns where that sends the browser."""
    page = httpx.get(url, trust_env=False)
    assert page.status_code == 200, page.text
    answer = httpx.post(url, data={"account": account, "decision": decision}, trust_env=False)
    assert answer.status_code == 302, answer.text
    return answer.headers["location"]


def follow(address: str) -> httpx.Response:
    """Let the browser go there."""
    return httpx.get(address, timeout=_SECONDS, trust_env=False)


def _bare_environment() -> dict[str, str]:
    """Without a display there is no browser to open, without KUBECONFIG no other cluster."""
    unwanted = {"DISPLAY", "WAYLAND_DISPLAY", "BROWSER", "KUBECONFIG"}
    return {name: value for name, value in os.environ.items() if name not in unwanted}
