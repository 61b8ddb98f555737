"""The organizations that exist from the start: one per environment in the home data center, one in the US."""

from __future__ import annotations

import pickle
from functools import cache

from ..data_centers import HOME, Environment
from ..model import Module, Organization, Profile, User
from .modules import ModuleSeed, module_seeds
from .records import fill

OWNER_EMAIL = "ines.falkenau@example.com"
INTEGRATION_EMAIL = "data.pipeline@example.com"

_EURO = ("Euro - EUR", "EUR", "€")
_DOLLAR = ("US Dollar - USD", "USD", "$")


def organizations() -> dict[str, Organization]:
    """All seeded organizations by zgid, each time new ones."""
    seeded: dict[str, Organization] = pickle.loads(_pickled())
    return seeded


@cache
def _pickled() -> bytes:
    """Writing the records takes ten times as long as reading them back, and every test begins with them."""
    all_of_them = [
        build_organization(1, HOME, Environment.PRODUCTION, "Nordlicht Handels GmbH", "enterprise"),
        build_organization(2, HOME, Environment.SANDBOX, "Nordlicht Handels GmbH", "enterprise"),
        build_organization(3, HOME, Environment.DEVELOPER, "Nordlicht Handels GmbH", "enterprise"),
        build_organization(
            4, "us", Environment.PRODUCTION, "Prairie Supply Inc.", "free", trial="enterprise"
        ),
    ]
    return pickle.dumps({organization.zgid: organization for organization in all_of_them})


def build_module(number: int, index: int, seed: ModuleSeed) -> Module:
    """A module of organization ``number`` without records."""
    return Module(
        id=str(_id_base(number) + index * 1_000_000),
        api_name=seed.api_name,
        singular=seed.singular,
        plural=seed.plural,
        fields=dict(seed.fields),
        generated_type=seed.generated_type,
        api_supported=seed.api_supported,
        status=seed.status,
        field_metadata=seed.field_metadata,
    )


def build_organization(
    number: int, dc: str, environment: Environment, name: str, edition: str, trial: str | None = None
) -> Organization:
    european = dc == HOME
    organization = Organization(
        id=str(_id_base(number) + 1),
        zgid=f"2008131{number:04d}",
        data_center=dc,
        environment=environment,
        company_name=name,
        type=environment.value,
        edition=edition,
        users_purchased=0 if edition == "free" else 25,
        utc_offset_hours=1 if european else -6,
        country_code="DE" if european else "US",
        currency=_EURO if european else _DOLLAR,
        users={user.id: user for user in _users(number, "2007" if european else "7007")},
        modules={},
        trial=trial,
    )
    for index, seed in enumerate(module_seeds(environment), start=1):
        organization.modules[seed.api_name] = module = build_module(number, index, seed)
        fill(organization, module, seed.records)
    return organization


def _users(number: int, account: str) -> list[User]:
    """People of one company have the same account (zuid) in all its environments, and another id in each."""
    base = _id_base(number)
    administrator = Profile(str(base + 11), "Administrator")
    standard = Profile(str(base + 12), "Standard")
    integration = Profile(str(base + 13), "Integration")

    def user(
        serial: int, first: str, last: str, profile: Profile, active: bool = True, confirmed: bool = True
    ) -> User:
        email = f"{first}.{last}@example.com".lower()
        zuid = f"{account}{1_500_000 + serial}"
        return User(str(base + 100 + serial), zuid, email, first, last, profile, active, confirmed)

    return [
        user(1, "Ines", "Falkenau", administrator),
        user(2, "Data", "Pipeline", integration),
        user(3, "Milo", "Brandwyk", standard),
        user(4, "Tess", "Ollerton", standard, active=False),
        user(5, "Ruben", "Zeewolde", standard, confirmed=False),
    ]


def _id_base(number: int) -> int:
    return 4_832_675_000_000_000_000 + number * 1_000_000_000_000
