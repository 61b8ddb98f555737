"""The Secret with the OAuth client and the grant, as it is and as it is to be."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import SecretStr

KEYS = ("clientId", "clientSecret", "refreshToken")


@dataclass(frozen=True)
class SecretContents:
    """What a Secret holds. Keys may be spelled in camelCase or in snake_case."""

    data: Mapping[str, SecretStr]
    owner: str | None = None
    """Kind and name of the controller that writes it, such as an ExternalSecret."""

    def value(self, key: str) -> SecretStr | None:
        """The value of a key without surrounding white space; None if it is missing or empty."""
        for spelling in (key, _snake(key)):
            value = self.data.get(spelling)
            if value is not None and (text := value.get_secret_value().strip()):
                return SecretStr(text)
        return None

    def spelling(self, key: str) -> str:
        """How the Secret spells ``key``: an old value must not stay beside the new one."""
        return _snake(key) if key not in self.data and _snake(key) in self.data else key


def with_spelling(values: Mapping[str, SecretStr], stored: SecretContents | None) -> dict[str, SecretStr]:
    """``values`` under the keys that the Secret uses already."""
    return {key if stored is None else stored.spelling(key): value for key, value in values.items()}


def manifest(namespace: str, name: str, values: Mapping[str, SecretStr]) -> str:
    """The Secret as YAML, in clear: to be sealed, or put into a vault."""
    # JSON strings are YAML strings, whatever they contain.
    lines = [
        "apiVersion: v1",
        "kind: Secret",
        "metadata:",
        f"  name: {json.dumps(name)}",
        f"  namespace: {json.dumps(namespace)}",
        "type: Opaque",
        "stringData:",
        *(f"  {key}: {json.dumps(value.get_secret_value())}" for key, value in values.items()),
    ]
    return "\n".join(lines) + "\n"


def _snake(key: str) -> str:
    return re.sub(r"[A-Z]", lambda match: "_" + match[0].lower(), key)
