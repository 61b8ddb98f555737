"""How a base connection signs in at Zoho: by which auth specification, with which parameters (platform.md
4.1).

Zoho's connection specification is not published (platform.md 16.3), so its auth specifications are read at
run time; what Adobe documents is used where there are none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, TypeGuard

from pydantic import SecretStr

from crmflow.aep.models import AuthSpec, BaseConnection
from crmflow.api.endpoint import foreign_hosts
from crmflow.api.zohosourceconnection import ZohoSourceConnectionSpec
from crmflow.reconcile.credentials import AUTH_PARAM_KEY, ZohoCredentials, fingerprint
from crmflow.reconcile.sources.offer import PlatformSourceOffer
from crmflow.sentences import every
from crmflow.zoho.datacenters import DATA_CENTERS

Params = Mapping[str, str | SecretStr]

_SECRET_PARAM = re.compile("secret|token|password", re.IGNORECASE)

DOCUMENTED = AuthSpec(
    "Basic Authentication",
    ("endpoint", "accountsUrl", "clientId", "clientSecret", "accessToken", "refreshToken"),
)
"""Zoho's auth specification as Adobe's pages describe it (platform.md 4.1, 16.1)."""
_FIXED = frozenset(DOCUMENTED.required) - {"endpoint"}


def auth_spec(offer: PlatformSourceOffer, name: str | None = None) -> AuthSpec:
    """The auth specification to create a connection by, or the one called ``name``, which a connection has.

    Of several that are offered it is the documented one, else the first that asks for nothing unknown.
    """
    spec = offer.connection_spec
    offered = spec.auth_specs if spec else ()
    if name:
        return next((auth for auth in offered if auth.name == name), AuthSpec(name, DOCUMENTED.required))
    known = set(DOCUMENTED.required)
    ranked = sorted(
        offered, key=lambda auth: (auth.name != DOCUMENTED.name, not known.issuperset(auth.required))
    )
    return next(iter(ranked), DOCUMENTED)


@dataclass(frozen=True)
class SignIn:
    """The authentication parameters of a base connection, as its spec and its Secret give them."""

    spec: ZohoSourceConnectionSpec
    credentials: ZohoCredentials

    @property
    def fingerprint(self) -> str:
        """Changes when the base connection has to be given other parameters, apart from an access token."""
        parts: list[str | SecretStr] = [part for pair in sorted(self._overrides.items()) for part in pair]
        for name, value in sorted(self.credentials.auth_params.items(), key=itemgetter(0)):
            parts += [name, value]
        return fingerprint(self.credentials.fingerprint, *parts)

    def params(
        self, access_token: SecretStr, refresh_token: SecretStr, adopted: BaseConnection | None
    ) -> Params:
        """Everything that the base connection is given. What else an ``adopted`` one has is kept, as far as a
        read shows it in clear: a patch replaces all parameters (platform.md 4.1), and these are not the
        spec's to drop, unless they lead out of the data center.
        """
        shown = _shown(adopted) if adopted else {}
        foreign = foreign_hosts(self.spec.zoho.data_center, shown)
        return {
            **{name: value for name, value in shown.items() if name not in foreign},
            **self._secrets,
            **self._plain,
            "clientSecret": self.credentials.client_secret,
            "accessToken": access_token,
            "refreshToken": refresh_token,
        }

    def refusal(self, auth: AuthSpec, params: Params) -> tuple[str, str] | None:
        """Reason and message if ``params`` must not be sent."""
        data_center = self.spec.zoho.data_center
        secret = {name: value.get_secret_value() for name, value in self._secrets.items()}
        foreign = foreign_hosts(data_center, {**secret, **self._overrides})
        if foreign:
            is_plain = foreign[0] in self._overrides
            where = "spec.platform.authParams." if is_plain else f"The Secret's {AUTH_PARAM_KEY}"
            return (
                "EndpointRefused",
                f"{where}{foreign[0]} names no host of Zoho's data center {data_center.value}, "
                "so no credentials are sent. Remove it, or name a host of that data center.",
            )
        missing = [name for name in auth.required if not params.get(name)]
        if missing:
            keys = every(f"{AUTH_PARAM_KEY}{name}" for name in missing)
            secret_name = self.spec.zoho.credentials_secret_ref.name
            return (
                "AuthParamMissing",
                f'Platform\'s auth specification "{auth.name}" requires {every(missing)}, and nothing gives '
                f"it. Add it to spec.platform.authParams; or, if it is a secret, to the Secret "
                f'"{secret_name}" as {keys}.',
            )
        return None

    def differences(self, remote: BaseConnection) -> tuple[str, ...]:
        """The fields of the spec in which the base connection's parameters differ, as far as reads show."""
        fields = {
            "accountsUrl": "spec.zoho.dataCenter",
            "clientId": "spec.zoho.credentialsSecretRef",
            **{name: f"spec.platform.authParams.{name}" for name in self._overrides},
        }
        wanted, shown = self._plain, _shown(remote)
        return tuple(
            field
            for name, field in fields.items()
            if name in shown and shown[name].rstrip("/") != wanted[name].rstrip("/")
        )

    def shown_hash(self, remote: BaseConnection) -> str:
        """Changes when Platform shows other values, in whatever form, of the parameters that are no
        secrets.
        """
        shown = remote.auth_params
        names = sorted(name for name in self._plain if name in shown)
        return fingerprint(*(part for name in names for part in (name, str(shown[name]))))

    @property
    def _overrides(self) -> Mapping[str, str]:
        return self.spec.platform.auth_params or {}

    @property
    def _plain(self) -> Mapping[str, str]:
        """The parameters that are no secrets: the documented ones, and ``spec.platform.authParams`` over
        them, except for what decides who gets the secrets. Those are always the real ones.
        """
        hosts = DATA_CENTERS[self.spec.zoho.data_center]
        return {
            "endpoint": hosts.crm_endpoint,
            **{name: value for name, value in self._overrides.items() if name not in _FIXED},
            "accountsUrl": hosts.accounts_url,
            "clientId": self.credentials.client_id,
        }

    @property
    def _secrets(self) -> Mapping[str, SecretStr]:
        """What the Secret gives beside the grant. Plain ones and the documented ones go before it."""
        given = self.credentials.auth_params
        return {name: value for name, value in given.items() if name not in DOCUMENTED.required}


def _shown(remote: BaseConnection) -> dict[str, str]:
    return {name: value for name, value in remote.auth_params.items() if _is_shown(name, value)}


def _is_shown(name: str, value: Any) -> TypeGuard[str]:
    """True if a read shows the value of a parameter; secrets may be masked or in clear (platform.md 16.3)."""
    return isinstance(value, str) and not _SECRET_PARAM.search(name) and "***" not in value
