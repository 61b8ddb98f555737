"""``kubectl crmflow new dataflow``: a manifest to review, from the columns of a table and the fields of a
schema. Nothing is written in the cluster or in Platform.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from crmflow.aep.client import PlatformClient
from crmflow.aep.collection import AnyCollection, Named
from crmflow.aep.models import Schema
from crmflow.aep.schema_registry import SCHEMAS
from crmflow.api.kinds import CRM_DATAFLOW
from crmflow.cli.annotated import noted
from crmflow.cli.cluster import Cluster
from crmflow.cli.importing.names import resource_name
from crmflow.cli.options import NewDataflowOptions
from crmflow.cli.output import write
from crmflow.cli.platform import sandbox_of
from crmflow.cli.problem import Problem
from crmflow.cli.scaffold.manifest import Wish, dataflow
from crmflow.cli.scaffold.schema_paths import paths_of
from crmflow.cli.scaffold.suggestions import suggest
from crmflow.cli.tables import table_columns
from crmflow.cli.terminal import say
from crmflow.sentences import some

_DATASET_ID = re.compile(r"[0-9a-f]{24}")
_DATASET_NAME_LENGTH = 128
_SCHEMAS: AnyCollection = SCHEMAS
Document = Mapping[str, Any]


async def new_dataflow(options: NewDataflowOptions) -> None:
    """Carry the command out. Raises Problem and RemoteError."""
    cluster = await Cluster.connect(options.cluster)
    try:
        connection = await cluster.connection(options.connection)
        taken = await cluster.names(CRM_DATAFLOW)
        async with sandbox_of(cluster, connection) as writable:
            platform = writable.read_only()
            table, columns = await table_columns(cluster, connection, platform, options.table)
            schema, document = await _schema(platform, options.schema, table)
    finally:
        await cluster.close()
    suggestions = suggest(columns, paths_of(document))
    if not suggestions.found:
        raise Problem(
            f'no column of table "{table}" fits a field of schema "{schema.title}"',
            "Name another schema with --schema, or write the mapping yourself: `kubectl crmflow explore "
            f"{connection.name} {table}` lists the columns",
        )
    name = options.name or _free_name(table, taken)
    wish = Wish(name, cluster.namespace, connection.name, table, _dataset(options.dataset, table, schema))
    text = dataflow(wish, columns, schema, suggestions)
    if options.file is None:
        write(text.rstrip("\n"))
        return
    _save(Path(options.file), text)
    say(f"Wrote {options.file}. What applying it does: kubectl crmflow plan -f {options.file}")


def _save(path: Path, text: str) -> None:
    """Write a new file. Raises Problem."""
    try:
        with path.open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except FileExistsError:
        raise Problem(f"{path} is there already", "Name another file with -o") from None
    except OSError as error:
        raise Problem(f"{path} can't be written: {error.strerror}") from None


async def _schema(platform: PlatformClient, named: str | None, table: str) -> tuple[Schema, Document]:
    """The schema that is meant, and all of it as ``xed-full`` shows it. Raises Problem and RemoteError."""
    schema_id = named if named is not None and "://" in named else await _id_of(platform, named, table)
    whole: AnyCollection = replace(_SCHEMAS, model=dict)
    document: Document = await platform.get(whole, schema_id)
    return SCHEMAS.model(document), document


async def _id_of(platform: PlatformClient, title: str | None, table: str) -> str:
    """By its title; without one, the only schema that has the table's name in its title."""
    known = await platform.list(SCHEMAS, None if title is None else Named(title))
    hits = [one for one in known if title is not None or _is_about(one.title, table)]
    if len(hits) == 1:
        return hits[0].id
    if title is not None:
        raise Problem(
            f'{len(hits) or "no"} schemas of the sandbox have the title "{title}"'
            if hits
            else f'no schema of the sandbox has the title "{title}"',
            "Name it by its $id, as its page in Platform shows it",
        )
    titles = [f'"{one.title}"' for one in (hits or known)]
    raise Problem(
        f"{'several schemas have' if hits else 'no schema has'} {table} in the title",
        f"Name the schema with --schema, by title or $id. There are {some(titles, 20)}"
        if titles
        else "The sandbox has no schema yet: create one in Platform first",
    )


def _is_about(title: str, table: str) -> bool:
    """Whether a title has the words of the table, in either number."""
    words = set(re.findall(r"[a-z0-9]+", title.lower()))
    wanted = re.findall(r"[a-z0-9]+", table.replace("_", " ").lower())
    return all(not words.isdisjoint({word, word.removesuffix("s"), f"{word}s"}) for word in wanted)


def _dataset(named: str | None, table: str, schema: Schema) -> dict[str, Any]:
    """``spec.target.dataset``."""
    if named is not None:
        return {"id": named} if _DATASET_ID.fullmatch(named) else {"name": named}
    name = f"{table} of Zoho CRM in {schema.title}".replace(",", " ")[:_DATASET_NAME_LENGTH].strip()
    return {
        "name": noted(name, "Choose: it is created if there is none of this name. --dataset names another."),
        "create": {},
    }


def _free_name(table: str, taken: Sequence[str]) -> str:
    """A name that no dataflow of the namespace has."""
    name = resource_name(table, CRM_DATAFLOW.singular, "", ())
    number = 2
    free = name
    while free in taken:
        free, number = f"{name}-{number}", number + 1
    return free
