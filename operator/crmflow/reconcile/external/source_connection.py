"""The source connection: the table that a flow reads (platform.md 4.2), or the folder of a landing zone that
has its files (landing-zone.md E.2).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from crmflow.aep.flow_service import SOURCE_CONNECTIONS
from crmflow.aep.models import SourceConnection, SourceFiles
from crmflow.reconcile.external.identity import Slot
from crmflow.reconcile.external.remote_object import RemoteObject, Values, observed_name

BASE_CONNECTION_ID, TABLE, COLUMNS = "/baseConnectionId", "/params/tableName", "/params/columns"
FORM, PLACE = "/data", "/params"
"""How files are written, and where they are: each is replaced as a whole."""


@dataclass(frozen=True)
class Columns:
    """The columns of a table, whose order means nothing. They are sent as explore's objects, unchanged."""

    names: frozenset[str]
    sent: Sequence[Mapping[str, Any]] = field(default=(), compare=False)


@dataclass(frozen=True)
class FileFormat:
    """How files are written. What Platform leaves out is what it takes by default."""

    format: str = "delimited"
    delimiter: str = ","
    encoding: str = "UTF-8"
    compression: str = ""

    @property
    def sent(self) -> Mapping[str, Any]:
        """As Flow Service takes it."""
        compression = {"compressionType": self.compression} if self.compression else {}
        properties = {"columnDelimiter": self.delimiter, "encoding": self.encoding, **compression}
        return {"format": self.format, "properties": properties}

    @classmethod
    def of(cls, files: SourceFiles) -> FileFormat:
        """The form of files that Platform shows."""
        delimiter = files.column_delimiter or cls.delimiter
        encoding = files.encoding.upper() or cls.encoding
        return cls(files.format, delimiter, encoding, files.compression)


@dataclass(frozen=True)
class FilePlace:
    """Where files are: a folder, or one of them. A slash at the end of a path means nothing."""

    path: str
    type: str = "folder"

    @property
    def sent(self) -> Mapping[str, Any]:
        """As Flow Service takes it."""
        return {"path": self.path, "type": self.type, "recursive": True}

    @classmethod
    def of(cls, files: SourceFiles) -> FilePlace:
        """The place of files that Platform shows."""
        return cls(files.path.strip("/"), files.type or cls.type)


def observed(remote: SourceConnection) -> Values:
    """A source connection as Platform has it."""
    files = remote.files
    return {
        **observed_name(remote),
        **({FORM: FileFormat.of(files), PLACE: FilePlace.of(files)} if files else {}),
        BASE_CONNECTION_ID: remote.base_connection_id,
        TABLE: remote.table_name,
        COLUMNS: Columns(frozenset(remote.column_names)),
    }


SOURCE_CONNECTION = RemoteObject(
    slot=Slot("source"),
    collection=SOURCE_CONNECTIONS,
    noun="source connection",
    recorded_at=("source_connection_id",),
    record=lambda remote_id: {"source_connection_id": remote_id},
    observed=observed,
    fields={
        BASE_CONNECTION_ID: "spec.connectionRef",
        TABLE: "spec.source.table",
        COLUMNS: "spec.source.columns",
    },
)
