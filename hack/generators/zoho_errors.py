"""The part of the troubleshooting page that says what each of Zoho's error codes comes to."""

from __future__ import annotations

from crmflow.zoho.errors import TABLES, Treatment

_BEGIN = "<!-- Generated from operator/crmflow/zoho/errors.py: run make generate. -->\n"
_END = "<!-- End of what is generated. -->\n"
_CLASSES = {
    "Terminal": "a person",
    "Transient": "time",
    "Bug": "us: please report it",
    "Conflict": "time",
    "NotFound": "reading anew",
}


def with_zoho_errors(page: str) -> str:
    """``page`` with the tables as the code has them. Raises ValueError if it has no place for them."""
    before, _, rest = page.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not end:
        raise ValueError("the page has no place for Zoho's errors")
    return before + _BEGIN + "\n" + "\n".join(map(_table, TABLES)) + _END + after


def _table(asked: str) -> str:
    lines = [
        f"{asked}:",
        "",
        "| Zoho answers | reason | cured by | what it means, and what to do |",
        "|---|---|---|---|",
    ]
    lines += [_row(codes, meaning) for meaning, codes in _by_meaning(asked).items()]
    return "\n".join([*lines, ""])


def _by_meaning(asked: str) -> dict[Treatment, list[str]]:
    codes: dict[Treatment, list[str]] = {}
    for code, meaning in TABLES[asked].items():
        codes.setdefault(meaning, []).append(code)
    return codes


def _row(codes: list[str], meaning: Treatment) -> str:
    text = f"{meaning.message[0].upper()}{meaning.message[1:]}. {meaning.advice}".strip()
    answers = ", ".join(f"`{code}`" for code in codes)
    return f"| {answers} | `{meaning.reason}` | {_CLASSES[meaning.error_class]} | {text} |"
