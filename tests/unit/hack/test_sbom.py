"""The list of licenses says what each package declares, and stops what must not be shipped."""

from __future__ import annotations

from typing import Any

import pytest

from hack.console import ToolError
from hack.sbom import licenses


def _package(name: str, *terms: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "version": "1.0", "licenses": list(terms)}


def test_the_most_precise_name_of_each_license() -> None:
    classifier = {"license": {"name": "License :: OSI Approved :: BSD License"}}
    table = licenses(
        {
            "components": [
                _package("Zeta", {"expression": "MPL-2.0 AND (Apache-2.0 OR MIT)"}),
                _package("both", {"license": {"id": "BSD-3-Clause"}}, classifier),
                _package("vague", classifier),
            ]
        }
    )
    assert table.splitlines()[2:] == [
        "| both | 1.0 | BSD-3-Clause |",
        "| vague | 1.0 | BSD License |",
        "| Zeta | 1.0 | MPL-2.0 AND (Apache-2.0 OR MIT) |",
    ]


@pytest.mark.parametrize(
    ("terms", "complaint"),
    [
        ((), "names no license"),
        (({"license": {"id": "AGPL-3.0-only"}},), "AGPL-3.0-only"),
        (({"expression": "MIT AND LGPL-2.1-or-later"},), "LGPL-2.1-or-later"),
    ],
)
def test_what_must_not_be_shipped(terms: tuple[dict[str, Any], ...], complaint: str) -> None:
    with pytest.raises(ToolError, match=complaint):
        licenses({"components": [_package("thing", *terms)]})
