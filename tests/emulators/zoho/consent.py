"""The authorization request and the person who answers it (zoho.md 1.2)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

from aiohttp import web

from .consent_page import Account, consent_page, error_page
from .data_centers import DATA_CENTERS, data_center_of_request
from .model import Client, Grant, Organization, User
from .scopes import requested_scopes
from .state import ZohoState

NO_ORGANIZATION = "no-organization"
"""The account of somebody who has no Zoho CRM."""


class _PageError(Exception):
    """A refusal that Zoho shows as a page instead of sending the browser back."""


@dataclass(frozen=True)
class _Request:
    """An authorization request that has passed the checks."""

    client: Client
    redirect_uri: str
    scopes: tuple[str, ...]
    offline: bool
    always_ask: bool
    state: str | None


class Consent:
    """``GET`` shows the consent page, ``POST`` is what its buttons do."""

    def __init__(self, state: ZohoState) -> None:
        self._state = state

    async def show(self, request: web.Request) -> web.Response:
        """The page, or why there is none."""
        try:
            asked = self._checked(request)
        except _PageError as error:
            return self._error_page(str(error))
        accounts = [
            Account(_account_id(organization, user), user.email, organization)
            for organization, user in self._people()
        ]
        return _html(consent_page(asked.client.client_id, asked.scopes, accounts, NO_ORGANIZATION))

    async def decide(self, request: web.Request) -> web.Response:
        """Back to the client with a grant token or an error."""
        form = await request.post()
        try:
            asked = self._checked(request)
            answer = self._decision(asked, str(form.get("account", "")), str(form.get("decision", "")))
        except _PageError as error:
            return self._error_page(str(error))
        return web.Response(status=302, headers={"Location": _with_query(asked.redirect_uri, answer)})

    def _checked(self, request: web.Request) -> _Request:
        """The checks in the order of the request's trustworthiness: client first, its redirect URI second."""
        query = request.query
        client = self._state.clients.get(query.get("client_id", ""))
        if client is None or client.home != data_center_of_request(request):
            raise _PageError("Invalid Client")
        redirect_uri = query.get("redirect_uri", "")
        if redirect_uri not in client.redirect_uris:
            raise _PageError("Invalid Redirect Uri")
        if query.get("response_type") != "code":
            raise _PageError("Invalid Response Type")
        scopes = requested_scopes(query.get("scope", ""))
        if scopes is None:
            raise _PageError("Invalid OAuth Scope")
        return _Request(
            client,
            redirect_uri,
            scopes,
            query.get("access_type", "online") == "offline",
            query.get("prompt") == "consent",
            query.get("state"),
        )

    def _decision(self, asked: _Request, account: str, decision: str) -> Mapping[str, str]:
        if account == NO_ORGANIZATION:
            return self._error(asked, "no_org")
        if decision != "accept":
            return self._error(asked, "access_denied")
        people = {
            _account_id(organization, user): (organization, user) for organization, user in self._people()
        }
        if account not in people:
            raise _PageError("Invalid Account")
        organization, user = people[account]
        if organization.data_center not in asked.client.secrets:
            raise _PageError("Invalid Client")
        code = self._state.tokens.new_code(self._grant(asked, organization, user))
        answer = {
            "code": code.value,
            "location": organization.data_center,
            "accounts-server": DATA_CENTERS[organization.data_center].accounts_url,
        }
        return answer if asked.state is None else answer | {"state": asked.state}

    def _grant(self, asked: _Request, organization: Organization, user: User) -> Grant:
        # Who has consented before gets no second refresh token unless the client insists on asking again.
        known = self._has_refresh_token(asked.client, organization, user)
        return Grant(
            asked.client.client_id,
            organization.data_center,
            organization.environment,
            organization.zgid,
            user.id,
            user.zuid,
            asked.scopes,
            asked.offline and (asked.always_ask or not known),
            asked.redirect_uri,
        )

    def _has_refresh_token(self, client: Client, organization: Organization, user: User) -> bool:
        return any(
            (token.grant.client_id, token.grant.zgid, token.grant.zuid)
            == (client.client_id, organization.zgid, user.zuid)
            for token in self._state.tokens.refresh_tokens.values()
        )

    def _error(self, asked: _Request, error: str) -> Mapping[str, str]:
        echoed = asked.state is not None and self._state.switches.consent_error_state
        return {"error": error, **({"state": asked.state or ""} if echoed else {})}

    def _error_page(self, title: str) -> web.Response:
        return _html(error_page(title), self._state.switches.consent_error_status)

    def _people(self) -> Iterator[tuple[Organization, User]]:
        """Everybody who can sign in, in each organization of theirs."""
        for organization in self._state.organizations.values():
            for user in organization.users.values():
                if user.active and user.confirmed:
                    yield organization, user


def _account_id(organization: Organization, user: User) -> str:
    return f"{organization.data_center}:{organization.environment}:{user.email}"


def _with_query(uri: str, parameters: Mapping[str, str]) -> str:
    parts = urlsplit(uri)
    query = "&".join(filter(None, (parts.query, urlencode(parameters, quote_via=quote))))
    return urlunsplit(parts._replace(query=query))


def _html(text: str, status: int = 200) -> web.Response:
    return web.Response(text=text, status=status, content_type="text/html", charset="utf-8")
