"""Build Go programs from the modules that a ``go.mod`` and ``go.sum`` of ours pin.

``go.sum`` holds what was downloaded to its hash. The result goes to a folder named after everything that
decides it.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from hack.console import Step, ToolError, say
from hack.golang.toolchain import find_go

_LISTED = "{{.ImportPath}}\t{{.Dir}}\t{{range .GoFiles}}{{.}} {{end}}"
_LITTLE_COLLECTED = {"GOGC": "off", "GOMEMLIMIT": "2GiB"}
"""For Go's compiler and linker, which are short processes: without garbage collection below that size the
largest package took a fifth less CPU.
"""
_OF_A_LINK = 2_000_000
"""How many bytes of source compile in the time that one program takes to be linked."""
_SOON = 1.5
"""Minutes below which it is a minute."""
_TOLD_FROM = 0.05
"""What part has to be done before the rest is worth an estimate."""


class Progress:
    """How far a build is, and how long the rest takes, by the sizes of what is compiled."""

    def __init__(self, sizes: Mapping[str, int], programs: int, now: Callable[[], float] = monotonic) -> None:
        self._sizes, self._now = sizes, now
        self._all = sum(sizes.values()) + programs * _OF_A_LINK
        self._done = 0
        self._began = now()

    def after(self, package: str) -> str:
        """What to say when Go has told that it compiles ``package``. Packages that Go has kept from
        another build are not told, so less may be left than this says.
        """
        self._done += self._sizes.get(package, 0)
        share = self._done / self._all
        if share < _TOLD_FROM:
            return f"{share:.0%}"
        minutes = (self._now() - self._began) * (1 - share) / share / 60
        left = f"{minutes:.0f} minutes" if minutes >= _SOON else "a minute"
        return f"{share:.0%}, about {left} left"


def _sizes(listed: list[str]) -> dict[str, int]:
    """The size of each package's sources, from lines of :data:`_LISTED`."""
    rows = (line.split("\t") for line in listed if line.count("\t") == 2)
    return {
        package: sum((Path(folder) / name).stat().st_size for name in names.split())
        for package, folder, names in rows
    }


@dataclass(frozen=True)
class GoModule:
    """A folder with ``go.mod`` and ``go.sum``, and the programs to build from what they pin."""

    name: str
    """Also of the folder in the cache."""
    title: str
    """What it is called in messages, e.g. ``Helm``."""
    folder: Path
    versioned: str
    """The required module whose version is the programs' version."""
    packages: Mapping[str, str]
    """The Go package of each program."""
    version_variables: tuple[str, ...]
    """Go variables that get the version, for ``--version`` to tell."""
    minutes: str
    """How long a build takes on 2 cores, for the message at its start."""

    def cached_or_built(self) -> Path:
        """The folder with the programs, built first if the cache has none. Builders wait for each other.

        Raises ToolError if the build fails.
        """
        cache = cache_folder() / self.name
        folder = cache / f"{self.version}-{self.fingerprint()}"
        if folder.is_dir():
            return folder
        cache.mkdir(parents=True, exist_ok=True)
        with self._only_builder(cache / "build.lock"):
            if not folder.is_dir():  # another builder may have finished while this one waited
                self._build(find_go(cache_folder()), folder)
        return folder

    @property
    def version(self) -> str:
        """The version of :attr:`versioned` that is required, e.g. ``v1.36.3``. Raises ToolError."""
        found = re.search(rf"{re.escape(self.versioned)} (v\S+)", self._pinned("go.mod"))
        if found is None:
            raise ToolError(f"{self.folder / 'go.mod'} requires no {self.versioned}")
        return found[1]

    def fingerprint(self) -> str:
        """Changes with our code, the pinned modules, the build's flags and the platform, and with nothing
        else.
        """
        inputs = [
            self._pinned("go.mod"),
            self._pinned("go.sum"),
            *self._flags(),
            platform.system(),
            platform.machine(),
            *(path.read_text() for path in sorted(self.folder.rglob("*.go"))),
        ]
        return hashlib.sha256("\n".join(inputs).encode()).hexdigest()[:12]

    def _pinned(self, file: str) -> str:
        return (self.folder / file).read_text()

    @contextmanager
    def _only_builder(self, lock: Path) -> Iterator[None]:
        with lock.open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                say(f"Another build of {self.title} is running: waiting for it")
                fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _build(self, go: str, folder: Path) -> None:
        """Fill ``folder``, which appears only when it is complete."""
        say(f"Building {self.title} {self.version} with {go}: {self.minutes} on 2 cores, once per version")
        unfinished = folder.with_name(folder.name + ".unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir()
        with Step("Fetching the sources") as step:
            listed = self._run(go, ["list", "-deps", "-f", _LISTED, *self.packages.values()], step)
        with Step(f"Compiling up to {len(listed)} packages") as step:
            progress = Progress(_sizes(listed), len(self.packages))
            target = ["-o", f"{unfinished}/", *self.packages.values()]
            self._run(go, ["build", *self._flags(), "-v", *target], step, progress)
        for program, package in self.packages.items():
            (unfinished / _name_given_by_go(package)).rename(unfinished / program)
        unfinished.rename(folder)

    def _flags(self) -> list[str]:
        stamps = " ".join(f"-X {variable}={self.version}" for variable in self.version_variables)
        return ["-trimpath", "-buildvcs=false", "-ldflags", f"-s -w {stamps}"]

    def _run(self, go: str, arguments: list[str], step: Step, progress: Progress | None = None) -> list[str]:
        """Run a Go command, show how far it is by each line that it prints, and return the lines."""
        environment = {
            **_LITTLE_COLLECTED,
            **os.environ,
            "CGO_ENABLED": "0",
            "GOFLAGS": "-mod=readonly",
            "GOTOOLCHAIN": "local",
            "GOWORK": "off",
        }
        command = [go, *arguments]
        lines = []
        with subprocess.Popen(
            command,
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            for line in process.stdout or ():
                lines.append(line.rstrip())
                step.update(progress.after(lines[-1]) if progress else str(len(lines)))
        if process.returncode:
            reason = f"{' '.join(command[:2])} failed: the lines above say why"
            raise ToolError("\n".join([*lines[-20:], reason]))
        return lines


def cache_folder() -> Path:
    """Where what was built or fetched is kept, in the user's cache."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "crmflow"


def _name_given_by_go(package: str) -> str:
    """The last element of the package's path that is no major version."""
    return next(part for part in reversed(package.split("/")) if not re.fullmatch(r"v[0-9]+", part))
