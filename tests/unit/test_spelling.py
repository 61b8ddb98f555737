"""One spelling, that of the US, in code, pages, messages and tests."""

from __future__ import annotations

import re
import subprocess

from hack.install import ROOT

_BRITISH = re.compile(
    r"\b\w*(?:(?:organ|sanit|recogn|normal|serial|final|local|capital|initial|author|util|optim|minim|summar)is(?:e|a|i)"
    r"|behaviou|colou|favou|honou|neighbou|centre|catalogue|licence|labelled|cancelling|learnt|misspelt)\w*",
    re.IGNORECASE,
)
_WORDS_OF_OTHERS = {"cancelling", "colour_code"}
"""asyncio's, and Zoho's (zoho.md 3.5)."""
_AS_IT_WAS = ("docs/decisions/", "tests/chart/released/", "tests/upgrade/stages/", "LICENSE")
"""What is kept as it was written."""


def test_words_are_spelled_as_in_the_us() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    found = []
    for name in listed.splitlines():
        if (
            name.startswith(_AS_IT_WAS)
            or name == "tests/unit/test_spelling.py"
            or not (ROOT / name).is_file()
        ):
            continue
        text = (ROOT / name).read_bytes().decode(errors="ignore")
        found += [f"{name}: {word}" for word in _BRITISH.findall(text) if word not in _WORDS_OF_OTHERS]
    assert found == []
