"""Keep secrets and foreign markup out of everything that is read by people: logs, events, status, messages.

Two nets: values that this process knows to be secret (:func:`register`), and the shapes that secrets have.
Remote text goes through :func:`sanitize`, our own through :func:`redact`.
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

# Names that nothing but a secret has: what stands behind them is masked whatever it looks like.
_NAMES_OF_SECRETS = (
    r"(?:client|access|refresh|grant|id|bearer|auth)[_-]?(?:secret|token)|password|passwd|"
    r"api[_-]?key|client[_-]?assertion"
)
# Names that are words of prose, too, such as the operation "token" before a colon: there the shape decides.
_WORDS_FOR_SECRETS = r"secret|token|authorization"
# What stands behind such a word and is no secret: a status, a number, a code such as FLOW-2000-401, an
# address, and words, reasons and error codes as of OAuth, which are letters alone.
_PLAIN = (
    r"(?:[0-9]{1,6}|[A-Z]+(?:-[0-9]{3,4}){1,2}|https?://[^\s\"',;<>]*|[A-Za-z]+(?:[._/-][A-Za-z]+)*)"
    r"(?![^\s\"'&,;:<>{}().!?])"
)
_VALUE = r"[^\s\"'&,;<>{}]+"
_QUOTED = r"\"[^\"]*\"|'[^']*'"
_SCHEMES = r"basic|bearer|digest|negotiate|zoho-oauthtoken"
_SHAPES: tuple[tuple[re.Pattern[str], str], ...] = (
    # "Authorization: Basic …" whole: a bare "Basic" may be the name "Basic Authentication"
    (
        re.compile(rf"(?i)(\bauthorization[\"']?\s*[:=]\s*[\"']?)(?:{_SCHEMES})[ \t]+[^\s\"',;]+"),
        rf"\1{MASK}",
    ),
    # The scheme before its token, and not before a word about it or a parameter of a challenge
    (
        re.compile(
            r"(?i)\b(bearer|zoho-oauthtoken)[ \t]+(?!(?:tokens?|auth\w*|scheme|realm|error\w*|scope)\b)"
            r"[^\s\"',;<>]+"
        ),
        rf"\1 {MASK}",
    ),
    # JSON Web Tokens, which IMS access tokens are
    (re.compile(r"(?<![\w-])eyJ[\w-]+\.[\w-]+(?:\.[\w-]*)?"), MASK),
    # Zoho's tokens and codes (zoho.md 1.1)
    (re.compile(r"(?<![\w.])[0-9]{4}\.[0-9a-fA-F]+\.[0-9a-fA-F]+(?!\w)"), MASK),
    # name=value, name: value, "name": "value"
    (re.compile(rf"(?i)\b({_NAMES_OF_SECRETS})([\"']?\s*[:=]\s*)({_QUOTED}|{_VALUE})"), rf"\1\2{MASK}"),
    (re.compile(rf"(?i)\b({_WORDS_FOR_SECRETS})([\"']?\s*=\s*)({_QUOTED}|{_VALUE})"), rf"\1\2{MASK}"),
    (re.compile(rf"(?i)\b({_WORDS_FOR_SECRETS})([\"']?\s*:\s*)({_QUOTED})"), rf"\1\2{MASK}"),
    (re.compile(rf"\b((?i:{_WORDS_FOR_SECRETS}))([\"']?\s*:\s*)(?!{_PLAIN})({_VALUE})"), rf"\1\2{MASK}"),
)
_SCRIPT = re.compile(r"(?is)<(script|style)\b.*?(?:</\1\s*>|\Z)")
_NESTED_MESSAGE = re.compile(r"\bMessage=(.+?)(?=,Source=|,'|$)")
_GAP = " … "
_MARKUP = re.compile(r"(?s)<[!/?a-zA-Z][^<>]*>")

# Bounds on what is looked at, for bodies of megabytes. The first is the greater one by far, so that a secret
# which it cuts in two is out of sight.
_MOST_REDACTED = 65536
_MOST_STRIPPED = 8192


def register(secret: str) -> None:
    """Have :func:`redact` replace this exact value from now on; values below six characters are ignored."""
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


def sanitize(text: str, limit: int = 256, *, keep_end: bool = False) -> str:
    """Remote text made fit for a status message: redacted, without markup and control characters, on one
    line, cut.

    ``limit`` is the greatest length of the result in characters. ``keep_end`` is for texts that end with
    their cause, see :func:`shorten`.
    """
    # Redacted twice: a registered value may contain a "<", and a secret may only show once markup is gone.
    text = _bounded(text, keep_end=keep_end)
    text = _MARKUP.sub(" ", _SCRIPT.sub(" ", text))
    text = "".join(map(_plain, text))
    text = " ".join(redact(text).split())
    if keep_end:
        return shorten(text, limit)
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def shorten(text: str, limit: int) -> str:
    """``text`` cut in its middle, if it is longer than ``limit``: errors that wrap each other begin with what
    was attempted and end with the cause. Of nested errors as Data Factory prints them the innermost message
    is the end; what follows it is where it came from.
    """
    if len(text) <= limit:
        return text
    nested = _NESTED_MESSAGE.findall(text)
    end = nested[-1].strip() if nested else text
    end = end[-(limit * 2 // 3) :].lstrip()
    beginning = text[: max(0, limit - len(end) - len(_GAP))].rstrip()
    return f"{beginning}{_GAP}{end}"


def _bounded(text: str, *, keep_end: bool) -> str:
    """``text`` redacted, as far as it is looked at."""
    if not keep_end or len(text) <= _MOST_STRIPPED:
        return redact(text[:_MOST_REDACTED])[:_MOST_STRIPPED]
    seen, kept = _MOST_REDACTED // 2, _MOST_STRIPPED // 2
    return f"{redact(text[:seen])[:kept]} {redact(text[-seen:])[-kept:]}"


def _plain(character: str) -> str:
    category = unicodedata.category(character)
    if category == "Cc" or category in ("Zl", "Zp"):
        return " "
    # Invisible and direction-changing characters, lone surrogates and private use go altogether.
    return "" if category.startswith("C") else character
