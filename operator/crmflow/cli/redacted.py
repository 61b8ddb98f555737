"""The last hand on what is written for people: whatever got into it, no secret leaves."""

from __future__ import annotations

import io
from typing import TextIO

from crmflow.observability.redaction import redact


class RedactedStream(io.TextIOBase):
    """A text stream that takes secrets out of each line before it passes it on."""

    def __init__(self, inner: TextIO) -> None:
        self._inner = inner

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """The encoding of what it passes on."""
        return self._inner.encoding

    def writable(self) -> bool:
        """It is."""
        return True

    def isatty(self) -> bool:
        """Whether a person reads it directly."""
        return self._inner.isatty()

    def fileno(self) -> int:
        """The descriptor below."""
        return self._inner.fileno()

    def write(self, text: str) -> int:
        """Write ``text`` redacted; a secret never spans two writes, since nothing of ours splits one."""
        self._inner.write(redact(text))
        return len(text)

    def flush(self) -> None:
        """Pass on what is buffered."""
        self._inner.flush()
