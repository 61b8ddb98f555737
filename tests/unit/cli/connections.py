"""Connections for the plugin's unit tests."""

from __future__ import annotations

from typing import Any

from crmflow.cli.connection import Connection

ORGANIZATION = "7C51A9F0C0FFEE0A495EF1A2@AdobeOrg"


def connection(
    status: dict[str, Any] | None = None, zoho: dict[str, Any] | None = None, **metadata: Any
) -> Connection:
    """``team/zoho-eu``, with a status, more of ``spec.zoho``, and metadata as the API server shows them."""
    return Connection.of(
        {
            "metadata": {"namespace": "team", "name": "zoho-eu", "generation": 1, **metadata},
            "spec": {
                "zoho": {
                    "dataCenter": "EU",
                    "credentialsSecretRef": {"name": "zoho-oauth"},
                    **(zoho or {}),
                },
                "platform": {
                    "organization": ORGANIZATION,
                    "sandbox": "prod",
                    "credentialsSecretRef": {"name": "adobe-platform"},
                },
            },
            "status": status or {},
        }
    )
