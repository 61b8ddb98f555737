"""What went wrong, as the person in front of the terminal or the browser reads it."""

from __future__ import annotations

from crmflow import sentences
from crmflow.http.errors import RemoteError


class Problem(Exception):
    """The command can't go on: ``message`` says why, ``advice`` what to do. Both are safe to show."""

    def __init__(self, message: str, advice: str = "") -> None:
        super().__init__(message)
        self.message = sentence(message)
        self.advice = sentence(advice)

    @classmethod
    def of(cls, error: RemoteError | Problem) -> Problem:
        """A remote refusal or fault, or what is a problem already."""
        return cls(error.message, error.advice)


def sentence(text: str) -> str:
    """``text`` with a capital at its beginning and a full stop at its end."""
    return sentences.sentence(text[:1].upper() + text[1:])
