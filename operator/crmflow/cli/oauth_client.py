"""The OAuth client of Zoho's API console that asks for the grant."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from crmflow.cli.problem import Problem
from crmflow.cli.secret import SecretContents
from crmflow.cli.terminal import ask_secret
from crmflow.observability.redaction import register
from crmflow.reconcile.secret_values import impossible

STANDARD_INPUT = "-"


@dataclass(frozen=True)
class OAuthClient:
    """Its id, and its secret in the data center of the connection (zoho.md 1.8)."""

    id: str
    secret: SecretStr


def choose(
    client_id: str | None, client_secret_file: str | None, stored: SecretContents | None, secret_name: str
) -> OAuthClient:
    """What the options name, else what the Secret holds. Raises Problem if that is not a whole client."""
    if client_id is not None:
        require_possible("the client id", client_id)  # one that only looks like the stored one is another
    given_secret = _read(client_secret_file) if client_secret_file is not None else None
    held_id = stored.value("clientId") if stored else None
    held_secret = stored.value("clientSecret") if stored else None
    # A secret that is stored belongs to the id that is stored with it.
    if client_id is not None and held_id is not None and client_id != held_id.get_secret_value():
        held_secret = None
    chosen_id = client_id or (held_id.get_secret_value() if held_id else None)
    chosen_secret = given_secret or held_secret
    if chosen_id is None or chosen_secret is None:
        missing = "--client-id" if chosen_id is None else "--client-secret-file"
        key = "clientId" if chosen_id is None else "clientSecret"
        raise Problem(
            f'the OAuth client is not known: Secret "{secret_name}" has no usable {key}',
            f"Give {missing}, or put clientId and clientSecret of the client in Zoho's API console into the "
            "Secret",
        )
    register(chosen_secret.get_secret_value())
    require_possible("the client id", chosen_id)
    require_possible("the client secret", chosen_secret.get_secret_value())
    return OAuthClient(chosen_id, chosen_secret)


def require_possible(name: str, value: str) -> None:
    """Raises Problem if ``value`` can't be what it is meant to be. The value itself is not shown."""
    flaw = impossible(name, value)
    if flaw is not None:
        raise Problem(f"{flaw.key} {flaw.what}", flaw.fix)


def _read(file: str) -> SecretStr:
    if file == STANDARD_INPUT:
        text = ask_secret("Client secret").get_secret_value()
    else:
        try:
            text = Path(file).read_bytes().decode(errors="replace").strip()
        except OSError as error:
            raise Problem(f"the client secret can't be read from {file} ({type(error).__name__})") from None
    if not text:
        raise Problem("the client secret is empty", "Check --client-secret-file")
    return SecretStr(text)
