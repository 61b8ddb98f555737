"""The SAS of a sandbox's landing zone: asked for when needed, shared by all who use it, renewed in good time
(landing-zone.md E.1, K.1).

It is not stored: Platform hands out the same SAS until that ends, so a restart costs one read and leaves no
copy of what opens a whole container.
"""

from __future__ import annotations

import logging
import math
from typing import Protocol

from pydantic import SecretStr

from crmflow.aep.models import LandingZoneCredentials
from crmflow.clock import Clock
from crmflow.http.errors import ErrorClass, RemoteError
from crmflow.single_flight import SingleFlight

log = logging.getLogger("crmflow.tokens")

RENEW_BEFORE_SECONDS = 86400.0
"""How long before its end another SAS is asked for; how long one is used that shows no end."""
SAME_AGAIN_SECONDS = 3600.0
"""How soon one that is about to end is asked for again: until its very end Platform hands out the same."""
FAILED_RENEWAL_PAUSE_SECONDS = 60.0
"""For how long what is there is used after a renewal that failed, before the next attempt."""
REJECTION_PAUSE_SECONDS = 120.0
"""After one that was refused another is asked for at once; if it comes again, the next time so much later."""


class SasIssuer(Protocol):
    """The sandbox. May raise RemoteError."""

    async def landing_zone_credentials(self) -> LandingZoneCredentials: ...


class LandingZoneCredential:
    """Keeps the SAS of one sandbox. Whoever comes while it is renewed gets the end of that, a failure
    included. It only reads: new credentials would end those of everybody else in the sandbox.
    """

    def __init__(self, issuer: SasIssuer, clock: Clock) -> None:
        self._issuer = issuer
        self._clock = clock
        self._flight: SingleFlight[LandingZoneCredentials] = SingleFlight()
        self._cached: LandingZoneCredentials | None = None
        self._renew_at = -math.inf
        self._rejected: SecretStr | None = None
        self._rejected_at = -math.inf
        self._rejections = 0
        self._is_rejected = False

    async def get(self) -> LandingZoneCredentials:
        """What opens the landing zone, as far as Platform knows. One whose day has come is handed out, too:
        only the blob service knows the hour. Raises RemoteError when there is none to be had.
        """
        if self._cached is not None and self._clock.now() < self._renew_at:
            return self._cached
        return await self._flight.run(self, self._renew)

    def reject(self, sas_uri: SecretStr) -> None:
        """The blob service has answered 403 to ``sas_uri``: the next caller gets what Platform hands out now.

        That may be the same one, be it that the refusal has another cause, be it that the SAS was ended
        behind Platform's back; whoever compares both can tell. Asking faster would not change it.
        """
        now = self._clock.now()
        if self._cached is None or self._cached.sas_uri != sas_uri:
            return
        if sas_uri != self._rejected or now >= self._rejected_at + REJECTION_PAUSE_SECONDS:
            self._rejected, self._rejected_at, self._renew_at = sas_uri, now, -math.inf
            self._rejections += 1
            self._is_rejected = True

    async def _renew(self) -> LandingZoneCredentials:
        rejections = self._rejections
        try:
            found = await self._issuer.landing_zone_credentials()
        except RemoteError as error:
            if error.error_class is not ErrorClass.TRANSIENT or self._cached is None or self._is_rejected:
                raise
            log.warning("the SAS of a landing zone was not renewed: %s", error)
            self._renew_at = self._clock.now() + FAILED_RENEWAL_PAUSE_SECONDS
            return self._cached
        self._cached = found
        if rejections == self._rejections:  # an answer from before a rejection says nothing of it
            self._is_rejected = False
            self._renew_at = _renew_at(found, self._clock.now())
        return found


def _renew_at(credentials: LandingZoneCredentials, now: float) -> float:
    if credentials.expires_at is None:
        return now + RENEW_BEFORE_SECONDS
    return max(credentials.expires_at - RENEW_BEFORE_SECONDS, now + SAME_AGAIN_SECONDS)
