"""The files that an import writes: those of a folder that say the same are left, others are not lost."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from crmflow.cli.importing.manifests import Manifest
from crmflow.cli.problem import Problem
from crmflow.sentences import every


def write_files(folder: Path, manifests: Sequence[Manifest], *, overwrite: bool) -> None:
    """One file for each. Raises Problem, before anything is written, if one is there and says something else:
    a person may have made their choices in it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        changed = [one for one in manifests if _is_other(folder / one.file, one.text)]
        if changed and not overwrite:
            raise Problem(
                f"{every(one.file for one in changed)} in {folder} would be written anew, and what was "
                "edited there be lost",
                "Say --overwrite, or import into another folder and compare",
            )
        for one in manifests:
            if one in changed or not (folder / one.file).exists():
                (folder / one.file).write_text(one.text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise Problem(f"{error.filename or folder} can't be written: {error.strerror}") from None


def _is_other(path: Path, text: str) -> bool:
    return path.exists() and path.read_bytes() != text.encode()
