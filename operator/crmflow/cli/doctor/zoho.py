"""Zoho, asked from this machine with the grants in Secrets. Only reads.

The chain ends at its first failure, since what comes after it would only fail for the same reason.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from pydantic import SecretStr

from crmflow.api.base import ConditionStatus
from crmflow.cli.connection import Connection
from crmflow.cli.doctor.checks import Check, Level, Subject, failed, failed_by, ok, warning
from crmflow.cli.doctor.hosts import Hosts
from crmflow.cli.doctor.privacy import Privacy
from crmflow.cli.problem import Problem
from crmflow.cli.verification import matching_organization
from crmflow.cli.zoho import ZohoClients
from crmflow.http.errors import ErrorClass, RemoteError
from crmflow.reconcile.core.refusals import OPTIONAL_REFUSALS
from crmflow.reconcile.credentials import ZohoCredentials
from crmflow.reconcile.sources.causes import authorize_command
from crmflow.sentences import every, naming
from crmflow.zoho.accounts import ZohoToken
from crmflow.zoho.crm import current_user
from crmflow.zoho.scopes import (
    LANDING_ZONE_SCOPES,
    SOURCE_SCOPES,
    VERIFICATION_SCOPES,
    missing_scopes,
)

_ADDRESS_REFUSED = ("TokenRejected", "AccessRefused")
_RERUN = "Run the doctor again in a few minutes"


class LiveZoho:
    """Zoho with the grants in Secrets: one access token for each grant, however many connections use it."""

    def __init__(self, zoho: ZohoClients, hosts: Hosts, privacy: Privacy) -> None:
        self._zoho = zoho
        self._hosts = hosts
        self._privacy = privacy
        self._tokens: dict[tuple[str, str], ZohoToken | RemoteError] = {}
        self._own_calls: dict[tuple[str, str], RemoteError | bool] = {}

    def own_call(self, connection: Connection) -> RemoteError | bool:
        """What came of the grant of a connection that was checked: True, or why Zoho gives no token for it;
        False if that is not known.
        """
        return self._own_calls.get((connection.namespace, connection.name), False)

    async def check(
        self, connection: Connection, credentials: ZohoCredentials | None
    ) -> AsyncIterator[Check]:
        """Hosts, token, scopes, organization and user."""
        endpoints, where = self._zoho.endpoints, connection.data_center
        api_url = endpoints.api_url(where, connection.environment)
        accounts = await self._hosts.check(Subject.ZOHO_ACCOUNTS_HOST, endpoints.accounts_url(where))
        api = await self._hosts.check(Subject.ZOHO_API_HOST, api_url)
        yield accounts
        yield api
        if credentials is None or accounts.level is not Level.OK:
            return
        if credentials.refresh_token is None:
            yield warning(
                Subject.ZOHO_ACCESS,
                "not checked: the Secret has a grant token, which works once and is the operator's",
                "Look at the Authorized condition of the connection",
            )
            return
        token = await self._token(connection, credentials, credentials.refresh_token)
        if isinstance(token, RemoteError):
            if token.error_class is ErrorClass.TERMINAL:
                self._own_calls[connection.namespace, connection.name] = token
            secret = connection.zoho_secret
            yield failed_by(
                Subject.ZOHO_ACCESS, connection.advisor.advised(token, secret, credentials.suspicions)
            )
            return
        yield ok(Subject.ZOHO_ACCESS, "Zoho gave an access token, one of ten that it gives in ten minutes")
        yield _check_scopes(connection, token)
        if api.level is Level.OK:
            async for check in self._check_grant(connection, token):
                yield check

    async def _token(
        self, connection: Connection, credentials: ZohoCredentials, refresh_token: SecretStr
    ) -> ZohoToken | RemoteError:
        key = (connection.data_center, credentials.fingerprint)
        if key not in self._tokens:
            try:
                self._tokens[key] = await self._zoho.accounts.refresh(
                    connection.data_center,
                    credentials.client_id,
                    credentials.client_secret,
                    refresh_token,
                )
            except RemoteError as error:
                self._tokens[key] = error
        return self._tokens[key]

    async def _check_grant(self, connection: Connection, token: ZohoToken) -> AsyncIterator[Check]:
        subject = Subject.ZOHO_ORGANIZATION
        missing = missing_scopes(VERIFICATION_SCOPES[:1], token.scopes) if token.scopes else ()
        if missing:
            yield warning(
                subject,
                f"not checked: the grant lacks {every(missing)}",
                "Nothing, or authorize anew with all scopes",
            )
            return
        try:
            organization = await matching_organization(self._zoho.crm, connection, token.value)
        except Problem as problem:
            yield failed_by(subject, problem)
            return
        except RemoteError as error:
            yield _refused(subject, connection, error)
            return
        self._own_calls[connection.namespace, connection.name] = True
        self._privacy.hide_organization(organization.id, organization.name)
        zone = [f"time zone {organization.time_zone}"] if organization.time_zone else []
        details = naming(": {}", [*organization.traits, *zone], none="")
        yield ok(subject, f"{organization.name} ({organization.id}){details}")
        yield await self._check_user(connection, token)

    async def _check_user(self, connection: Connection, token: ZohoToken) -> Check:
        subject = Subject.ZOHO_USER
        try:
            api = self._zoho.crm.api(connection.data_center, connection.environment, token.value)
            user = await current_user(api)
        except RemoteError as error:
            problem = Problem.of(error)
            return warning(subject, problem.message, problem.advice or _RERUN, error.reason)
        self._privacy.hide_user(user.name, user.email)
        return ok(subject, f"the grant is that of {user.name} ({user.email}), profile {user.profile}")


def _check_scopes(connection: Connection, token: ZohoToken) -> Check:
    subject = Subject.ZOHO_SCOPES
    if not token.scopes:
        return warning(
            subject,
            "Zoho did not say which scopes it granted",
            "Nothing, unless something is refused with ScopeMissing",
        )
    needed = missing_scopes(_needed(connection), token.scopes)
    if needed:
        fix = f"Run `{authorize_command(connection.name, connection.namespace)}`"
        return failed(subject, f"the grant lacks {every(needed)}", fix, "ScopeMissing")
    missing = missing_scopes(VERIFICATION_SCOPES, token.scopes)
    if missing:
        return warning(
            subject,
            f"the grant lacks {every(missing)}, which only checks need",
            "Nothing, or authorize anew with all scopes",
        )
    return ok(subject, "the grant has all that are needed")


def _needed(connection: Connection) -> tuple[str, ...]:
    """The scopes without which no data flows."""
    own_reads = LANDING_ZONE_SCOPES if connection.uses_landing_zone else ()
    return connection.spec.zoho.scopes or (*SOURCE_SCOPES, *own_reads)


def _refused(subject: str, connection: Connection, error: RemoteError) -> Check:
    """A refusal of this machine's address looks like one of the token (zoho.md 6)."""
    authorized = any(
        condition.type == "Authorized" and condition.status is ConditionStatus.TRUE
        for condition in connection.status.conditions
    )
    if error.reason in _ADDRESS_REFUSED and authorized:
        return warning(
            subject,
            f"not checked: Zoho refuses this machine, and lets the operator in ({error.message})",
            "Nothing, or add this machine's address to the Allowed IPs in Zoho",
            error.reason,
        )
    if error.reason in OPTIONAL_REFUSALS and error.reason not in _ADDRESS_REFUSED:
        return warning(
            subject,
            f"not verified: {error.message}",
            "Nothing: no data depends on it. To have it verified, allow this call",
            error.reason,
        )
    return failed_by(subject, connection.advisor.advised(error))
