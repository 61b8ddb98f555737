"""Organization, users, modules and fields as the CRM API shows them (zoho.md 3.2 to 3.5)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from .call import Call, integer
from .errors import CrmError, invalid_data, invalid_module, module_not_supported, required_param_missing
from .model import FieldSpec, Module, Organization, User

MODULE_STATUSES = ("visible", "user_hidden", "system_hidden", "scheduled_for_deletion")
FIELD_TYPES = ("all", "used", "unused")
_CREATED = datetime(2023, 1, 1, 12, tzinfo=UTC)

USER_TYPES: dict[str, Callable[[User], bool]] = {
    "AllUsers": lambda user: True,
    "AllActiveUsers": lambda user: user.active,
    "ActiveUsers": lambda user: user.active,
    "DeactiveUsers": lambda user: not user.active,
    "ConfirmedUsers": lambda user: user.confirmed,
    "NotConfirmedUsers": lambda user: not user.confirmed,
    "DeletedUsers": lambda user: False,
    "ActiveConfirmedUsers": lambda user: user.active and user.confirmed,
    "AdminUsers": lambda user: user.profile.name == "Administrator",
    "ActiveConfirmedAdmins": lambda user: (
        user.active and user.confirmed and user.profile.name == "Administrator"
    ),
    "CurrentUser": lambda user: True,
    "DeveloperUsers": lambda user: False,
    "ActiveLiteUser": lambda user: False,
}


def org(call: Call) -> dict[str, Any]:
    """``GET /org``: always exactly one."""
    organization = call.organization
    owner = next(iter(organization.users.values()))
    name, iso_code, symbol = organization.currency
    capitalized = call.state.switches.org_type_case == "capitalized"
    return {
        "org": [
            {
                "id": organization.id,
                "zgid": organization.zgid,
                "company_name": organization.company_name,
                "alias": organization.company_name,
                "domain_name": f"org{organization.zgid}",
                "type": organization.type.capitalize() if capitalized else organization.type,
                "primary_zuid": owner.zuid,
                "primary_email": owner.email,
                "country_code": organization.country_code,
                "time_zone": "Europe/Berlin" if organization.country_code == "DE" else "America/Chicago",
                "currency": name,
                "iso_code": iso_code,
                "currency_symbol": symbol,
                "currency_locale": iso_code,
                "mc_status": False,
                "created_time": _CREATED.isoformat().replace("+00:00", "Z"),
                "max_per_page": 200,
                "oauth_presence": True,
                "phone": None,
                "website": None,
                "license_details": _license(organization),
                "hierarchy_preferences": {"type": "Role_Hierarchy", "strictly_reporting": False},
                "privacy_settings": True,
            }
        ]
    }


def users(call: Call) -> dict[str, Any] | None:
    """``GET /users``, all of them unless ``type`` says otherwise."""
    kind = call.query.get("type", "AllUsers")
    if kind not in USER_TYPES:
        raise invalid_data("type", supported_values=list(USER_TYPES))
    page, per_page = integer(call.query, "page", 1), integer(call.query, "per_page", 200, highest=200)
    everybody = [call.user] if kind == "CurrentUser" else list(call.organization.users.values())
    chosen = [user for user in everybody if USER_TYPES[kind](user)]
    shown = chosen[(page - 1) * per_page : page * per_page]
    if not shown:
        return None
    return {
        "users": [_user(call, user) for user in shown],
        "info": {
            "per_page": per_page,
            "count": len(shown),
            "page": page,
            "more_records": page * per_page < len(chosen),
        },
    }


def modules(call: Call) -> dict[str, Any] | None:
    """``GET /settings/modules``: what the token's user may see, not paged."""
    statuses = call.query.get("status", ",".join(MODULE_STATUSES)).split(",")
    for index, status in enumerate(statuses):
        if status not in MODULE_STATUSES:
            raise invalid_data("status", index=index, supported_values=list(MODULE_STATUSES))
    shown = [
        _module(call, module, number)
        for number, module in enumerate(call.organization.modules.values(), start=1)
        if module.status in statuses and call.user.profile.may_view(module.api_name)
    ]
    return {"modules": shown} if shown else None


def module(call: Call) -> dict[str, Any]:
    """``GET /settings/modules/{api_name or id}``."""
    wanted = call.path["module"]
    for number, candidate in enumerate(call.organization.modules.values(), start=1):
        if not call.user.profile.may_view(candidate.api_name):
            continue
        if wanted in (candidate.api_name, candidate.id):
            if not candidate.api_supported:
                raise module_not_supported(resource_path_index=2)
            return {"modules": [_module(call, candidate, number)]}
    raise invalid_module(resource_path_index=2)


def nameless_module(call: Call) -> None:
    """``GET /settings/modules/`` with nothing after the slash."""
    raise CrmError(400, "INVALID_REQUEST", "the module name is empty")


def fields(call: Call) -> dict[str, Any] | None:
    """``GET /settings/fields``; None (204) for modules that have no metadata."""
    of = _of_query(call)
    kind = call.query.get("type", "all")
    if kind not in FIELD_TYPES:
        raise invalid_data("type", supported_values=list(FIELD_TYPES))
    shown = [
        _field(call, of, spec, number)
        for number, spec in enumerate(of.fields.values(), start=1)
        if kind == "all" or spec.used == (kind == "used")
    ]
    return {"fields": shown} if shown and of.field_metadata else None


def layouts(call: Call) -> dict[str, Any] | None:
    """``GET /settings/layouts``: one layout with all used fields; None (204) without metadata."""
    of = _of_query(call)
    shown = [
        _field(call, of, spec, number) for number, spec in enumerate(of.fields.values(), start=1) if spec.used
    ]
    if not shown or not of.field_metadata:
        return None
    layout = {
        "id": str(int(of.id) + 1),
        "name": "Standard",
        "display_label": "Standard",
        "status": "active",
        "visible": True,
        "has_more_profiles": False,
        "created_time": None,
        "modified_time": None,
        "profiles": _profiles(call.organization),
        "sections": [
            {
                "id": str(int(of.id) + 2),
                "name": f"{of.singular} Information",
                "display_label": f"{of.singular} Information",
                "sequence_number": 1,
                "fields": shown,
            }
        ],
    }
    return {"layouts": [layout]}


def _of_query(call: Call) -> Module:
    name = call.query.get("module")
    if not name:
        raise required_param_missing("module")
    of = call.organization.modules.get(name)
    if of is None or not of.api_supported:
        raise invalid_module()
    return of


def _license(organization: Organization) -> dict[str, Any]:
    paid = organization.edition != "free"
    return {
        "paid": paid,
        "paid_type": organization.edition,
        "trial_type": organization.trial,
        "trial_expiry": "2099-12-31T23:59:59+00:00" if organization.trial else None,
        "paid_expiry": "2099-12-31T00:00:00+00:00" if paid else None,
        "users_license_purchased": organization.users_purchased,
        "portal_users_license_purchased": 0,
    }


def _user(call: Call, user: User) -> dict[str, Any]:
    active = call.state.switches.active_user_status
    return {
        "id": user.id,
        "zuid": user.zuid,
        "email": user.email,
        "first_name": user.first_name,
        "last_name": user.last_name,
        "full_name": user.full_name,
        "status": active if user.active else "inactive",
        "confirm": user.confirmed,
        "type__s": "Regular User",
        "profile": {"id": user.profile.id, "name": user.profile.name},
        "role": {"id": str(int(user.profile.id) + 10), "name": user.role},
        "sandboxDeveloper": False,
        "locale": "en_US",
        "country_locale": "en_US",
        "created_time": _CREATED.astimezone(call.organization.timezone).isoformat(),
    }


def _module(call: Call, module: Module, number: int) -> dict[str, Any]:
    profiles = _profiles(call.organization)
    visible = module.status == "visible"
    shown: dict[str, Any] = {
        "id": module.id,
        "api_name": module.api_name,
        "module_name": module.api_name,
        "singular_label": module.singular,
        "plural_label": module.plural,
        "generated_type": module.generated_type,
        "api_supported": module.api_supported,
        "status": module.status,
        "viewable": visible and module.api_supported,
        "creatable": visible and module.api_supported,
        "editable": visible and module.api_supported,
        "deletable": visible and module.api_supported,
        "visibility": 1,
        "show_as_tab": visible,
        "sequence_number": number,
        "access_type": "org_based",
        "parent_module": {},
        "modified_time": None,
        "modified_by": None,
        "profiles": profiles,
        "profile_count": len(profiles),
    }
    if call.state.switches.module_visible_key:
        shown["visible"] = visible
    return shown


def _profiles(organization: Organization) -> list[dict[str, str]]:
    seen = {user.profile.id: user.profile.name for user in organization.users.values()}
    return [{"id": identifier, "name": name} for identifier, name in seen.items()]


def _field(call: Call, module: Module, spec: FieldSpec, number: int) -> dict[str, Any]:
    absent: Any = {"object": {}, "null": None, "list": []}[call.state.switches.absent_details]
    writable = not spec.read_only
    return {
        "id": str(int(module.id) + 500 + number),
        "api_name": spec.api_name,
        "field_label": spec.label,
        "display_label": spec.label,
        "data_type": spec.data_type,
        "json_type": spec.json_type,
        "length": spec.length,
        "system_mandatory": spec.mandatory,
        "custom_field": spec.custom,
        "read_only": spec.read_only,
        "field_read_only": spec.read_only,
        "visible": spec.used,
        "virtual_field": False,
        "type": "used" if spec.used else "unused",
        "unique": absent,
        "pick_list_values": [_pick(module, number, i, value) for i, value in enumerate(spec.values, start=1)],
        "lookup": _lookup(call.organization, spec) or absent,
        "formula": absent,
        "auto_number": absent,
        "currency": {"rounding_option": "normal", "precision": 2} if spec.data_type == "currency" else absent,
        "decimal_place": 2 if spec.data_type in ("currency", "double") else None,
        "view_type": {"view": True, "edit": writable, "quick_create": spec.mandatory, "create": writable},
        "operation_type": {
            "web_update": writable,
            "api_create": writable,
            "web_create": writable,
            "api_update": writable,
        },
        "profiles": [
            {**profile, "permission_type": "read_write" if writable else "read_only"}
            for profile in _profiles(call.organization)
        ],
        "filterable": spec.json_type not in ("jsonobject", "jsonarray") or spec.lookup is not None,
        "sortable": spec.json_type not in ("jsonobject", "jsonarray"),
        "created_source": "default",
        "display_type": -1,
        "ui_type": 1,
        "created_time": None,
        "modified_time": None,
    }


def _pick(module: Module, field_number: int, number: int, value: str) -> dict[str, Any]:
    return {
        "id": str(int(module.id) + 10_000 + field_number * 100 + number),
        "display_value": value,
        "actual_value": value,
        "reference_value": value,
        "sequence_number": number,
        "type": "used",
        "colour_code": None,
    }


def _lookup(organization: Organization, spec: FieldSpec) -> dict[str, Any]:
    target = organization.modules.get(spec.lookup or "")
    if target is None:
        return {}
    return {
        "module": {"id": target.id, "api_name": target.api_name},
        "display_label": target.plural,
        "id": target.id,
    }
