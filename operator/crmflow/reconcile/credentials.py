"""What is read from users' Secrets: which keys, under which names, and a fingerprint that says when they
changed.

Keys may be written in camelCase or snake_case (``clientId`` or ``client_id``), and a grant token also as
``code``, as Zoho calls it; whatever else a Secret holds is ignored, except for ``authParams.NAME`` beside a
grant.
"""

from __future__ import annotations

import hashlib
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import SecretStr

from crmflow.reconcile.secret_values import Flaw, InvalidValuesError, impossible, suspicious
from crmflow.sentences import every

AUTH_PARAM_KEY = "authParams."
"""What the key of a further authentication parameter begins with."""

SecretData = Mapping[str, SecretStr]
Values = tuple[tuple[str, str | SecretStr], ...]
"""Values by the documented names of their keys."""


class MissingKeysError(Exception):
    """A Secret lacks keys; ``keys`` are their documented names."""

    def __init__(self, keys: tuple[str, ...]) -> None:
        super().__init__(every(keys))
        self.keys = keys


class _Credentials(ABC):
    """What both kinds of credentials have."""

    @abstractmethod
    def _values(self) -> Values: ...

    @property
    def suspicions(self) -> tuple[Flaw, ...]:
        """What is odd about the values, and worth a look once the service refuses them."""
        return tuple(flaw for key, value in self._values() if (flaw := suspicious(key, _plain(value))))


@dataclass(frozen=True)
class ZohoCredentials(_Credentials):
    """An OAuth client of Zoho's API console and a grant of a CRM user (zoho.md 1.1): its refresh token, or
    the grant token that is still to be exchanged for one.
    """

    client_id: str
    client_secret: SecretStr
    refresh_token: SecretStr | None
    grant_token: SecretStr | None = None
    redirect_uri: str | None = None
    """Where the grant token was sent to; a self client's was sent nowhere."""
    auth_params: Mapping[str, SecretStr] = field(default_factory=dict, compare=False)
    """What the base connection is to be given beside them and is a secret, by parameter. It is not part of
    what Zoho sees.
    """

    @classmethod
    def from_secret(cls, data: SecretData) -> ZohoCredentials:
        """Raises MissingKeysError and InvalidValuesError. A refresh token goes before a grant token, which is
        then not looked at.
        """
        refresh_token = _lookup(data, "refreshToken")
        grant_token = None if refresh_token else _lookup(data, "grantToken") or _lookup(data, "code")
        client_id, client_secret, _ = _required(
            {
                "clientId": _lookup(data, "clientId"),
                "clientSecret": _lookup(data, "clientSecret"),
                "refreshToken or grantToken": refresh_token or grant_token,
            }
        )
        redirect_uri = _lookup(data, "redirectUri") if grant_token else None
        credentials = cls(
            client_id.get_secret_value(),
            client_secret,
            refresh_token,
            grant_token,
            redirect_uri.get_secret_value() if redirect_uri else None,
            {
                key.removeprefix(AUTH_PARAM_KEY): value
                for key in data
                if key.startswith(AUTH_PARAM_KEY) and (value := _stripped(data, key)) is not None
            },
        )
        _require_possible(credentials._values())
        return credentials

    def _values(self) -> Values:
        grant = "refreshToken" if self.refresh_token else "grantToken"
        return (("clientId", self.client_id), ("clientSecret", self.client_secret), (grant, self.grant))

    @property
    def grant(self) -> SecretStr:
        """What tells this grant from others of the client."""
        grant = self.refresh_token or self.grant_token
        if grant is None:
            raise RuntimeError("credentials hold a refresh token or a grant token")
        return grant

    @property
    def fingerprint(self) -> str:
        """Changes with every part that Zoho sees."""
        return fingerprint(self.client_id, self.client_secret, self.grant)


@dataclass(frozen=True)
class PlatformCredentials(_Credentials):
    """An OAuth server-to-server credential of the Adobe Developer Console (platform.md 1.3)."""

    client_id: str
    client_secret: SecretStr
    scopes: tuple[str, ...] = ()

    @classmethod
    def from_secret(cls, data: SecretData) -> PlatformCredentials:
        """Raises MissingKeysError and InvalidValuesError; ``scopes`` is optional, separated by commas or
        spaces.
        """
        client_id, client_secret = _required({n: _lookup(data, n) for n in ("clientId", "clientSecret")})
        scopes = _lookup(data, "scopes")
        names = re.split(r"[,\s]+", scopes.get_secret_value().strip()) if scopes else []
        credentials = cls(client_id.get_secret_value(), client_secret, tuple(name for name in names if name))
        _require_possible((*credentials._values(), ("scopes", "".join(credentials.scopes))))
        return credentials

    def _values(self) -> Values:
        return (("clientId", self.client_id), ("clientSecret", self.client_secret))

    @property
    def fingerprint(self) -> str:
        """Changes with every part."""
        return fingerprint(self.client_id, self.client_secret, *self.scopes)


def fingerprint(*parts: str | SecretStr) -> str:
    """16 hex digits of a hash over ``parts``: enough to notice a change, useless to anyone who reads it."""
    digest = hashlib.sha256()
    for part in parts:
        value = _plain(part)
        digest.update(len(value).to_bytes(4, "big") + value.encode())
    return digest.hexdigest()[:16]


def _require_possible(values: Values) -> None:
    flaws = tuple(flaw for key, value in values if (flaw := impossible(key, _plain(value))))
    if flaws:
        raise InvalidValuesError(flaws)


def _plain(value: str | SecretStr) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else value


def _required(found: Mapping[str, SecretStr | None]) -> tuple[SecretStr, ...]:
    missing = tuple(name for name, value in found.items() if value is None)
    if missing:
        raise MissingKeysError(missing)
    return tuple(value for value in found.values() if value is not None)


def _lookup(data: SecretData, name: str) -> SecretStr | None:
    """The value under either spelling."""
    snake = re.sub(r"[A-Z]", lambda match: "_" + match[0].lower(), name)
    return _stripped(data, name) or _stripped(data, snake)


def _stripped(data: SecretData, key: str) -> SecretStr | None:
    """The value without surrounding white space (a newline is easily pasted along), None if there is none."""
    value = data.get(key)
    text = value.get_secret_value().strip() if value is not None else ""
    return SecretStr(text) if text else None
