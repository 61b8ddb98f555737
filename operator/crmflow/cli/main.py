"""The command line of ``kubectl crmflow``.

Only the standard library and typer are imported here, so that ``--help`` answers at once; a command imports
what it needs when it runs.
"""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from crmflow import __version__
from crmflow.cli.kubectl import chooses_cluster
from crmflow.cli.object_names import (
    connection_names,
    dataflow_names,
    planned_names,
    resource_names,
    run_ids,
)
from crmflow.cli.options import (
    AllowlistOptions,
    ApproveOptions,
    AuthorizeOptions,
    DoctorOptions,
    ErrorsOptions,
    ExploreOptions,
    Format,
    ImportOptions,
    NewDataflowOptions,
    PlanFormat,
    PlanOptions,
    StatusOptions,
)
from crmflow.kubeconfig.options import HERE, ClusterOptions

MOST_ROWS = 100
MOST_RUNS = 10

Name = Annotated[
    str,
    typer.Argument(
        metavar="CONNECTION",
        help="The ZohoSourceConnection.",
        show_default=False,
        autocompletion=connection_names,
    ),
]
Output = Annotated[Format | None, typer.Option("--output", "-o", help="Write for programs.")]

app = typer.Typer(
    name="kubectl crmflow",
    help="Works on crmflow's resources with your own rights in the cluster.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)

new = typer.Typer(
    help="Write a manifest to review. Nothing is written in the cluster.", rich_markup_mode=None
)
app.add_typer(new, name="new")


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False,
) -> None:
    if version:
        typer.echo(f"kubectl-crmflow {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command()
@chooses_cluster
def authorize(
    name: Name,
    redirect_uri: Annotated[
        str | None,
        typer.Option(
            help="A redirect URI that is registered for the client, exactly as it is registered. "
            "Default: http://localhost:8917/callback. One that leads elsewhere implies --paste.",
        ),
    ] = None,
    paste: Annotated[
        bool,
        typer.Option("--paste", help="The browser is elsewhere: ask for the address that it ended on."),
    ] = False,
    grant_token: Annotated[
        bool,
        typer.Option(
            "--grant-token",
            help="Ask for a grant token (code) that was generated in Zoho's API console, "
            "as for a self client. It may come from standard input.",
        ),
    ] = False,
    print_only: Annotated[
        bool,
        typer.Option("--print", help="Print the Secret as YAML, in clear, instead of writing it."),
    ] = False,
    scopes: Annotated[
        str | None,
        typer.Option(
            help="Scopes, comma-separated. Default: spec.zoho.scopes, else the smallest set that works."
        ),
    ] = None,
    client_id: Annotated[
        str | None, typer.Option(help="The OAuth client. Default: clientId in the Secret.")
    ] = None,
    client_secret_file: Annotated[
        str | None,
        typer.Option(
            help="File with the client's secret, - for standard input. Default: clientSecret in the Secret.",
        ),
    ] = None,
    client_data_center: Annotated[
        str | None,
        typer.Option(
            help="Data center where the client is registered, if it is another one than "
            "spec.zoho.dataCenter, such as US.",
        ),
    ] = None,
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open the address, or only show it.")
    ] = True,
    timeout: Annotated[str, typer.Option(help="How long to wait for the consent, such as 90s.")] = "10m",
    *,
    cluster: ClusterOptions = HERE,
) -> None:
    """Get a Zoho user's consent, and store the grant in the connection's Secret.

    \b
    Examples:
      kubectl crmflow authorize zoho-eu -n team-a
      kubectl crmflow authorize zoho-eu --print | kubeseal --format yaml
    """
    options = AuthorizeOptions(
        name=name,
        cluster=cluster,
        redirect_uri=redirect_uri,
        paste=paste,
        grant_token=grant_token,
        print_only=print_only,
        scopes=scopes,
        client_id=client_id,
        client_secret_file=client_secret_file,
        client_data_center=client_data_center,
        browser=browser,
        timeout=timeout,
    )
    from crmflow.cli.authorize import authorize as run

    asyncio.run(run(options))


@app.command()
@chooses_cluster
def explore(
    name: Name,
    table: Annotated[
        str | None,
        typer.Argument(
            metavar="TABLE", help="Show this table's columns. Default: list the tables.", show_default=False
        ),
    ] = None,
    preview: Annotated[
        bool, typer.Option("--preview", help="Show rows of the table instead of its columns.")
    ] = False,
    rows: Annotated[
        int, typer.Option(min=1, max=MOST_ROWS, help="How many rows a preview shows at the most.")
    ] = 10,
    columns: Annotated[
        str | None, typer.Option(help="Columns that a preview shows, comma-separated.")
    ] = None,
    output: Output = None,
    *,
    cluster: ClusterOptions = HERE,
) -> None:
    """List the tables and columns of Zoho CRM that dataflows of a connection can read.

    \b
    Examples:
      kubectl crmflow explore zoho-eu
      kubectl crmflow explore zoho-eu Contacts -o yaml
      kubectl crmflow explore zoho-eu Contacts --preview --columns Email,Last_Name
    """
    if preview and table is None:
        raise typer.BadParameter("needs a TABLE", param_hint="--preview")
    if columns is not None and not preview:
        raise typer.BadParameter("is for --preview", param_hint="--columns")
    options = ExploreOptions(
        name=name,
        cluster=cluster,
        table=table,
        preview=preview,
        rows=rows,
        columns=_list(columns),
        output=output,
    )
    from crmflow.cli.explore import explore as run

    asyncio.run(run(options))


@app.command()
@chooses_cluster
def allowlist(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="CONNECTION",
            help="The ZohoSourceConnection whose sandbox counts. Default: the namespace's only one.",
            show_default=False,
            autocompletion=connection_names,
        ),
    ] = None,
    region: Annotated[
        str | None, typer.Option(help="The region of the sandbox, such as VA7, instead of a connection.")
    ] = None,
    output: Output = None,
    *,
    cluster: ClusterOptions = HERE,
) -> None:
    """Print the addresses that Zoho's Allowed IPs must contain, one range a line.

    They are those that Adobe Experience Platform reads Zoho CRM from, by the region of the sandbox.

    \b
    Examples:
      kubectl crmflow allowlist zoho-eu
      kubectl crmflow allowlist --region VA7 -o json
    """
    if name is not None and region is not None:
        raise typer.BadParameter("takes the place of a CONNECTION", param_hint="--region")
    options = AllowlistOptions(
        name=name,
        region=region,
        cluster=cluster,
        output=output,
    )
    from crmflow.cli.allowlist import allowlist as run

    asyncio.run(run(options))


@app.command()
@chooses_cluster
def doctor(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="CONNECTION",
            help="The ZohoSourceConnection. Default: all of the namespace.",
            show_default=False,
            autocompletion=connection_names,
        ),
    ] = None,
    live: Annotated[
        bool,
        typer.Option(
            "--live",
            help="Ask Zoho and Adobe too, from this machine, with the credentials in the Secrets. "
            "It takes one of the ten access tokens that Zoho gives in ten minutes.",
        ),
    ] = False,
    report: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Write a page to attach to an issue, too: without secrets, organizations and people.",
        ),
    ] = None,
    output: Output = None,
    *,
    cluster: ClusterOptions = HERE,
) -> None:
    """Check what a connection needs, and say what to do about what is wrong.

    It changes nothing. Its status is 1 if something failed.

    \b
    Examples:
      kubectl crmflow doctor -n team-a
      kubectl crmflow doctor zoho-eu --live --report report.md
    """
    options = DoctorOptions(
        name=name,
        cluster=cluster,
        live=live,
        report=report,
        output=output,
    )
    from crmflow.cli.doctor.command import doctor as run

    if not asyncio.run(run(options)):
        raise typer.Exit(1)


@app.command()
@chooses_cluster
def approve(
    name: Annotated[
        str,
        typer.Argument(
            metavar="DATAFLOW",
            help="The CRMDataflow.",
            show_default=False,
            autocompletion=dataflow_names,
        ),
    ],
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Approve the plan that is shown without a question.")
    ] = False,
    plan: Annotated[
        str | None,
        typer.Option(
            metavar="HASH",
            help="Approve this plan without a question, and no other one.",
            show_default=False,
        ),
    ] = None,
    *,
    cluster: ClusterOptions = HERE,
) -> None:
    """Show what would replace a dataflow's flow, and approve that plan.

    Its status is 1 if the plan is not approved.

    \b
    Examples:
      kubectl crmflow approve contacts -n team-a
      kubectl crmflow approve contacts -n team-a --plan 42a21acb6f85
    """
    options = ApproveOptions(name=name, cluster=cluster, yes=yes, plan=plan)
    from crmflow.cli.approve import approve as run

    if not asyncio.run(run(options)):
        raise typer.Exit(1)


@app.command()
@chooses_cluster
def status(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME",
            help="A ZohoSourceConnection, with all its dataflows, or a CRMDataflow. Default: everything.",
            show_default=False,
            autocompletion=resource_names,
        ),
    ] = None,
    all_namespaces: Annotated[
        bool, typer.Option("--all-namespaces", "-A", help="Look into all namespaces.")
    ] = False,
    selector: Annotated[
        str | None,
        typer.Option(
            "--selector",
            "-l",
            help="Labels of connections, which are shown with all their dataflows, or of dataflows.",
        ),
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Go on showing it on the terminal, until Ctrl-C.")
    ] = False,
    runs: Annotated[
        int, typer.Option(min=0, max=MOST_RUNS, help="How many runs of each dataflow are shown at the most.")
    ] = 3,
    output: Output = None,
    *,
    cluster: ClusterOptions = HERE,
) -> None:
    """Show connections, their dataflows and the last runs of these, and what to do about what is wrong.

    It asks the API server alone. Its status is 1 if something that is shown is not Ready, has a condition
    that is False, or has not been looked at yet.

    \b
    Examples:
      kubectl crmflow status -n team-a
      kubectl crmflow status contacts -n team-a --watch
      kubectl crmflow status -A -o json
    """
    if watch and output is not None:
        raise typer.BadParameter("is for people, not with --output", param_hint="--watch")
    options = StatusOptions(
        name=name,
        cluster=cluster,
        everywhere=all_namespaces,
        selector=selector,
        watch=watch,
        runs=runs,
        output=output,
    )
    from crmflow.cli.status.command import status as run

    if not asyncio.run(run(options)):
        raise typer.Exit(1)


@app.command()
@chooses_cluster
def errors(
    name: Annotated[
        str,
        typer.Argument(
            metavar="DATAFLOW",
            help="The CRMDataflow.",
            show_default=False,
            autocompletion=dataflow_names,
        ),
    ],
    run_id: Annotated[
        str | None,
        typer.Option(
            "--run",
            metavar="ID",
            help="The run. Default: the newest in status that has refused rows.",
            autocompletion=run_ids,
        ),
    ] = None,
    rows: Annotated[
        int, typer.Option(min=1, max=MOST_ROWS, help="How many rows are shown at the most.")
    ] = 10,
    output: Output = None,
    *,
    cluster: ClusterOptions = HERE,
) -> None:
    """Show rows that a run has refused, and why, as Adobe Experience Platform keeps them for 30 days.

    It needs spec.ingestion.errorDiagnostics. Rows are customers' data: they go to your terminal alone.

    \b
    Examples:
      kubectl crmflow errors contacts -n team-a
      kubectl crmflow errors contacts -n team-a --rows 100 -o json
    """
    options = ErrorsOptions(name=name, cluster=cluster, run=run_id, rows=rows, output=output)
    from crmflow.cli.errors import errors as run

    asyncio.run(run(options))


@app.command()
@chooses_cluster
def plan(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[KIND/]NAME",
            help="A resource of the cluster: a CRMDataflow, or connection/NAME.",
            show_default=False,
            autocompletion=planned_names,
        ),
    ] = None,
    file: Annotated[
        list[str] | None,
        typer.Option(
            "--filename", "-f", metavar="FILE", help="Manifests, - for standard input.", show_default=False
        ),
    ] = None,
    delete: Annotated[
        bool, typer.Option("--delete", help="Plan the deletion of these resources instead.")
    ] = False,
    instance: Annotated[
        str | None,
        typer.Option(
            help="The name of the installation. Default: what the namespace's objects in Platform say, "
            "else the UID of the namespace kube-system.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        PlanFormat | None, typer.Option("--output", "-o", help="Write for programs, or for a pull request.")
    ] = None,
    *,
    cluster: ClusterOptions = HERE,
) -> None:
    """Show what applying manifests would do in Adobe Experience Platform. Nothing is written anywhere.

    The operator's own planner works it out, on what Platform and Zoho CRM show now. The status is 0 if there
    is nothing to do, 2 if there is, 1 if it can't be planned or not be done.

    \b
    Examples:
      kubectl crmflow plan -f dataflow.yaml
      kubectl crmflow plan contacts -n team-a
      kubectl crmflow plan connection/zoho-eu --delete
      kubectl kustomize overlays/prod | kubectl crmflow plan -f - -o markdown
    """
    if (name is None) == (not file):
        raise typer.BadParameter("takes the place of a NAME", param_hint="--filename")
    options = PlanOptions(
        name=name,
        files=tuple(file or ()),
        delete=delete,
        instance=instance,
        cluster=cluster,
        output=output,
    )
    from crmflow.cli.plan import plan as run

    status = asyncio.run(run(options))
    if status:
        raise typer.Exit(status)


@app.command(name="import")
@chooses_cluster
def import_(
    credentials: Annotated[
        str,
        typer.Option(
            metavar="SECRET",
            help="The Secret with the credential of Adobe's Developer Console, in the namespace.",
            show_default=False,
        ),
    ],
    organization: Annotated[
        str,
        typer.Option(metavar="ID", help="The IMS organization, such as 7C51…@AdobeOrg.", show_default=False),
    ],
    sandbox: Annotated[
        str, typer.Option(metavar="NAME", help="The sandbox, such as prod.", show_default=False)
    ],
    zoho_credentials: Annotated[
        str,
        typer.Option(metavar="SECRET", help="The Secret with the Zoho grant that the manifests name."),
    ] = "zoho-oauth",
    data_center: Annotated[
        str | None,
        typer.Option(help="The data center of base connections that do not show theirs, such as EU."),
    ] = None,
    connection: Annotated[
        str | None,
        typer.Option(
            metavar="CONNECTION",
            help="The ZohoSourceConnection of flows that read the landing zone.",
            autocompletion=connection_names,
        ),
    ] = None,
    table: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FLOW=TABLE",
            help="The table of a flow that reads the landing zone, by the flow's id.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            "--output", "-o", metavar="DIR", help="Write a file for each resource. Default: print them."
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Write files anew that say something else.")
    ] = False,
    instance: Annotated[
        str | None, typer.Option(help="The name of the installation, as for plan.", show_default=False)
    ] = None,
    *,
    cluster: ClusterOptions = HERE,
) -> None:
    """Write manifests that adopt what exists in Adobe Experience Platform for Zoho CRM.

    Nothing is written there or in the cluster, and applying the manifests writes nothing there either: the
    operator's own planner has looked at each. The status is 1 if something can't be adopted, or was not
    looked at; what and why is said.

    \b
    Examples:
      kubectl crmflow import --credentials adobe-platform --organization 7C51A9F0C0FFEE0A495EF1A2@AdobeOrg \\
        --sandbox prod -o manifests
    """
    options = ImportOptions(
        credentials=credentials,
        organization=organization,
        sandbox=sandbox,
        cluster=cluster,
        zoho_credentials=zoho_credentials,
        data_center=data_center,
        connection=connection,
        tables=tuple(table or ()),
        folder=output,
        overwrite=overwrite,
        instance=instance,
    )
    from crmflow.cli.importing.command import import_ as run

    if not asyncio.run(run(options)):
        raise typer.Exit(1)


@new.command(name="dataflow")
@chooses_cluster
def new_dataflow(
    connection: Annotated[
        str,
        typer.Option(
            metavar="CONNECTION",
            help="The ZohoSourceConnection to read through.",
            show_default=False,
            autocompletion=connection_names,
        ),
    ],
    table: Annotated[
        str, typer.Option(metavar="TABLE", help="The table, such as Contacts.", show_default=False)
    ],
    schema: Annotated[
        str | None,
        typer.Option(
            metavar="SCHEMA",
            help="The schema, by title or $id. Default: the only one with the table's name in its title.",
            show_default=False,
        ),
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option(
            metavar="DATASET",
            help="The dataset, by name or id. Default: one that is created.",
            show_default=False,
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(help="The name of the resource. Default: the table's.", show_default=False),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write this file. Default: print it."),
    ] = None,
    *,
    cluster: ClusterOptions = HERE,
) -> None:
    """Write the manifest of a dataflow, with a mapping that is suggested by names and types.

    Each suggestion has its reason and is to be reviewed. What is left of columns and required fields is
    listed as comments.

    \b
    Examples:
      kubectl crmflow new dataflow --connection zoho-eu --table Contacts
      kubectl crmflow new dataflow --connection zoho-eu --table Deals --schema "CRM Deals" -o deals.yaml
    """
    options = NewDataflowOptions(
        connection=connection,
        table=table,
        cluster=cluster,
        schema=schema,
        dataset=dataset,
        name=name,
        file=output,
    )
    from crmflow.cli.scaffold.command import new_dataflow as run

    asyncio.run(run(options))


def _list(text: str | None) -> tuple[str, ...]:
    return tuple(part.strip() for part in (text or "").split(",") if part.strip())
