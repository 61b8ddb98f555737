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

from pydantic import BaseModel, ConfigDict, Field, ValidationError

log = logging.getLogger("crmflow.egress")

MOST_RANGES = 256

_PACKAGED = Path(__file__).with_name("ip_allow_list.json")
_MOST_BYTES = 1024 * 1024

Region = Annotated[str, Field(pattern=r"^[A-Z]{2,4}[0-9]{1,2}$")]
# As many as a status holds (api/zohosourceconnection.py).
Ranges = Annotated[tuple[IPv4Network | IPv6Network, ...], Field(min_length=1, max_length=MOST_RANGES)]


class InvalidAllowListError(Exception):
    """A file that is no IP allow list; the text says what is wrong with it."""


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

    @classmethod
    def from_file(cls, path: Path) -> IpAllowList:
        """Read a list. Raises InvalidAllowListError."""
        try:
            with path.open("rb") as file:
                content = file.read(_MOST_BYTES)
            return cls.model_validate_json(content)
        except OSError as error:
            raise InvalidAllowListError(error.strerror or type(error).__name__) from error
        except ValidationError as error:
            problem = error.errors(include_input=False, include_url=False)[0]
            where = ".".join(str(part) for part in problem["loc"])
            raise InvalidAllowListError(f"{where}: {problem['msg']}" if where else problem["msg"]) from error


@cache
def packaged_allow_list() -> IpAllowList:
    """The list that comes with this version."""
    return IpAllowList.from_file(_PACKAGED)


class AllowListFile:
    """The list in force: that of ``path``, read anew whenever the file was exchanged, else the packaged one.

    A file that is no list is reported in the log, once; until it is mended, what was in force before stays.
    """

    def __init__(self, path: str | None = None) -> None:
        self._path = Path(path) if path else None
        self._seen: object = None
        self._list: IpAllowList | None = None

    def current(self) -> IpAllowList:
        """The list as it is now; costs a look at the file's attributes unless it has changed."""
        if self._path is not None and (version := _version(self._path)) != self._seen:
            self._seen = version
            try:
                self._list = IpAllowList.from_file(self._path)
            except InvalidAllowListError as error:
                log.error("The IP allow list %s can't be used: %s", self._path, error)  # noqa: TRY400 - a person's mistake
            else:
                log.info("Read the IP allow list %s", self._path)
        return self._list or packaged_allow_list()


def _version(path: Path) -> object:
    """Changes when the file does, also when a link on the way to it is, as in a volume of a ConfigMap."""
    try:
        status = path.stat()
    except OSError as error:
        return error.errno
    return status.st_ino, status.st_size, status.st_mtime_ns
