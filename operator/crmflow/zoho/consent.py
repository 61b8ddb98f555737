"""Asking a person for consent: the address to send them to, and what they come back with (zoho.md 1.2).

Whatever comes back has passed through a browser, so anybody may have written it. It is believed only with
the state of this request, and an accounts server only if it is one of the table: nothing is ever sent to an
address that came back.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from urllib.parse import parse_qsl, urlencode, urlsplit

from pydantic import SecretStr

from crmflow.api.zohosourceconnection import DataCenter
from crmflow.http.errors import ErrorClass, RemoteError
from crmflow.observability.redaction import register, sanitize
from crmflow.zoho.accounts import SERVICE
from crmflow.zoho.datacenters import DATA_CENTERS, ZohoEndpoints
from crmflow.zoho.errors import wrong_data_center

_OPERATION = "authorize"


def new_state() -> str:
    """A value that nobody can guess, to tell the answer to this request from any other."""
    return secrets.token_urlsafe(24)


def authorization_url(
    accounts_url: str, client_id: str, redirect_uri: str, scopes: Sequence[str], state: str
) -> str:
    """Where a person consents, on the accounts server of the data center where the client is registered.

    ``prompt=consent`` makes Zoho issue a refresh token even if the same person has consented before.
    """
    query = {
        "response_type": "code",
        "client_id": client_id,
        "redirect_uri": redirect_uri,
        "scope": ",".join(scopes),
        "access_type": "offline",
        "prompt": "consent",
        "state": state,
    }
    return f"{accounts_url}/oauth/v2/auth?{urlencode(query)}"


def callback_parameters(address: str) -> dict[str, str]:
    """The parameters of the address that the browser ended on. Raises RemoteError if they are ambiguous."""
    try:
        pairs = parse_qsl(urlsplit(address).query, keep_blank_values=True)
    except ValueError:  # such as an unclosed bracket in the host
        raise _incomplete("is no address that can be read") from None
    parameters = dict(pairs)
    if len(parameters) != len(pairs):
        raise _incomplete("has a parameter twice")
    if not parameters.keys() & {"code", "error"}:
        raise _incomplete("has neither a code nor an error")
    return parameters


def answers(parameters: Mapping[str, str], state: str) -> bool:
    """Whether this is the answer to the request with that state.

    Zoho documents the state's echo for a code, not for an error: a refusal may come without.
    """
    given = parameters.get("state")
    if given is None:
        return "error" in parameters
    return secrets.compare_digest(given.encode(), state.encode())


def grant_token(
    parameters: Mapping[str, str], state: str, data_center: DataCenter, endpoints: ZohoEndpoints
) -> SecretStr:
    """The grant token that came back, for the data center whose accounts server takes it.

    An accounts server that ``endpoints`` has in the place of the real one may be named as well.

    Raises RemoteError (Terminal): ``StateMismatch``, ``ConsentRefused``, ``OrganizationMissing``,
    ``AccountsServerRejected``, ``WrongDataCenter`` or ``CallbackIncomplete``.
    """
    if not answers(parameters, state):
        raise _refused(
            "StateMismatch",
            "the answer does not belong to this authorization, but to an old one or to somebody else's",
            "Consent on the page that this authorization opened.",
        )
    if (error := parameters.get("error")) is not None:
        raise _error(error)
    home = _data_center(parameters, endpoints)
    if home is not data_center:
        raise wrong_data_center(SERVICE, _OPERATION, home, data_center)
    code = parameters.get("code")
    if not code:
        raise _incomplete("has no code")
    register(code)
    return SecretStr(code)


def _data_center(parameters: Mapping[str, str], endpoints: ZohoEndpoints) -> DataCenter:
    """Where the account lives, from ``accounts-server`` and ``location``, which must agree."""
    server, location = parameters.get("accounts-server"), parameters.get("location")
    if server is None or location is None:
        raise _incomplete("lacks accounts-server or location")
    for data_center, hosts in DATA_CENTERS.items():
        known = (hosts.accounts_url, endpoints.accounts_url(data_center))
        if server.removesuffix("/") in known and location.upper() == data_center:
            return data_center
    raise _refused(
        "AccountsServerRejected",
        f'"{sanitize(server, 80)}" is not Zoho\'s accounts server for location "{sanitize(location, 20)}": '
        "the answer may be forged, and nothing was sent",
        "Run the command again. If it comes back, report it to whoever runs your network.",
    )


def _error(error: str) -> RemoteError:
    if error == "access_denied":
        return _refused(
            "ConsentRefused",
            "the consent was refused on Zoho's page",
            "Run the command again and accept, or ask somebody who may.",
        )
    if error == "no_org":
        return _refused(
            "OrganizationMissing",
            "this Zoho account has no Zoho CRM organization",
            "Consent with the account of a user of the CRM organization.",
        )
    return _refused(
        "ConsentRefused",
        f"Zoho answered {sanitize(error, 80) or 'with an error'}",
        "Check the client in Zoho's API console, and run the command again.",
    )


def _incomplete(what: str) -> RemoteError:
    return _refused(
        "CallbackIncomplete",
        f"the address that came back {what}",
        "Copy the whole address that the browser ended on, or run the command again.",
    )


def _refused(reason: str, message: str, advice: str) -> RemoteError:
    return RemoteError(SERVICE, _OPERATION, ErrorClass.TERMINAL, reason, message, advice=advice)
