"""The addresses that Platform's batch sources connect from, by region of the sandbox (platform.md 14).

Adobe changes them without telling the owner of a source, so they are data: ``ip_allow_list.json`` beside this
module, or a file of the same shape that is mounted in its place and may be exchanged at any time.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import cache
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from crmflow.reloading import ReloadedFile, read_model

log = logging.getLogger("crmflow.egress")

MOST_RANGES = 256

_PACKAGED = Path(__file__).with_name("ip_allow_list.json")

Region = Annotated[str, Field(pattern=r"^[A-Z]{2,4}[0-9]{1,2}$")]
# As many as a status holds (api/zohosourceconnection.py).
Ranges = Annotated[tuple[IPv4Network | IPv6Network, ...], Field(min_length=1, max_length=MOST_RANGES)]


class IpAllowList(BaseModel):
    """The address ranges of every region that Adobe publishes some for."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    source: str
    """Where the ranges come from, for people."""
    regions: Annotated[Mapping[Region, Ranges], Field(min_length=1)]
    """Ranges in CIDR notation by a sandbox's ``region``, such as ``VA7`` (platform.md 13)."""

    def ranges_of(self, region: str) -> tuple[str, ...]:
        """The ranges of a region in CIDR notation, in the order of the list; none if it names none."""
        return tuple(str(network) for network in self.regions.get(region.upper(), ()))


@cache
def packaged_allow_list() -> IpAllowList:
    """The list that comes with this version."""
    return read_model(_PACKAGED, IpAllowList)


class AllowListFile:
    """The list in force: that of ``path`` once it can be used, else the packaged one."""

    def __init__(self, path: str | None = None) -> None:
        self._file = (
            ReloadedFile(Path(path), IpAllowList, "IP allow list (CRMFLOW_IP_ALLOW_LIST)", log)
            if path
            else None
        )

    def current(self) -> IpAllowList:
        """The list as it is now."""
        return (self._file.current() if self._file else None) or packaged_allow_list()

    @property
    def usable(self) -> bool:
        """False while there is a file that can't be used; it is looked at."""
        self.current()
        return self._file is None or self._file.usable
