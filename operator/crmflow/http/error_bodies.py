"""What a service says of an error in its own words, whichever of the usual shapes they come in.

A meaning that is given to an error may be wrong; the words that it was given to are quoted beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from crmflow.http.client import Answer
from crmflow.observability.redaction import sanitize

_CODES = ("error", "error_code", "code")
_TEXTS = ("error_description", "error_message", "message")
_WRAPPERS = ("error", "errors", "data")
_LONGEST = 160
_MOST_OF_A_PAGE = 8192


@dataclass(frozen=True, slots=True)
class Said:
    """The words of an answer, sanitized."""

    code: str
    text: str
    quoted: str
    """For a message: code and text; the status, and what a page says, where there is neither."""
    fields: Mapping[str, Any]
    """The object that they stand in, as it came."""


def said_by(answer: Answer) -> Said:
    """What ``answer`` says."""
    body = answer.json_or_none()
    fields = envelope(body, (*_CODES, *_TEXTS))
    code, text = _text(fields, _CODES), _text(fields, _TEXTS)
    if words := ": ".join(part for part in (code, text) if part):
        return Said(code, text, f'"{words.rstrip(".")}"', fields)
    text = "" if body is not None else page_text(answer)
    return Said("", text, f'{answer.status} "{text}"' if text else str(answer.status), fields)


def page_text(answer: Answer) -> str:
    """What is to be read on the page that an answer is, sanitized."""
    return sanitize(answer.body[:_MOST_OF_A_PAGE].decode(errors="replace"), _LONGEST)


def envelope(body: Any, names: tuple[str, ...]) -> Mapping[str, Any]:
    """The object that holds one of the named fields as a text: the body, or the first object below what wraps
    errors.
    """
    if isinstance(body, list):
        return envelope(body[0], names) if body else {}
    if not isinstance(body, dict):
        return {}
    if _text(body, names):
        return body
    inner = (envelope(body[name], names) for name in _WRAPPERS if isinstance(body.get(name), dict | list))
    return next((found for found in inner if found), body)


def _text(fields: Mapping[str, Any], names: tuple[str, ...]) -> str:
    """The first of the named fields that holds a text."""
    texts = (sanitize(value, _LONGEST) for name in names if isinstance(value := fields.get(name), str))
    return next((text for text in texts if text), "")
