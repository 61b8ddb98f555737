"""A JSON file that may be exchanged while the operator runs, as a mounted ConfigMap is."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Generic, TypeVar

from pydantic import BaseModel, ValidationError

_MOST_BYTES = 1024 * 1024

M = TypeVar("M", bound=BaseModel)


class UnusableFileError(Exception):
    """A file does not hold what it should; the text says what is wrong with it."""


def read_model(path: Path, model: type[M]) -> M:
    """The content of a file as ``model``. Raises UnusableFileError."""
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES)
        return model.model_validate_json(content)
    except OSError as error:
        raise UnusableFileError(error.strerror or type(error).__name__) from error
    except ValidationError as error:
        problem = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in problem["loc"])
        raise UnusableFileError(f"{where}: {problem['msg']}" if where else problem["msg"]) from error


class ReloadedFile(Generic[M]):
    """What ``path`` holds, read anew whenever the file was exchanged; ``title`` is its name for people.

    A file that can't be used is reported in the log, once; until it is mended, what was in force before
    stays.
    """

    def __init__(self, path: Path, model: type[M], title: str, log: logging.Logger) -> None:
        self._path = path
        self._model = model
        self._title = title
        self._log = log
        self._seen: object = None
        self._content: M | None = None
        self.problem = ""
        """What is wrong with what the file holds; empty while it can be used."""

    @property
    def usable(self) -> bool:
        """False while what the file holds can't be used."""
        return not self.problem

    def current(self) -> M | None:
        """The content as it is now, None if there never was a usable one; costs a look at the file's
        attributes unless it has changed.
        """
        version = file_version(self._path)
        if version != self._seen:
            self._seen = version
            try:
                self._content = read_model(self._path, self._model)
            except UnusableFileError as error:
                self.problem = str(error)
                self._log.error("The %s %s can't be used: %s", self._title, self._path, error)
            else:
                self.problem = ""
                self._log.info("Read the %s %s", self._title, self._path)
        return self._content


def file_version(path: Path) -> object:
    """Changes when the file does, also when a link on the way to it is, as in a volume of a ConfigMap."""
    try:
        status = path.stat()
    except OSError as error:
        return error.errno
    return status.st_ino, status.st_size, status.st_mtime_ns
