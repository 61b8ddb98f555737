"""The OAuth clients and grants that exist from the start."""

from __future__ import annotations

import hashlib

from ..data_centers import DATA_CENTERS, HOME, Environment
from ..model import Client, ClientType, Grant, Organization
from ..tokens import TokenStore, token_value
from .organizations import INTEGRATION_EMAIL, OWNER_EMAIL

REDIRECT_URI = "http://localhost:8080/oauth/callback"
LOOPBACK_URI = "http://localhost:8917/callback"
DEFAULT_SCOPES = (
    "ZohoCRM.org.READ",
    "ZohoCRM.users.READ",
    "ZohoCRM.settings.modules.READ",
    "ZohoCRM.settings.fields.READ",
    "ZohoCRM.modules.READ",
    "ZohoCRM.coql.READ",
    "ZohoCRM.bulk.READ",
)
# The longest expiry that the API console offers (zoho.md 1.5).
SEEDED_CODE_TTL = 600


def clients() -> dict[str, Client]:
    """Self clients at home and in the US; server-based ones with a secret per data center and one for all."""
    everywhere = list(DATA_CENTERS)
    server_redirects = (REDIRECT_URI, LOOPBACK_URI, "https://crm-sync.example.com/callback")
    seeds = [
        Client(client_id("self"), ClientType.SELF, HOME, {HOME: client_secret("self")}, INTEGRATION_EMAIL),
        Client(
            client_id("self-us"), ClientType.SELF, "us", {"us": client_secret("self-us")}, INTEGRATION_EMAIL
        ),
        Client(
            client_id("server"),
            ClientType.SERVER,
            HOME,
            {dc: client_secret(f"server:{dc}") for dc in everywhere},
            OWNER_EMAIL,
            server_redirects,
        ),
        Client(
            client_id("server-shared"),
            ClientType.SERVER,
            HOME,
            dict.fromkeys(everywhere, client_secret("server-shared")),
            OWNER_EMAIL,
            server_redirects,
        ),
    ]
    return {client.client_id: client for client in seeds}


def client_id(seed: str) -> str:
    """A client id in Zoho's form: ``1000.`` and thirty capitals and digits (zoho.md 1.1)."""
    return f"1000.{hashlib.sha256(f'client:{seed}'.encode()).hexdigest()[:30].upper()}"


def client_secret(seed: str) -> str:
    """A client secret in Zoho's form: forty hexadecimal digits."""
    return hashlib.sha256(f"secret:{seed}".encode()).hexdigest()[:40]


def refresh_token(client: str, dc: str, environment: Environment) -> str:
    """The seeded refresh token of a client for one environment."""
    return token_value(f"seeded:refresh:{client}:{dc}:{environment}")


def grant_token(client: str, dc: str, environment: Environment) -> str:
    """The seeded grant token of a client for one environment."""
    return token_value(f"seeded:code:{client}:{dc}:{environment}")


def seed_grants(tokens: TokenStore, organizations: dict[str, Organization]) -> None:
    """One refresh token and one grant token for the self client of each seeded organization."""
    for organization in organizations.values():
        dc, environment = organization.data_center, organization.environment
        client = "self" if dc == HOME else f"self-{dc}"
        user = organization.user_by_email(INTEGRATION_EMAIL)
        if user is None:
            continue
        grant = Grant(
            client_id(client), dc, environment, organization.zgid, user.id, user.zuid, DEFAULT_SCOPES
        )
        tokens.new_refresh_token(grant, refresh_token(client, dc, environment))
        tokens.new_code(grant, SEEDED_CODE_TTL, grant_token(client, dc, environment))
