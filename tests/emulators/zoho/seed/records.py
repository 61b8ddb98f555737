"""Records that look like a sales department's and belong to nobody: the same ones each time."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any

from ..model import FieldSpec, Module, Organization, Record

_FIRST_NAMES = (
    "Ada", "Bram", "Chiara", "Dario", "Elif", "Femke", "Goran", "Hanna", "Ivo", "Jana", "Kofi", "Lotte",
    "Mira", "Nils", "Oksana", "Pavel", "Quinn", "Rosa", "Sven", "Tamar", "Ugo", "Vera", "Wim", "Xenia",
    "Yusuf", "Zofia",
)  # fmt: skip
_LAST_NAMES = (
    "Aalbrook", "Birkhain", "Castelgrun", "Dovermann", "Eschwinkel", "Fjordal", "Grünthaler",
    "Hollowbeck", "Isarow", "Jantelius", "Kirschhof", "Lindewald", "Moorfield", "Norrvik", "Ostermeer",
    "Pinkwart", "Quellin", "Rosenkamp", "Silberstrand", "Tannert", "Uferlin", "Vossmeer", "Weidenau",
    "Xanten", "Ypsilanter", "Zwingli",
)  # fmt: skip
_COMPANY_WORDS = (
    "Alpine", "Baltic", "Cedar", "Delta", "Ember", "Falcon", "Granite", "Harbor", "Indigo", "Juniper",
    "Krypton", "Lumen", "Meridian", "Nordic", "Orchard", "Pioneer", "Quartz", "Riverside", "Summit",
    "Tidal",
)  # fmt: skip
_COMPANY_KINDS = (
    "Analytics", "Foods", "Logistics", "Mobility", "Optics", "Retail", "Systems", "Textiles", "Tools",
)  # fmt: skip
_PLACES = (
    ("Lindenstraße 4", "Hamburg", "Hamburg", "20095", "Germany"),
    ("Rue des Tilleuls 12", "Lyon", "Auvergne-Rhône-Alpes", "69002", "France"),
    ("Via Roma 8", "Torino", "Piemonte", "10121", "Italy"),
    ("Keizersgracht 200", "Amsterdam", "Noord-Holland", "1016 DX", "Netherlands"),
    ("Calle Mayor 31", "Zaragoza", "Aragón", "50001", "Spain"),
    ("Drottninggatan 55", "Stockholm", "Stockholms län", "111 21", "Sweden"),
)
_ADDRESS_PARTS = ("Street", "City", "State", "Zip", "Country")
_JOBS = (
    "Buyer", "Chief Executive Officer", "Head of Marketing", "IT Manager", "Plant Manager", "Sales Manager",
)  # fmt: skip
_DEPARTMENTS = ("Finance", "IT", "Marketing", "Operations", "Sales")

FIRST_CREATED = datetime(2024, 1, 8, 8, 30, tzinfo=UTC)
_BORN = date(1955, 1, 1)
_CREATED_OVER = timedelta(days=500)
_CHANGED_WITHIN = timedelta(days=120)


def display_name(record: Record) -> str:
    """What a record is called in lookups."""
    names = ("Full_Name", "Deal_Name", "Account_Name", "Name", "Subject")
    return next((record[name] for name in names if isinstance(record.get(name), str)), "")


def fill(organization: Organization, module: Module, count: int) -> None:
    """Give a module ``count`` records more."""
    first = len(module.records) + len(module.deleted)
    random = Random(f"{organization.zgid}:{module.api_name}:{first}")
    for serial in range(first, first + count):
        record = _Writer(organization, module, random, serial).record()
        module.records[record["id"]] = record


def _address(place: tuple[str, ...]) -> dict[str, str]:
    """The address under all names that Zoho's modules have for its parts."""
    address = dict(zip(_ADDRESS_PARTS, place, strict=True))
    named = {f"{kind}_{part}": text for kind in ("Mailing", "Other") for part, text in address.items()}
    code = address.pop("Zip")
    for kind in ("Billing", "Shipping"):
        named |= {f"{kind}_{part}": text for part, text in address.items()} | {f"{kind}_Code": code}
    return named | address | {"Zip_Code": code}


class _Writer:
    """Writes one record, field by field."""

    def __init__(self, organization: Organization, module: Module, random: Random, serial: int) -> None:
        self._organization = organization
        self._random = random
        self._fields = module.fields
        self._id = str(int(module.id) + 100_001 + serial)
        first, last = random.choice(_FIRST_NAMES), random.choice(_LAST_NAMES)
        company = f"{random.choice(_COMPANY_WORDS)} {random.choice(_COMPANY_KINDS)}"
        place = random.choice(_PLACES)
        created = FIRST_CREATED + random.random() * _CREATED_OVER
        modified = created + random.random() * _CHANGED_WITHIN
        owner = random.choice([user for user in organization.users.values() if user.active]).reference
        self._known: dict[str, Any] = {
            "id": self._id,
            "First_Name": first,
            "Last_Name": last,
            "Full_Name": f"{first} {last}",
            "Email": f"{first}.{last}.{serial}@example.com".lower().replace("ü", "ue"),
            "Date_of_Birth": (_BORN + timedelta(days=random.randint(0, 18_000))).isoformat(),
            "Credit_Score": round(random.uniform(100, 600), 1),
            "Secondary_Email": None,
            "Company": company,
            "Account_Name": f"{company} {serial}",
            "Deal_Name": f"{company} renewal {serial}",
            "Name": f"{company} {serial}",
            "Website": f"https://www.example.com/{company.lower().replace(' ', '-')}",
            "Title": random.choice(_JOBS),
            "Designation": random.choice(_JOBS),
            "Department": random.choice(_DEPARTMENTS),
            "External_Reference": f"EXT-{serial:06d}",
            "Owner": owner,
            "Created_By": owner,
            "Modified_By": owner,
            "Created_Time": self._instant(created),
            "Modified_Time": self._instant(modified),
            "Last_Activity_Time": self._instant(modified),
            "Tag": [],
            "Reminder": self._instant(modified),
            "Record_Image": None,
            "Locked__s": False,
            **_address(place),
        }

    def record(self) -> Record:
        return {name: self._value(spec) for name, spec in self._fields.items()}

    def _value(self, spec: FieldSpec) -> Any:
        if spec.api_name in self._known and spec.lookup is None:
            return self._known[spec.api_name]
        if spec.lookup is not None:
            return self._reference(spec.lookup)
        if spec.data_type in ("picklist", "multiselectpicklist"):
            return self._choice(spec)
        return self._by_type(spec)

    def _choice(self, spec: FieldSpec) -> Any:
        values = [value for value in spec.values if value != "-None-"]
        if spec.data_type == "multiselectpicklist":
            return sorted(self._random.sample(values, self._random.randint(0, len(values))))
        return self._random.choice(values) if values else None

    def _by_type(self, spec: FieldSpec) -> Any:
        random = self._random
        match spec.data_type:
            case "boolean":
                return random.random() < 0.3
            case "integer":
                return random.randint(0, 100)
            case "currency" | "double":
                return round(random.uniform(10, 90_000), 2)
            case "date":
                return (FIRST_CREATED.date() + timedelta(days=random.randint(0, 800))).isoformat()
            case "datetime":
                return self._instant(FIRST_CREATED + random.random() * _CREATED_OVER)
            case "phone":
                return f"+49 30 0000{random.randint(1000, 9999)}"
            case "autonumber":
                return self._id[-6:]
            case "text" if spec.json_type == "string":
                return f"{spec.label} {self._id[-4:]}" if spec.mandatory else None
            case "subform":
                return []
            case _:
                return None

    def _reference(self, module: str) -> dict[str, str] | None:
        target = self._organization.modules.get(module)
        if target is None or not target.records:
            return None
        record = self._random.choice(list(target.records.values()))
        name = next(
            (record[key] for key in ("Full_Name", "Account_Name", "Deal_Name") if record.get(key)), ""
        )
        return {"name": str(name), "id": record["id"]}

    def _instant(self, when: datetime) -> str:
        return when.astimezone(self._organization.timezone).isoformat(timespec="seconds")
