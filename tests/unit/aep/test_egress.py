"""The IP allow list: what is packaged, and the file that takes its place."""

from __future__ import annotations

import json
import logging
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from crmflow.aep.egress import AllowListFile, IpAllowList, packaged_allow_list
from crmflow.reloading import UnusableFileError, read_model

OTHER = {
    "source": "a ticket with Adobe",
    "regions": {"VA7": ["192.0.2.0/24"], "GBR9": ["2001:db8::/32", "198.51.100.7"]},
}


def _write(path: Path, content: Any) -> None:
    path.write_text(content if isinstance(content, str) else json.dumps(content))


def test_the_packaged_list_has_the_published_regions() -> None:
    packaged = packaged_allow_list()
    counts = {region: len(packaged.ranges_of(region)) for region in packaged.regions}
    assert counts == {"VA7": 22, "NLD2": 7, "AUS5": 10, "CAN2": 8, "IND2": 9}
    assert packaged.ranges_of("NLD2")[0] == "13.69.67.192/28"
    assert "20.119.28.57/32" in packaged.ranges_of("VA7")
    every = [ip_network(text) for region in packaged.regions for text in packaged.ranges_of(region)]
    assert len(set(every)) == len(every)
    assert not any(network.is_private for network in every)


def test_a_region_is_found_in_any_case_and_an_unknown_one_has_no_ranges() -> None:
    assert packaged_allow_list().ranges_of("va7") == packaged_allow_list().ranges_of("VA7")
    assert packaged_allow_list().ranges_of("GBR9") == packaged_allow_list().ranges_of("") == ()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "Invalid JSON"),
        ("<html>", "Invalid JSON"),
        ({"source": "x"}, "regions: Field required"),
        ({"regions": {"VA7": ["192.0.2.0/24"]}}, "source: Field required"),
        ({"source": "x", "regions": {}}, "regions"),
        ({"source": "x", "regions": {"VA7": []}}, "regions.VA7"),
        ({"source": "x", "regions": {"va7": ["192.0.2.0/24"]}}, "regions.va7"),
        ({"source": "x", "regions": {"VA7": ["192.0.2.1/24"]}}, "regions.VA7.0"),
        ({"source": "x", "regions": {"VA7": ["192.0.2.0-192.0.2.9"]}}, "regions.VA7.0"),
        ({"source": "x", "regions": {"VA7": ["192.0.2.0/24"]}, "streaming": {}}, "streaming"),
    ],
)
def test_what_is_no_list_is_named(tmp_path: Path, content: Any, says: str) -> None:
    _write(tmp_path / "list.json", content)
    with pytest.raises(UnusableFileError, match=says):
        read_model(tmp_path / "list.json", IpAllowList)


def test_without_a_file_the_packaged_list_is_in_force() -> None:
    assert AllowListFile().current() is packaged_allow_list()


def test_a_file_replaces_the_packaged_list_and_is_read_anew_when_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "list.json"
    _write(path, OTHER)
    file = AllowListFile(str(path))
    assert file.current().ranges_of("VA7") == ("192.0.2.0/24",)
    assert file.current().ranges_of("GBR9") == ("2001:db8::/32", "198.51.100.7/32")
    assert file.current() is file.current()
    _write(path, {"source": "x", "regions": {"VA7": ["203.0.113.0/24", "192.0.2.0/24"]}})
    assert file.current().ranges_of("VA7") == ("203.0.113.0/24", "192.0.2.0/24")
    assert file.current().ranges_of("GBR9") == ()


def test_a_volume_of_a_config_map_changes_by_its_links(tmp_path: Path) -> None:
    for name, address in (("..1", "192.0.2.0/24"), ("..2", "192.0.2.9/32")):
        (tmp_path / name).mkdir()
        _write(tmp_path / name / "list.json", {"source": "x", "regions": {"VA7": [address]}})
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "list.json").symlink_to("..data/list.json")
    file = AllowListFile(str(tmp_path / "list.json"))
    assert file.current().ranges_of("VA7") == ("192.0.2.0/24",)
    (tmp_path / "..new").symlink_to("..2")
    (tmp_path / "..new").replace(tmp_path / "..data")
    assert file.current().ranges_of("VA7") == ("192.0.2.9/32",)


@pytest.mark.parametrize("content", [None, "{", {"source": "x", "regions": {"VA7": ["here"]}}])
def test_a_bad_file_is_reported_once_and_what_was_in_force_stays_until_it_is_mended(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: Any
) -> None:
    path = tmp_path / "list.json"
    if content is not None:
        _write(path, content)
    file = AllowListFile(str(path))
    with caplog.at_level(logging.ERROR, "crmflow.egress"):
        assert file.current() is file.current() is packaged_allow_list()
    [record] = caplog.records
    assert str(path) in record.getMessage()

    _write(path, OTHER)
    good = file.current()
    assert good.ranges_of("VA7") == ("192.0.2.0/24",)
    path.unlink()
    assert file.current() is good


def test_whether_the_file_can_be_used_shows(tmp_path: Path) -> None:
    path = tmp_path / "list.json"
    file = AllowListFile(str(path))
    assert not file.usable
    _write(path, OTHER)
    assert file.usable
    path.unlink()
    assert not file.usable
    assert file.current().ranges_of("GBR9"), "what was in force before stays"
    assert AllowListFile().usable
