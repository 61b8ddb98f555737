"""What the Job of a window is told, and what it is expected to cost."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from crmflow.aep.models import Column
from crmflow.api.base import Transport
from crmflow.api.crmdataflow import DeletedRecords
from crmflow.reconcile.dataflow.state import DataflowPass, Upstream
from crmflow.reconcile.extraction import credits
from crmflow.reconcile.extraction.names import organization_label
from crmflow.reconcile.extraction.pending import PendingWindow
from crmflow.reconcile.extraction.ports import TransferCredentials, TransferOrder
from crmflow.transfer.declaration import DELETED_COLUMN, FORM_VERSION, Declaration, Way
from crmflow.transfer.declaration import DeletedRows as Marks

CURSOR = "Modified_Time"
"""What a window is about where no delta column is named, as for a flow that runs once."""
ID = "id"


@dataclass(frozen=True)
class Account:
    """Whose slots and credits a transfer takes."""

    label: str
    """Names organization and environment."""
    allowance: int
    """Credits that may be spent in 24 hours."""


def account(pass_: DataflowPass, upstream: Upstream) -> Account:
    """The organization of the connection. One that Zoho does not show stands for the connection's name."""
    organization = upstream.status.zoho_organization
    name = organization.id if organization else f"{pass_.identity.namespace}.{upstream.name}"
    edition = (organization.edition if organization else None) or ""
    reserve = pass_.services.extraction_settings.credit_reserve
    return Account(
        organization_label(name, upstream.spec.zoho.environment), credits.allowance(edition.lower(), reserve)
    )


def columns_of_files(pass_: DataflowPass, columns: Collection[str]) -> Collection[str]:
    """What a mapping may take where the dataflow reads ``columns``."""
    return {*columns, DELETED_COLUMN} if marks_deletions(pass_) else columns


def marks_deletions(pass_: DataflowPass) -> bool:
    """Whether deleted records get a row."""
    extract = pass_.spec.extract if pass_.status.transport is Transport.LANDING_ZONE else None
    return extract is not None and extract.deleted_records is DeletedRecords.MARK


def cursor_column(pass_: DataflowPass) -> str:
    """The date-time field that windows are about."""
    return pass_.spec.delta_column.name if pass_.spec.delta_column else CURSOR


def way_of(pass_: DataflowPass, one: PendingWindow, columns: Sequence[Column]) -> Way:
    """How ``one`` is read."""
    return credits.choose(one.rows, len(columns), pass_.services.extraction_settings.rows_of_bulk)


def order(
    pass_: DataflowPass,
    upstream: Upstream,
    one: PendingWindow,
    columns: Sequence[Column],
    credentials: TransferCredentials,
) -> TransferOrder:
    """The Job that reads ``one`` into a file with ``columns``, in their order."""
    zoho, zone = upstream.zoho, pass_.status.landing_zone
    if zoho is None or zone is None:
        raise ValueError("the files of a window have to come from somewhere and go somewhere")
    way = way_of(pass_, one, columns)
    declaration = Declaration(
        form_version=FORM_VERSION,
        zoho_api_url=zoho.crm_url(upstream.spec.zoho.environment),
        module=pass_.spec.source.table,
        columns=tuple(column.name for column in columns),
        date_times=tuple(column.name for column in columns if column.format == "date-time"),
        cursor=cursor_column(pass_),
        window=one.window,
        extraction=one.extraction,
        attempt=one.attempt,
        folder=zone.path.partition("/")[2],
        way=way,
        deleted_records=Marks.MARK if marks_deletions(pass_) else Marks.IGNORE,
    )
    return TransferOrder(
        identity=pass_.identity,
        job=one.job,
        declaration=declaration,
        organization=account(pass_, upstream).label,
        credits=credits.cost(way, one.rows, len(columns)),
        credentials=credentials,
    )
