"""Names of files, folders and Jobs. They are made of what status holds, so that an operator that starts anew
finds under the same name what was begun (design.md 11; landing-zone.md K.6).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from crmflow.reconcile.external.identity import Identity
from crmflow.transfer.declaration import Window, file_name

JOB_NAME_LENGTH = 63
"""A Job's name is a label of its pods."""
LABEL_LENGTH = 63
APP_LABEL, APP = "app.kubernetes.io/name", "crmflow-transfer"
"""No selector of the operator's own Deployment matches it."""
INSTANCE_LABEL, ORGANIZATION_LABEL = "crmflow.io/instance", "crmflow.io/organization"
UID_LABEL, FILE_LABEL = "crmflow.io/dataflow-uid", "crmflow.io/window"
CURSOR_ANNOTATION = "crmflow.io/cursor"

_FILE = re.compile(r"(\d{8}T\d{6}Z)-(\d{8}T\d{6}Z)-(0|[1-9]\d{0,5})\.csv")
_FOLDER = re.compile(r"[^/]+/crmflow/[^/]+/([^/]+)/([^/]+)/[^/]+")
_UID = re.compile(r"[0-9a-f]{8}")
_TIME = "%Y%m%dT%H%M%SZ"
_JOB_PREFIX, _DIGEST_LENGTH = "crmflow-", 16


@dataclass(frozen=True, slots=True)
class FileKey:
    """What a file is named by: a window, and the n-th extraction of it. Other files of the same window hold
    the same rows.
    """

    window: Window
    extraction: int = 0

    def __str__(self) -> str:
        """The file's name within its folder."""
        return file_name(self.window, self.extraction)

    @property
    def label(self) -> str:
        """The same as the value of a label."""
        return str(self).removesuffix(".csv")

    @classmethod
    def of_label(cls, label: str) -> FileKey | None:
        """What :attr:`label` was made of; None if it isn't one of ours."""
        return cls.of(f"{label}.csv")

    @classmethod
    def of(cls, name: str) -> FileKey | None:
        """What the last part of ``name`` says; None if it isn't a name of ours."""
        match = _FILE.fullmatch(name.rpartition("/")[2])
        if match is None:
            return None
        try:
            begin, end = (datetime.strptime(text, _TIME).replace(tzinfo=UTC) for text in match.groups()[:2])
            return cls(Window(begin=begin, end=end), int(match[3]))
        except ValueError:  # no date, or an end that is not after the beginning
            return None


def folder(identity: Identity, slot_revision: int) -> str:
    """Below the container. The uid is that of the dataflow's creation: one that is made anew under the same
    name begins a folder of its own, unless it takes over the flow that reads the old one.
    """
    uid = hashlib.sha256(identity.uid.encode()).hexdigest()[:8]
    return f"crmflow/{identity.instance}/{identity.namespace}/{identity.name}/{slot_revision}-{uid}"


def is_ours(path: str) -> bool:
    """Whether ``path``, which begins with the container, is a folder that an installation of ours writes
    into.
    """
    return dataflow_of(path) is not None


def dataflow_of(path: str) -> tuple[str, str] | None:
    """Namespace and name of the dataflow whose folder ``path`` is; it begins with the container."""
    match = _FOLDER.fullmatch(path.strip("/"))
    return (match[1], match[2]) if match is not None else None


def next_folder(folder: str) -> str:
    """The folder of the successor of what had ``folder``; its revision is the first number of its name."""
    parent, _, name = folder.rpartition("/")
    revision, _, rest = name.partition("-")
    return f"{parent}/{int(revision) + 1 if revision.isdecimal() else 1}-{rest or name}"


def folders_until(folder: str) -> Iterable[str]:
    """``folder`` and those of ours that it succeeded, the first one first."""
    parent, _, name = folder.rpartition("/")
    revision, _, rest = name.partition("-")
    if _UID.fullmatch(rest) and revision.isdecimal():
        return [f"{parent}/{number}-{rest}" for number in range(int(revision) + 1)]
    return [folder]


def job_name(identity: Identity, file: FileKey, attempt: int) -> str:
    """The name of the Job that extracts ``file`` for the ``attempt``-th time, and of its Secret."""
    text = "\n".join((identity.instance, identity.uid, str(file), str(attempt)))
    digest = hashlib.sha256(text.encode()).hexdigest()[:_DIGEST_LENGTH]
    room = JOB_NAME_LENGTH - len(_JOB_PREFIX) - _DIGEST_LENGTH - 1
    readable = identity.name.replace(".", "-")[:room].rstrip("-")
    return f"{_JOB_PREFIX}{readable}-{digest}"


def job_labels(identity: Identity, file: FileKey, organization: str) -> dict[str, str]:
    """By which Jobs are found and deleted (uid), and slots are counted (instance and organization, which is
    an :func:`organization_label`).
    """
    return {
        APP_LABEL: APP,
        INSTANCE_LABEL: identity.instance,
        UID_LABEL: identity.uid,
        FILE_LABEL: file.label,
        ORGANIZATION_LABEL: organization,
    }


def organization_label(organization: str, environment: str) -> str:
    """Zoho's id of an organization in one environment."""
    text = re.sub(r"[^a-z0-9_.-]", "-", f"{organization}.{environment}".lower())
    return text[:LABEL_LENGTH].strip("-_.")
