"""What the README shows is what there is."""

from __future__ import annotations

import re

import yaml

from hack.install import ROOT

README = (ROOT / "README.md").read_text()
DEMO = ROOT / "deploy" / "demo"
MOST_LINES = 110


def test_it_stays_short() -> None:
    assert len(README.splitlines()) <= MOST_LINES


def test_its_manifests_are_the_demos() -> None:
    files = sorted(path for path in DEMO.glob("*.yaml") if path.name[0] in "34")
    (block,) = re.findall(r"^```yaml\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    assert list(yaml.safe_load_all(block)) == [yaml.safe_load(path.read_text()) for path in files]


def test_its_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:^|`)(?:\w+=\w+ )?make ([a-z-]+)", README, re.MULTILINE))
    assert {"demo", "test", "docs"} <= named <= targets
