"""The pages that a person sees at Zoho, as plain as they can be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from .model import Organization

_STYLE = """
body { font: 16px/1.5 sans-serif; max-width: 34em; margin: 3em auto; padding: 0 1em; color: #222; }
label { display: block; padding: .2em 0; }
button { font: inherit; padding: .4em 1.6em; margin: 1em 1em 0 0; }
small { color: #666; }
"""


@dataclass(frozen=True)
class Account:
    """Somebody who may consent, in one organization."""

    id: str
    email: str
    organization: Organization


def consent_page(client_id: str, scopes: Sequence[str], accounts: Sequence[Account], nobody: str) -> str:
    """Who are you, and do you agree? ``nobody`` is the account without a CRM organization."""
    choices = "".join(
        _choice(
            account.id,
            f"{account.email}, {account.organization.company_name} "
            f"({account.organization.environment}, {account.organization.data_center})",
        )
        for account in accounts
    )
    asked = "".join(f"<li>{escape(scope)}</li>" for scope in scopes)
    return _page(
        "Zoho Accounts",
        f"<p>The application <code>{escape(client_id)}</code> would like to access:</p><ul>{asked}</ul>"
        f"<form method=post>{choices}{_choice(nobody, 'somebody without Zoho CRM')}"
        "<button name=decision value=accept>Accept</button>"
        "<button name=decision value=reject formnovalidate>Reject</button></form>",
    )


def error_page(title: str) -> str:
    """Zoho's answer where it can't send the browser back."""
    return _page(title, "<p>Sorry, the request could not be processed.</p>")


def _choice(value: str, text: str) -> str:
    return (
        f'<label><input type=radio name=account required value="{escape(value, quote=True)}"> '
        f"{escape(text)}</label>"
    )


def _page(title: str, body: str) -> str:
    return (
        f"<!DOCTYPE html><html lang=en><meta charset=utf-8><title>{escape(title)}</title>"
        f"<style>{_STYLE}</style><h1>{escape(title)}</h1>{body}"
        "<p><small>Emulator of Zoho Accounts</small></html>"
    )
