"""The whole state of the Zoho emulator."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter

from tests.emulators.core.mask import masked

from .data_centers import HOME, Environment
from .limits import Concurrency, Credits
from .model import (
    AccessToken,
    BulkJob,
    BulkPart,
    Client,
    Grant,
    Module,
    Organization,
    Record,
    RefreshToken,
)
from .paging import PageTokens
from .seed.clients import client_id, client_secret, clients, grant_token, refresh_token, seed_grants
from .seed.organizations import organizations
from .switches import ZohoSwitches
from .tokens import TokenStore, token_value


@dataclass
class ZohoSnapshot:
    """The tokens that clients hold; values that were issued up to ``serial`` are not issued again."""

    refresh_tokens: list[RefreshToken]
    access_tokens: list[AccessToken]
    serial: int


_SNAPSHOT = TypeAdapter(ZohoSnapshot)


class ZohoState:
    """Clients, grants, organizations and their data, under one clock (``now``: seconds since the epoch)."""

    clients: dict[str, Client]
    organizations: dict[str, Organization]
    tokens: TokenStore
    credits: Credits
    concurrency: Concurrency
    page_tokens: PageTokens
    bulk_jobs: dict[str, BulkJob]
    bulk_tokens: dict[str, BulkPart]
    """What each page token of a bulk read continues."""
    bulk_downloads: dict[str, list[float]]
    """When an organization downloaded results."""
    channels: dict[tuple[str, str, str], dict[str, dict[str, Any]]]
    """Notification channels of an organization, user and client, by their id."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.now = now
        self.switches = ZohoSwitches()
        # Outlives a reset: a value that was ever handed out never comes back as somebody else's.
        self._serial = itertools.count(1)
        self._seed()

    def reset(self) -> None:
        """Back to the seed; every switch back to its default."""
        self.switches = ZohoSwitches()
        self._seed()

    def _seed(self) -> None:
        self.clients = clients()
        self.organizations = organizations()
        self.tokens = TokenStore(self.now, lambda: self.switches, self.new_value)
        self.credits = Credits(self.now)
        self.concurrency = Concurrency()
        self.page_tokens = PageTokens(self.now)
        self.bulk_jobs = {}
        self.bulk_tokens = {}
        self.bulk_downloads = {}
        self.channels = {}
        seed_grants(self.tokens, self.organizations)

    def new_value(self) -> str:
        """A token or code that was never handed out before."""
        return token_value(f"issued:{next(self._serial)}")

    def new_serial(self) -> int:
        """A number that was never used before."""
        return next(self._serial)

    def organization(self, dc: str, environment: Environment) -> Organization:
        """The organization of an environment; raises KeyError if that has none."""
        for organization in self.organizations.values():
            if (organization.data_center, organization.environment) == (dc, environment):
                return organization
        raise KeyError(f"no organization in {dc}/{environment}")

    def visible(self, module: Module) -> dict[str, Record]:
        """The records of a module as readers see them: changes show after a while (switch)."""
        return module.as_of(self.now() - self.switches.visibility_lag)

    def visibly_deleted(self, module: Module) -> list[Record]:
        """The deleted records that readers see."""
        since = self.now() - self.switches.visibility_lag
        return [g for g in module.deleted if datetime.fromisoformat(g["deleted_time"]).timestamp() <= since]

    def snapshot(self) -> Any:
        """The tokens that clients hold, in clear, for :meth:`restore`. Organizations and their data are the
        seed's; what counts toward a limit is forgotten.
        """
        tokens = self.tokens
        content = ZohoSnapshot(
            list(tokens.refresh_tokens.values()), list(tokens.access_tokens.values()), self.new_serial()
        )
        return _SNAPSHOT.dump_python(content, mode="json")

    def restore(self, snapshot: Any) -> None:
        """Hold what :meth:`snapshot` gave, on top of the seed. Raises ValidationError."""
        content = _SNAPSHOT.validate_python(snapshot)
        self.tokens.refresh_tokens = {token.value: token for token in content.refresh_tokens}
        self.tokens.access_tokens = {token.value: token for token in content.access_tokens}
        self._serial = itertools.count(max(self.new_serial(), content.serial) + 1)

    def dump(self) -> dict[str, Any]:
        """Everything worth asserting on, secrets as ``***`` and the start of their SHA-256."""
        return {
            "switches": self.switches.model_dump(by_alias=True),
            "clients": [_dump_client(client) for client in self.clients.values()],
            "organizations": [
                _dump_organization(org, self.credits.used(org.zgid)) for org in self.organizations.values()
            ],
            "codes": [
                {
                    "code": masked(code.value),
                    "expiresAt": code.expires_at,
                    "used": code.used,
                    **_dump_grant(code.grant),
                }
                for code in self.tokens.codes.values()
            ],
            "refreshTokens": [
                {
                    "refreshToken": masked(token.value),
                    "createdAt": token.created_at,
                    "issuedLast10Minutes": self.tokens.issued_in_window(token),
                    **_dump_grant(token.grant),
                }
                for token in self.tokens.refresh_tokens.values()
            ],
            "accessTokens": [
                {
                    "accessToken": masked(token.value),
                    "expiresAt": token.expires_at,
                    "refreshToken": masked(token.refresh_token) if token.refresh_token else None,
                    **_dump_grant(token.grant),
                }
                for token in self.tokens.live_access_tokens()
            ],
        }


def seeded_credentials(state: ZohoState) -> dict[str, str]:
    """Credentials of the home data center's production, in clear."""
    return credentials_of(HOME, Environment.PRODUCTION)


def credentials_of(dc: str, environment: Environment) -> dict[str, str]:
    """Seeded credentials of one environment, in clear."""
    client = "self" if dc == HOME else f"self-{dc}"
    return {
        "clientId": client_id(client),
        "clientSecret": client_secret(client),
        "refreshToken": refresh_token(client, dc, environment),
        "grantToken": grant_token(client, dc, environment),
    }


def _dump_client(client: Client) -> dict[str, Any]:
    return {
        "clientId": client.client_id,
        "type": client.type.value,
        "dataCenters": {dc: masked(secret) for dc, secret in client.secrets.items()},
        "redirectUris": list(client.redirect_uris),
    }


def _dump_grant(grant: Grant) -> dict[str, Any]:
    return {
        "clientId": grant.client_id,
        "dataCenter": grant.data_center,
        "environment": grant.environment.value,
        "zgid": grant.zgid,
        "userId": grant.user_id,
        "scopes": list(grant.scopes),
    }


def _dump_organization(organization: Organization, credits_used: int) -> dict[str, Any]:
    return {
        "id": organization.id,
        "zgid": organization.zgid,
        "dataCenter": organization.data_center,
        "environment": organization.environment.value,
        "type": organization.type,
        "edition": organization.edition,
        "companyName": organization.company_name,
        "creditsUsed": credits_used,
        "users": [
            {
                "id": user.id,
                "email": user.email,
                "profile": user.profile.name,
                "apiAccess": user.profile.api_access,
            }
            for user in organization.users.values()
        ],
        "modules": {module.api_name: len(module.records) for module in organization.modules.values()},
    }
