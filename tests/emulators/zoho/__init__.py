"""An emulator of Zoho Accounts and Zoho CRM REST v8; its rules are those of zoho.md."""

from .accounts import accounts_app
from .api import api_app
from .control import control_routes
from .source import ZohoAsSource
from .state import ZohoState, seeded_credentials
from .switches import ZohoSwitches

__all__ = [
    "ZohoAsSource",
    "ZohoState",
    "ZohoSwitches",
    "accounts_app",
    "api_app",
    "control_routes",
    "seeded_credentials",
]
