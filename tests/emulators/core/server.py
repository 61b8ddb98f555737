"""Six loopback listeners in one process."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from tests.emulators import zoho
from tests.emulators.aep import seed_data
from tests.emulators.aep.app import platform_app
from tests.emulators.aep.control import control_routes as aep_control_routes
from tests.emulators.aep.ims import app as ims_app
from tests.emulators.aep.ingestion.runs import Ingestion
from tests.emulators.aep.state import AepState
from tests.emulators.blob.proxy import blob_app
from tests.emulators.blob.state import BlobState
from tests.emulators.core.clock import EmulatorClock
from tests.emulators.core.control import Shared, State, control_app
from tests.emulators.core.faults import Faults
from tests.emulators.core.recorder import Recorder

_GRACE_SECONDS = 0.5


class Emulators:
    """Zoho and AEP on free ports, from ``async with`` to its end.

    ``clock_file`` is where the clock's offset is kept, ``exchanges_file`` gets every exchange as a JSON line.
    """

    def __init__(
        self,
        *,
        clock_file: Path | None = None,
        exchanges_file: Path | None = None,
        host: str = "127.0.0.1",
    ) -> None:
        self.host = host
        self.clock = EmulatorClock(clock_file)
        self.recorder = Recorder(exchanges_file)
        self.faults = Faults()
        self.zoho = zoho.ZohoState(self.clock.now)
        self.blob = BlobState(self.clock.now)
        self.aep = AepState(self.clock.now, zoho.ZohoAsSource(self.zoho), self.blob)
        self.aep.runner = Ingestion(self.aep)
        self.blob.before_request = self.aep.runner.settle
        self.urls: dict[str, str] = {}
        self._runners: list[web.AppRunner] = []

    @property
    def platform_url(self) -> str:
        """Stands for https://platform.adobe.io."""
        return self.urls["platform"]

    @property
    def ims_url(self) -> str:
        """Stands for https://ims-na1.adobelogin.com."""
        return self.urls["ims"]

    @property
    def zoho_accounts_url(self) -> str:
        """Stands for the accounts host of the seeded data center."""
        return self.urls["zoho-accounts"]

    @property
    def zoho_api_url(self) -> str:
        """Stands for the API domain of the seeded data center."""
        return self.urls["zoho-api"]

    @property
    def blob_url(self) -> str:
        """Stands for https://{account}.blob.core.windows.net, the account being the first part of a path."""
        return self.urls["blob"]

    @property
    def control_url(self) -> str:
        """The control API, which stands for nothing real."""
        return self.urls["control"]

    def info(self) -> dict[str, Any]:
        """What ``make emulators`` prints: addresses and seeded credentials."""
        file = self.recorder.file
        clock_file = self.clock.offset_file
        return {
            "platformUrl": self.platform_url,
            "imsUrl": self.ims_url,
            "zohoAccountsUrl": self.zoho_accounts_url,
            "zohoApiUrl": self.zoho_api_url,
            "blobUrl": self.blob_url,
            "controlUrl": self.control_url,
            "zohoAccountsUrlTemplate": self.zoho_accounts_url + "/dc/{dc}",
            "zohoApiUrlTemplate": self.zoho_api_url + "/dc/{dc}/{env}",
            "clockFile": str(clock_file) if clock_file else None,
            "exchangesFile": str(file) if file else None,
            "platform": {
                "clientId": seed_data.CLIENT_ID,
                "clientSecret": seed_data.CLIENT_SECRET,
                "orgId": seed_data.ORGANIZATION,
                "sandbox": "prod",
            },
            "zoho": {
                **zoho.seeded_credentials(self.zoho),
                "dataCenter": "EU",
                "environment": "Production",
            },
        }

    def info_line(self) -> str:
        """The same as one JSON line."""
        return json.dumps(self.info())

    async def __aenter__(self) -> Self:
        services = {
            "platform": platform_app(self.aep),
            "ims": ims_app(self.aep),
            "zoho-accounts": zoho.accounts_app(self.zoho),
            "zoho-api": zoho.api_app(self.zoho),
        }
        for name, application in services.items():
            application.middlewares.insert(0, self.recorder.middleware(name))
            application.middlewares.insert(1, self.faults.middleware(name))
            await self._listen(name, application)
        blobs = blob_app(self.blob)
        blobs.middlewares.extend([self.recorder.without_bodies("blob"), self.faults.middleware("blob")])
        await self._listen("blob", blobs)
        self.blob.url = self.blob_url
        await self._listen("control", self._control())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for runner in self._runners:
            await runner.cleanup()
        await self.blob.close()
        self.recorder.close()

    def control_routes(self) -> list[str]:
        """Method and path of every route of the control API, for documentation."""
        routes = self._control().router.routes()
        found = {f"{r.method} {r.resource.canonical}" for r in routes if r.resource and r.method != "HEAD"}
        return sorted(found)

    def _control(self) -> web.Application:
        states: dict[str, State] = {"aep": self.aep, "zoho": self.zoho, "blob": self.blob}
        shared = Shared(self.clock, self.recorder, self.faults, states, self.aep.runner.settle)
        return control_app(shared, [*aep_control_routes(self.aep), *zoho.control_routes(self.zoho)])

    async def _listen(self, name: str, application: web.Application) -> None:
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=_GRACE_SECONDS)
        await runner.setup()
        self._runners.append(runner)
        listener = socket.create_server((self.host, 0), backlog=1024)
        await web.SockSite(runner, listener).start()
        self.urls[name] = f"http://{self.host}:{listener.getsockname()[1]}"
