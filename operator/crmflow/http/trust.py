"""Certificate authorities that may be exchanged while the operator runs, as a mounted bundle is."""

from __future__ import annotations

import logging
import ssl
from pathlib import Path

from crmflow.reloading import file_version


class RenewedTrust:
    """Has an SSL context trust what a bundle holds now. Connections that exist stay; every later one goes by
    what was read last.

    What was trusted at first stays trusted until the process ends: OpenSSL can't take an authority out of a
    context in use. A bundle that can't be read is reported in the log, once, and changes nothing.
    """

    def __init__(self, context: ssl.SSLContext, bundle: Path, title: str, log: logging.Logger) -> None:
        """``context`` has read the bundle already; ``title`` is its name for people."""
        self._context = context
        self._bundle = bundle
        self._title = title
        self._log = log
        self._seen = file_version(bundle)

    def look(self) -> None:
        """Read the bundle if it was exchanged; costs a look at the file's attributes."""
        version = file_version(self._bundle)
        if version == self._seen:
            return
        self._seen = version
        try:
            self._context.load_verify_locations(cafile=self._bundle)
        except (OSError, ssl.SSLError) as error:
            self._log.error(
                "The %s %s can't be used, what was trusted before stays: %s",
                self._title,
                self._bundle,
                error.strerror or type(error).__name__,
            )
        else:
            self._log.info("Read the %s %s", self._title, self._bundle)
