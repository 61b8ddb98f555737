"""Keep secrets and foreign markup out of everything that is read by people: logs, events, status, messages.

Two nets: values that this process knows to be secret (:func:`register`), and the shapes that secrets have.
Remote text goes through :func:`sanitise`, our own through :func:`redact`.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections import OrderedDict

MASK = "***"

# Shorter values would blank out ordinary words wherever they occur.
_SHORTEST_SECRET = 6
# Access tokens are registered for as long as the process lives; the oldest ones have expired long ago.
_MOST_SECRETS = 2048

_registered: OrderedDict[str, None] = OrderedDict()

_NAMES_OF_SECRETS = (
    r"(?:client|access|refresh|grant|id|bearer|auth)[_-]?(?:secret|token)|secret|token|password|passwd|"
    r"api[_-]?key|client[_-]?assertion"
)
_SHAPES: tuple[tuple[re.Pattern[str], str], ...] = (
    # "Authorization: Basic …" whole: a bare "Basic" may be the name "Basic Authentication"
    (
        re.compile(r"(?i)(\bauthorization[\"']?\s*[:=]\s*[\"']?)(?:[a-z][a-z-]*[ \t]+)?[^\s\"',;]+"),
        rf"\1{MASK}",
    ),
    (re.compile(r"(?i)\b(bearer|zoho-oauthtoken)[ \t]+[^\s\"',;<>]+"), rf"\1 {MASK}"),
    # JSON Web Tokens, which IMS access tokens are
    (re.compile(r"(?<![\w-])eyJ[\w-]+\.[\w-]+(?:\.[\w-]*)?"), MASK),
    # Zoho's tokens and codes (zoho.md 1.1)
    (re.compile(r"(?<![\w.])[0-9]{4}\.[0-9a-fA-F]+\.[0-9a-fA-F]+(?!\w)"), MASK),
    # name=value, name: value, "name": "value"
    (
        re.compile(rf"(?i)\b({_NAMES_OF_SECRETS})([\"']?\s*[:=]\s*)(\"[^\"]*\"|'[^']*'|[^\s\"'&,;<>{{}}]+)"),
        rf"\1\2{MASK}",
    ),
)
_SCRIPT = re.compile(r"(?is)<(script|style)\b.*?(?:</\1\s*>|\Z)")
_MARKUP = re.compile(r"(?s)<[!/?a-zA-Z][^<>]*>")

# Bounds on what is looked at, for bodies of megabytes. The first is the greater one by far, so that a secret
# which it cuts in two is out of sight.
_MOST_REDACTED = 65536
_MOST_STRIPPED = 8192


def register(secret: str) -> None:
    """Never let this exact value through :func:`redact` again; values below six characters are not taken."""
    if len(secret) < _SHORTEST_SECRET:
        return
    for spelling in _spellings(secret):
        _registered[spelling] = None
        _registered.move_to_end(spelling)
    while len(_registered) > _MOST_SECRETS:
        _registered.popitem(last=False)


def _spellings(secret: str) -> set[str]:
    """As it is, and as it stands in JSON or in what Python prints of a list or a KeyError."""
    quoted = (json.dumps(secret), json.dumps(secret, ensure_ascii=False), repr(secret))
    return {secret, *(spelling[1:-1] for spelling in quoted)}


def redact(text: str) -> str:
    """``text`` with every registered value and everything shaped like a secret replaced by ``***``."""
    # A copy, as another thread may log while this one registers. The longest first: secrets may overlap.
    known = [secret for secret in tuple(_registered) if secret in text]
    for secret in sorted(known, key=len, reverse=True):
        text = text.replace(secret, MASK)
    for shape, replacement in _SHAPES:
        text = shape.sub(replacement, text)
    return text


def sanitise(text: str, limit: int = 256) -> str:
    """Remote text made fit for a status message: redacted, without markup and control characters, on one
    line, cut.

    ``limit`` is the greatest length of the result in characters.
    """
    # Redacted twice: a registered value may contain a "<", and a secret may only show once markup is gone.
    text = redact(text[:_MOST_REDACTED])[:_MOST_STRIPPED]
    text = _MARKUP.sub(" ", _SCRIPT.sub(" ", text))
    text = "".join(map(_plain, text))
    text = " ".join(redact(text).split())
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def _plain(character: str) -> str:
    category = unicodedata.category(character)
    if category == "Cc" or category in ("Zl", "Zp"):
        return " "
    # Invisible and direction-changing characters, lone surrogates and private use go altogether.
    return "" if category.startswith("C") else character
