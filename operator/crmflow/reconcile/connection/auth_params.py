"""How a base connection signs in at Zoho: by which auth specification, with which parameters (platform.md
4.1).

Zoho's connection specification is not published (platform.md 16.3), so its auth specifications are read at
run time; what Adobe documents is used where there are none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeGuard

from pydantic import SecretStr

from crmflow.aep.models import AuthSpec, BaseConnection
from crmflow.api.endpoint import foreign_hosts
from crmflow.reconcile.connection.state import ConnectionPass
from crmflow.reconcile.credentials import AUTH_PARAM_KEY, fingerprint
from crmflow.reconcile.offer import Offer
from crmflow.reconcile.outcome import Outcome, stalled
from crmflow.zoho.datacenters import DATA_CENTERS

Params = Mapping[str, str | SecretStr]

_SECRET_PARAM = re.compile("secret|token|password", re.IGNORECASE)

DOCUMENTED = AuthSpec(
    "Basic Authentication",
    ("endpoint", "accountsUrl", "clientId", "clientSecret", "accessToken", "refreshToken"),
)
"""Zoho's auth specification as Adobe's pages describe it (platform.md 4.1, 16.1)."""
_FIXED = frozenset(DOCUMENTED.required) - {"endpoint"}


def auth_spec(offer: Offer | None, name: str | None = None) -> AuthSpec:
    """The auth specification to create a connection by, or the one called ``name``, which a connection has.

    Of several that are offered it is the documented one, else the first that asks for nothing unknown.
    """
    spec = offer.connection_spec if offer else None
    offered = spec.auth_specs if spec else ()
    if name:
        return next((auth for auth in offered if auth.name == name), AuthSpec(name, DOCUMENTED.required))
    known = set(DOCUMENTED.required)
    ranked = sorted(
        offered, key=lambda auth: (auth.name != DOCUMENTED.name, not known.issuperset(auth.required))
    )
    return next(iter(ranked), DOCUMENTED)


def plain_params(pass_: ConnectionPass) -> Mapping[str, str]:
    """The parameters that are no secrets: the documented ones, and ``spec.platform.authParams`` over them,
    except for what decides who gets the secrets. Those are always the real ones.
    """
    credentials = pass_.zoho_credentials
    if credentials is None:
        raise RuntimeError("no step has read the Secrets yet")
    hosts = DATA_CENTERS[pass_.spec.zoho.data_center]
    overrides = pass_.spec.platform.auth_params or {}
    return {
        "endpoint": hosts.crm_endpoint,
        **{name: value for name, value in overrides.items() if name not in _FIXED},
        "accountsUrl": hosts.accounts_url,
        "clientId": credentials.client_id,
    }


async def auth_params(pass_: ConnectionPass, remote: BaseConnection | None = None) -> Params:
    """Everything that the base connection is given, ``remote`` if there is one. May raise RemoteError."""
    if pass_.zoho_credentials is None or pass_.zoho is None:
        raise RuntimeError("Zoho is reached first")
    return {
        **(_kept_params(pass_, remote) if remote is not None and pass_.adopts else {}),
        **_secret_params(pass_),
        **plain_params(pass_),
        "clientSecret": pass_.zoho_credentials.client_secret,
        "accessToken": await pass_.zoho.access_token(),
        "refreshToken": await pass_.zoho.refresh_token(),
    }


def _secret_params(pass_: ConnectionPass) -> Mapping[str, SecretStr]:
    """What the Secret gives beside the grant. Plain ones and the documented ones go before it."""
    given = pass_.zoho_credentials.auth_params if pass_.zoho_credentials else {}
    return {name: value for name, value in given.items() if name not in DOCUMENTED.required}


def _kept_params(pass_: ConnectionPass, remote: BaseConnection) -> Mapping[str, str]:
    """What else an adopted base connection has, as far as a read shows it in clear: a patch replaces all of
    them (platform.md 4.1), and these are not the spec's to drop, unless they lead out of the data centre.
    """
    params = _shown_params(remote)
    foreign = foreign_hosts(pass_.spec.zoho.data_center, params)
    return {name: value for name, value in params.items() if name not in foreign}


def differing_params(pass_: ConnectionPass, remote: BaseConnection) -> list[str]:
    """The fields of the spec in which the base connection's parameters differ, as far as reads show."""
    fields = {
        "accountsUrl": "spec.zoho.dataCenter",
        "clientId": "spec.zoho.credentialsSecretRef",
        **{name: f"spec.platform.authParams.{name}" for name in pass_.spec.platform.auth_params or {}},
    }
    wanted, shown = plain_params(pass_), _shown_params(remote)
    return [
        field
        for name, field in fields.items()
        if name in shown and shown[name].rstrip("/") != wanted[name].rstrip("/")
    ]


def _shown_params(remote: BaseConnection) -> dict[str, str]:
    return {name: value for name, value in remote.auth_params.items() if _is_shown(name, value)}


def _is_shown(name: str, value: Any) -> TypeGuard[str]:
    """True if a read shows the value of a parameter; secrets may be masked or in clear (platform.md 16.3)."""
    return isinstance(value, str) and not _SECRET_PARAM.search(name) and "***" not in value


def problem_with(pass_: ConnectionPass, spec: AuthSpec, params: Params) -> Outcome | None:
    """Why ``params`` are not sent; None if they may be."""
    plain = pass_.spec.platform.auth_params or {}
    secret = {name: value.get_secret_value() for name, value in _secret_params(pass_).items()}
    foreign = foreign_hosts(pass_.spec.zoho.data_center, {**secret, **plain})
    if foreign:
        where = "spec.platform.authParams." if foreign[0] in plain else f"The Secret's {AUTH_PARAM_KEY}"
        return stalled(
            "EndpointRefused",
            f"{where}{foreign[0]} names no host of Zoho's data centre "
            f"{pass_.spec.zoho.data_center.value}, so no credentials are sent. Remove it, or name a host of "
            "that data centre.",
        )
    missing = [name for name in spec.required if not params.get(name)]
    if missing:
        names, keys = ", ".join(missing), ", ".join(f"{AUTH_PARAM_KEY}{name}" for name in missing)
        secret_name = pass_.spec.zoho.credentials_secret_ref.name
        return stalled(
            "AuthParamMissing",
            f'Platform\'s auth specification "{spec.name}" requires {names}, and nothing gives it. Add it to '
            f'spec.platform.authParams; or, if it is a secret, to the Secret "{secret_name}" as {keys}.',
        )
    return None


def shown_hash(pass_: ConnectionPass, remote: Mapping[str, object]) -> str:
    """Changes when Platform shows other values, in whatever form, of the parameters that are no secrets."""
    names = sorted(name for name in plain_params(pass_) if name in remote)
    return fingerprint(*(part for name in names for part in (name, str(remote[name]))))
