"""The page that the browser shows at the end: connected, or what went wrong and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

HEADERS = {
    # The address holds the grant token: it goes nowhere, and is not kept.
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Connection": "close",
}

_STYLE = """
:root { color-scheme: light dark; }
body { font: 17px/1.5 system-ui, sans-serif; max-width: 34rem; margin: 12vh auto 0; padding: 0 1.5rem; }
h1 { font-size: 1.6rem; border-left: .35rem solid; padding-left: .8rem; margin-left: -1.15rem; }
.connected { border-color: #1a7f37; }
.problem { border-color: #c93c37; }
footer { margin-top: 2.5rem; font-size: .85rem; opacity: .7; }
"""


def connected(paragraphs: Sequence[str]) -> str:
    """The grant is where it belongs."""
    return _page("connected", "Connected", [*paragraphs, "You can close this page."])


def not_connected(message: str, advice: str) -> str:
    """Nothing was stored."""
    return _page("problem", "Not connected", [message, advice])


def waiting_for_another(message: str, advice: str) -> str:
    """This answer was not taken, and the right one is still waited for."""
    return _page("problem", "Not the answer that is waited for", [message, advice])


def _page(kind: str, title: str, paragraphs: Sequence[str]) -> str:
    text = "".join(f"<p>{escape(paragraph)}</p>" for paragraph in paragraphs if paragraph)
    return (
        f"<!DOCTYPE html><html lang=en><meta charset=utf-8><title>{escape(title)} · crmflow</title>"
        f"<meta name=viewport content='width=device-width'><style>{_STYLE}</style>"
        f"<h1 class={kind}>{escape(title)}</h1>{text}"
        "<footer>kubectl crmflow authorize</footer></html>"
    )
