"""Which files of a container a source connection names (landing-zone.md E.2)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from tests.emulators.blob.azurite import CONTAINER

if TYPE_CHECKING:
    from tests.emulators.blob.container import Blob

FORMATS = ("delimited", "json", "parquet")
ENCODINGS = ("UTF-8", "ISO-8859-1")
COMPRESSIONS = ("bzip2", "gzip", "deflate", "zipDeflate", "tarGzip", "tar")


def in_container(path: str) -> str | None:
    """The path below the container; None if it names another one."""
    container, _, rest = path.strip("/").partition("/")
    return rest if container == CONTAINER else None


def prefix(path: str) -> str:
    """What the names of all files at the path begin with: everything before a wildcard."""
    fixed = re.split(r"[*?]", in_container(path) or "")[0]
    return fixed if "*" in path or "?" in path else fixed.strip("/")


def chosen(blobs: Iterable[Blob], params: dict[str, Any]) -> list[Blob]:
    """The files at ``params.path``, in the order of their names."""
    path = (in_container(params["path"]) or "").strip("/")
    if "*" in path or "?" in path:
        pattern = re.compile("".join(_WILDCARDS.get(c, re.escape(c)) for c in path))
        return [blob for blob in blobs if pattern.fullmatch(blob.name)]
    if params.get("type", "folder") == "file":
        return [blob for blob in blobs if blob.name == path]
    folder = f"{path}/" if path else ""
    inside = [blob for blob in blobs if blob.name.startswith(folder)]
    deep = params.get("recursive") is True
    return [blob for blob in inside if deep or "/" not in blob.name[len(folder) :]]


_WILDCARDS = {"*": "[^/]*", "?": "[^/]"}
