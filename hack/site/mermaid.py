"""Mermaid, which draws the diagrams in the reader's browser: one file of its npm package, held by its hash.

Without it the theme would load it from a content delivery network.
"""

from __future__ import annotations

import base64
import hashlib
import subprocess
import tarfile
import tempfile
from pathlib import Path

from hack.azurite.nodejs import find_node
from hack.console import Step, ToolError
from hack.golang import cache_folder

_VERSION = "11.17.2"
_SHA512 = "V6K3C8EBdEsPFZXSKMJe6ppQOENxuHARr9GvHX4hh47lAbhMRD9qf4oEK7LoaRQxULMa80/qt5gHO73aCleBBg=="
_FILE = "package/dist/mermaid.min.js"


def fetch_mermaid() -> Path:
    """The script in the user's cache, fetched first if it is not there. Raises ToolError."""
    script = cache_folder() / "mermaid" / f"mermaid-{_VERSION}.min.js"
    if not script.exists():
        script.parent.mkdir(parents=True, exist_ok=True)
        with Step(f"Fetching Mermaid {_VERSION}"), tempfile.TemporaryDirectory() as folder:
            unfinished = script.with_suffix(".unfinished")
            unfinished.write_bytes(_script_of(_packed(Path(folder))))
            unfinished.rename(script)
    return script


def _packed(folder: Path) -> Path:
    """npm's own configuration says where packages come from."""
    node = find_node(cache_folder())
    command = [*node.npm, "pack", f"mermaid@{_VERSION}", "--silent", "--pack-destination", str(folder)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    if answer.returncode:
        raise ToolError(f"npm pack failed:\n{answer.stdout[-2000:]}{answer.stderr[-2000:]}")
    return folder / f"mermaid-{_VERSION}.tgz"


def _script_of(package: Path) -> bytes:
    digest = base64.b64encode(hashlib.sha512(package.read_bytes()).digest()).decode()
    if digest != _SHA512:
        raise ToolError(f"mermaid {_VERSION} has the hash {digest} instead of {_SHA512}: it is not used")
    with tarfile.open(package) as archive:
        member = archive.extractfile(_FILE)
        if member is None:
            raise ToolError(f"mermaid {_VERSION} has no {_FILE}")
        return member.read()
