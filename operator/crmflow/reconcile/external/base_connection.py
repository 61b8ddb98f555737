"""The base connection: how Platform signs in at Zoho CRM (platform.md 4.1)."""

from __future__ import annotations

from crmflow.aep.flow_service import CONNECTIONS
from crmflow.api.zohosourceconnection import BaseConnectionStatus
from crmflow.reconcile.external.identity import Slot
from crmflow.reconcile.external.remote_object import RemoteObject, observed_name

AUTH_PARAMS = "/auth/params"
"""The authentication parameters, which are replaced as a whole. Secrets among them can't be read back, so
they are never compared.
"""

BASE_CONNECTION = RemoteObject(
    slot=Slot("connection"),
    collection=CONNECTIONS,
    noun="base connection",
    recorded_at=("base_connection", "id"),
    record=lambda remote_id: {"base_connection": BaseConnectionStatus(id=remote_id) if remote_id else None},
    observed=observed_name,
)
