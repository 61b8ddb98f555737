"""Secrets are replaced before an exchange is kept: nothing that is written can be used to log in."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, unquote_plus

_SECRET_KEYS = {
    "clientsecret", "accesstoken", "refreshtoken", "idtoken", "token", "password", "jwttoken",
    "sastoken", "sasuri", "awssecretaccesskey", "awssessiontoken",
}  # fmt: skip
_SECRET_PARAMETERS = _SECRET_KEYS | {"code", "sig"}
_SECRET_HEADERS = {"authorization", "cookie", "setcookie", "xusertoken"}
_ZOHO_TOKEN = re.compile(r"\b\d{4}\.[0-9a-f]{32}\.[0-9a-f]{32}\b")
_SHORTEST_LEARNED = 8


def masked(value: str) -> str:
    """``***`` and eight hexadecimal digits that tell equal secrets from different ones."""
    return "***" + hashlib.sha256(value.encode()).hexdigest()[:8]


class SecretMask:
    """Replaces secrets in headers, parameters and bodies.

    A value is secret because of the name it stands under, because it looks like a Zoho token, or because
    it was seen under such a name before: a token that an error message repeats is replaced there too.
    """

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Headers with credentials replaced; the authentication scheme stays readable."""
        return {name: self._header(name, value) for name, value in headers.items()}

    def parameters(self, parameters: Mapping[str, list[str]]) -> dict[str, list[str]]:
        """Query or form parameters."""
        return {
            name: [self._secret(v) if _fold(name) in _SECRET_PARAMETERS else v for v in values]
            for name, values in parameters.items()
        }

    def body(self, value: Any) -> Any:
        """A parsed JSON body."""
        if isinstance(value, dict):
            return {k: self._member(str(k), v) for k, v in value.items()}
        if isinstance(value, list):
            return [self.body(item) for item in value]
        return value

    def text(self, value: str) -> str:
        """Text, for example serialized JSON, in which a known secret may occur."""
        for secret in _ZOHO_TOKEN.findall(value):
            self._learn(secret)
        for secret, mask in self._known.items():
            if secret in value:
                value = value.replace(secret, mask)
        return value

    def _member(self, name: str, value: Any) -> Any:
        secret = _fold(name) in _SECRET_KEYS and isinstance(value, str) and value
        return self._secret(value) if secret else self.body(value)

    def _header(self, name: str, value: str) -> str:
        if _fold(name) not in _SECRET_HEADERS:
            return value
        scheme, _, credential = value.partition(" ")
        return f"{scheme} {self._secret(credential)}" if credential else self._secret(value)

    def _secret(self, value: str) -> str:
        if not value or value.startswith("***"):
            return value
        self._learn(value)
        return masked(value)

    def _learn(self, value: str) -> None:
        if len(value) >= _SHORTEST_LEARNED:
            for form_of_it in (value, quote(value, safe=""), json.dumps(value)[1:-1]):
                self._known[form_of_it] = masked(value)


def form(raw: bytes) -> dict[str, list[str]]:
    """Fields of a url-encoded body."""
    fields: dict[str, list[str]] = {}
    for pair in raw.decode("utf-8", "replace").split("&"):
        if pair:
            name, _, value = pair.partition("=")
            fields.setdefault(unquote_plus(name), []).append(unquote_plus(value))
    return fields


def _fold(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "")
