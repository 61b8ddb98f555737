"""What is wrong with a value in a user's Secret, though it looks right where it was pasted from.

OAuth 2.0 gives identifiers, secrets and tokens nothing but printable ASCII (RFC 6749, appendix A): what holds
anything else can't be right, and is refused before anybody is asked. What only looks odd may be right all the
same; it is used, and named once the service has refused it. Neither ever shows the value.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from crmflow.sentences import every

_ONCE = "Put the plain value there: under stringData as it is, or under data, encoded in base64 exactly once."
_ALONE = "Put the value alone there, on one line."
_AGAIN = "Copy the value again from where it was issued."
_UTF_8 = "Write it from a file in UTF-8 without a byte order mark."

_BOM = "\ufeff"
_NO_UTF_8 = "\ufffd"
_SHORTEST_BASE64 = 16
_QUOTES = "\"'`"

_OWN_NAME = re.compile(
    r"(?i)(?:export\s+)?[\w.-]*(?:client|refresh|grant|access|auth)?[_.-]?(?:id|secret|token|code)[\"']?\s*[=:]\s*[^\s=]"
)
_SCHEME = re.compile(r"(?i)(?:bearer|basic|zoho-oauthtoken)\s")
_PLACEHOLDER = re.compile(r"<[^<>]*>|\$\{[^{}]*\}|\$\([^()]*\)|\{\{.*\}\}|%[A-Za-z_]+%")


@dataclass(frozen=True)
class Flaw:
    """What is wrong with the value of a key, and how to make it right."""

    key: str
    what: str
    """Goes on after the key: "begins with …"."""
    fix: str

    def __str__(self) -> str:
        return f"{self.key} {self.what}. {self.fix}"


class InvalidValuesError(Exception):
    """Values of a Secret that can't be right."""

    def __init__(self, flaws: tuple[Flaw, ...]) -> None:
        super().__init__(flaws)
        self.flaws = flaws

    @property
    def what(self) -> str:
        """What is wrong."""
        return every(f"{flaw.key} {flaw.what}" for flaw in self.flaws)

    @property
    def fix(self) -> str:
        """How to make it right."""
        return " ".join(dict.fromkeys(flaw.fix for flaw in self.flaws))

    def __str__(self) -> str:
        return f"{self.what}. {self.fix}"


def impossible(key: str, value: str) -> Flaw | None:
    """Why ``value`` can't be what OAuth 2.0 knows as ``key``; white space around it is not part of it."""
    return _first(key, value.strip(), (_object, _encoding, _character))


def suspicious(key: str, value: str) -> Flaw | None:
    """What is odd about a value that is possible."""
    return _first(key, value.strip(), (_placeholder, _quotes, _name, _base64, _spaces))


Found = tuple[str, str] | None
"""What is wrong, and how to make it right."""


def _first(key: str, text: str, looks: Iterable[Callable[[str], Found]]) -> Flaw | None:
    return next((Flaw(key, *found) for look in looks if (found := look(text)) is not None), None)


def _object(text: str) -> Found:
    try:
        content = json.loads(text.lstrip(_BOM))
    except (ValueError, RecursionError):
        return None
    if not isinstance(content, dict):
        return None
    return "is a whole JSON object", "Give each of its values a key of its own in the Secret."


def _encoding(text: str) -> Found:
    if "\0" in text:
        return "is text in UTF-16, as Windows PowerShell writes it", _UTF_8
    if _NO_UTF_8 in text:
        return "is no text in UTF-8", _ONCE
    if text.startswith(_BOM):
        return "begins with a byte order mark (BOM), which nobody sees", _UTF_8
    return None


def _character(text: str) -> Found:
    """The first character that is not printable ASCII; those that nobody sees go before."""
    category = unicodedata.category
    if invisible := next((c for c in text if category(c) in ("Cf", "Cs", "Co", "Cn")), None):
        return f"contains the invisible character {_named(invisible)}", _AGAIN
    if any(separator in text for separator in "\n\r\u2028\u2029\x85"):
        return "has several lines", _ALONE
    if control := next((c for c in text if category(c) == "Cc"), None):
        return f"contains the control character U+{ord(control):04X}", _AGAIN
    if foreign := next((c for c in text if not c.isascii()), None):
        where_from = "a word processor or a chat may have put it"
        return f"contains {_named(foreign)}, which no credential does; {where_from}", _AGAIN
    return None


def _placeholder(text: str) -> Found:
    filled = _PLACEHOLDER.fullmatch(text) is None
    return (
        None
        if filled
        else ("looks like a placeholder that nothing has filled in", "Put the value itself there.")
    )


def _quotes(text: str) -> Found:
    if len(text) > 1 and text[0] in _QUOTES and text[-1] == text[0]:
        return "is surrounded by quotes", "Leave them out, unless they are part of the value."
    if text[:1] in _QUOTES or text[-1:] in f"{_QUOTES},;" or text.endswith(("\\n", "\\r")):
        return (
            "begins or ends with a quote, a comma, a semicolon or \\n",
            "Leave out what is no part of the value.",
        )
    return None


def _name(text: str) -> Found:
    if _OWN_NAME.match(text) or _SCHEME.match(text):
        return "begins with a name in front of the value", "Leave out the name and what separates it."
    return None


def _base64(text: str) -> Found:
    """Sixteen characters of base64 decode to printable ASCII by chance once in 100,000 times."""
    try:
        decoded = base64.b64decode(text, validate=True).decode("ascii").strip()
    except (binascii.Error, ValueError):
        return None
    is_text = len(text) >= _SHORTEST_BASE64 and decoded and decoded.isprintable()
    return ("looks encoded in base64 twice", _ONCE) if is_text else None


def _spaces(text: str) -> Found:
    return ("has white space inside", _ALONE) if any(map(str.isspace, text)) else None


def _named(character: str) -> str:
    name = unicodedata.name(character, "")
    return f"U+{ord(character):04X}" + (f" ({name})" if name else "")
