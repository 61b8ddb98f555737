"""The command: which checks are made, in which order."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass

from crmflow.api.kinds import ZOHO_SOURCE_CONNECTION
from crmflow.cli import platform, zoho
from crmflow.cli.cluster import Cluster
from crmflow.cli.connection import Connection
from crmflow.cli.credentials import platform_credentials, zoho_credentials
from crmflow.cli.doctor import installation, report
from crmflow.cli.doctor.checks import Check, Level, Section, Subject, count, failed_by, warning
from crmflow.cli.doctor.hosts import Hosts
from crmflow.cli.doctor.platform import LivePlatform
from crmflow.cli.doctor.privacy import Privacy
from crmflow.cli.doctor.resource import check_secret, check_status
from crmflow.cli.doctor.zoho import LiveZoho
from crmflow.cli.options import DoctorOptions
from crmflow.cli.output import write_data
from crmflow.cli.problem import Problem
from crmflow.cli.terminal import say
from crmflow.clock import Clock


async def doctor(options: DoctorOptions) -> bool:
    """Carry the command out; False if a check failed. Raises Problem when there is no cluster to look at."""
    cluster = await Cluster.connect(options.cluster)
    try:
        async with AsyncExitStack() as stack:
            examination = Examination(cluster, await _live(stack) if options.live else None)
            await examination.run(options.name)
        if options.output is None:
            report.show(examination.sections)
        else:
            write_data(report.as_data(examination.sections), options.output)
        if options.report is not None:
            await examination.save(options.report)
    finally:
        await cluster.close()
    return count(examination.sections, Level.FAILED) == 0


class Examination:
    """The checks of one run, and what they found."""

    def __init__(self, cluster: Cluster, live: Live | None) -> None:
        self._cluster = cluster
        self._live = live
        self._connections: list[Connection] = []
        self._clock = Clock.from_environment()
        self.sections: list[Section] = []

    async def run(self, name: str | None) -> None:
        """Everything, or as far as it makes sense to go on."""
        installed = [
            await installation.check_api_server(self._cluster),
            await installation.check_definitions(self._cluster),
        ]
        missing: list[Section] = []
        if all(check.level is Level.OK for check in installed):
            try:
                self._connections = await self._find(name)
            except Problem as problem:
                title = _title(self._cluster.namespace, name or "")
                missing = [Section(title, (failed_by(Subject.RESOURCE, problem),))]
            installed += await installation.check_operator(self._cluster, self._connections)
            if name is None and not self._connections and not missing:
                installed.append(_no_connections(self._cluster.namespace))
        self.sections = [Section("Installation", tuple(installed)), *missing]
        for connection in self._connections:
            checks = [check async for check in self._examine(connection)]
            self.sections.append(Section(_title(connection.namespace, connection.name), tuple(checks)))

    async def save(self, path: str) -> None:
        """Write what was found as a page."""
        privacy = self._live.privacy if self._live else Privacy()
        for connection in self._connections:
            privacy.hide_connection(connection)
        try:
            server = await installation.server_version(self._cluster)
        except Problem:
            server = "of unknown version"
        report.save(
            path,
            self.sections,
            self._connections,
            privacy,
            time=self._clock.utcnow().strftime("%Y-%m-%dT%H:%M:%SZ"),
            server=server,
            live=self._live is not None,
        )
        say(f"The report is in {path}. Secrets, organizations and people are left out; read it all the same.")

    async def _find(self, name: str | None) -> list[Connection]:
        if name is None:
            return await self._cluster.connections()
        return [await self._cluster.connection(name)]

    async def _examine(self, connection: Connection) -> AsyncIterator[Check]:
        zoho_secret, zoho_held = await check_secret(
            Subject.ZOHO_CREDENTIALS, connection.zoho_secret, zoho_credentials(self._cluster, connection)
        )
        platform_secret, platform_held = await check_secret(
            Subject.ADOBE_CREDENTIALS,
            connection.platform_secret,
            platform_credentials(self._cluster, connection),
        )
        yield zoho_secret
        yield platform_secret
        for check in check_status(connection, self._clock):
            yield check
        if self._live is not None:
            async for check in self._live.zoho.check(connection, zoho_held):
                yield check
            async for check in self._live.platform.check(
                connection, platform_held, self._live.zoho.own_call(connection)
            ):
                yield check


@dataclass(frozen=True)
class Live:
    """The real services, and what is learned from them that a report leaves out."""

    zoho: LiveZoho
    platform: LivePlatform
    privacy: Privacy


async def _live(stack: AsyncExitStack) -> Live:
    say("Asking the services from this machine. Zoho is asked for one access token per refresh token, of ten")
    say("that it gives in ten minutes; nothing is changed on either side.")
    adobe, privacy = await stack.enter_async_context(platform.connect()), Privacy()
    hosts = Hosts(adobe.http)
    at_zoho = LiveZoho(await stack.enter_async_context(zoho.connect()), hosts, privacy)
    return Live(at_zoho, LivePlatform(adobe, hosts), privacy)


def _no_connections(namespace: str) -> Check:
    return warning(
        Subject.CONNECTIONS,
        f'there is no {ZOHO_SOURCE_CONNECTION.kind} in namespace "{namespace}"',
        "Name another namespace with -n, or apply one",
    )


def _title(namespace: str, name: str) -> str:
    return f"{ZOHO_SOURCE_CONNECTION.kind} {namespace}/{name}".rstrip("/")
