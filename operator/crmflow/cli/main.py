"""The command line of ``kubectl crmflow``.

Only the standard library and typer are imported here, so that ``--help`` answers at once; a command imports
what it needs when it runs.
"""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from crmflow import __version__
from crmflow.cli.options import AuthorizeOptions

app = typer.Typer(
    name="kubectl crmflow",
    help="Works on crmflow's resources with your own rights in the cluster.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


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
def authorize(
    name: Annotated[str, typer.Argument(help="The ZohoSourceConnection.", show_default=False)],
    namespace: Annotated[
        str | None,
        typer.Option("--namespace", "-n", help="Its namespace. Default: that of the kubeconfig's context."),
    ] = None,
    kubeconfig: Annotated[str | None, typer.Option(help="The kubeconfig file to use.")] = None,
    context: Annotated[str | None, typer.Option(help="The kubeconfig's context to use.")] = None,
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
        str | None, typer.Option(help="Scopes, comma-separated. Default: the smallest set that works.")
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
) -> None:
    """Get a Zoho grant by a person's consent, and store it in the Secret of a ZohoSourceConnection."""
    options = AuthorizeOptions(
        name=name,
        namespace=namespace,
        kubeconfig=kubeconfig,
        context=context,
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
