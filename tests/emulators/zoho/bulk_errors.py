"""Codes of bulk read: its own, or those of the rest of the API (landing-zone.md F.1, zoho.md 4)."""

from __future__ import annotations

from .call import Call
from .errors import CrmError, invalid_data, invalid_module, mandatory_not_found, module_not_supported

_MESSAGES = {
    "REQUEST_BODY_IS_EMPTY": "the request body is empty",
    "MANDATORY_NOT_FOUND": "required field not found",
    "MODULE_NOT_AVAILABLE": "the module is not available",
    "FIELD_NOT_AVAILABLE": "a field is not available",
    "JOB_NOT_SUPPORTED": "the job is not supported for this module",
    "CRITERIA_LIMIT_EXCEEDED": "the number of criteria exceeds the limit",
    "INVALID_CALLBACK_URL": "the callback URL is not valid",
    "INVALID_CALLBACK_METHOD": "the callback method is not valid",
}


def refusal(call: Call, code: str, *, name: str) -> CrmError:
    """A 400 about the member ``name`` of the query, in the words of the switch ``bulk_errors``."""
    if code == "MANDATORY_NOT_FOUND":
        return mandatory_not_found(name)
    if call.state.switches.bulk_errors == "bulk":
        return CrmError(400, code, _MESSAGES[code], {"api_name": name})
    match code:
        case "REQUEST_BODY_IS_EMPTY":
            return mandatory_not_found(name)
        case "MODULE_NOT_AVAILABLE":
            return invalid_module()
        case "JOB_NOT_SUPPORTED":
            return module_not_supported()
        case "CRITERIA_LIMIT_EXCEEDED":
            return CrmError(400, "LIMIT_EXCEEDED", _MESSAGES[code], {"param_name": name})
        case _:
            return invalid_data(name)
