"""The `penstock` command."""

from typing import Annotated

import typer

from penstock import __version__
from penstock.cli.claims import claim_account, prove_account
from penstock.cli.dated import dated
from penstock.cli.demo import run_demo, run_up
from penstock.cli.homes import run_backup, run_doctor, run_follow, run_restore
from penstock.cli.journals import journals
from penstock.cli.listings import list_contract
from penstock.cli.oracle import oracles
from penstock.cli.orders import orders
from penstock.cli.queries import accounts, batches, markets
from penstock.cli.receipts import receipts
from penstock.cli.replays import replays
from penstock.cli.simulations import run_simulation
from penstock.cli.snapshots import snapshots

app = typer.Typer(
    help="Penstock: a non-custodial derivatives venue. Not audited; not for real money.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
)
app.command("demo")(run_demo)
app.command("up")(run_up)
app.command("sim")(run_simulation)
app.command("backup")(run_backup)
app.command("restore")(run_restore)
app.command("doctor")(run_doctor)
app.command("follow")(run_follow)
accounts.command("prove")(prove_account)
accounts.command("claim")(claim_account)
markets.command("list-contract")(list_contract)
app.add_typer(accounts, name="account")
app.add_typer(markets, name="market")
app.add_typer(batches, name="batch")
app.add_typer(dated, name="dated")
app.add_typer(journals, name="journal")
app.add_typer(oracles, name="oracle")
app.add_typer(orders, name="order")
app.add_typer(receipts, name="receipts")
app.add_typer(replays, name="replay")
app.add_typer(snapshots, name="snapshot")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"penstock {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Penstock: a non-custodial derivatives venue. Not audited; not for real money."""


def main() -> None:
    """Entry point."""
    app()
