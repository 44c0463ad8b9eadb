"""The `penstock` command."""

from types import ModuleType
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup
from typer.main import get_command, get_group

from penstock import __version__

PLACES: Final = {
    "demo": ("demo", "run_demo"),
    "up": ("demo", "run_up"),
    "sim": ("simulations", "run_simulation"),
    "backup": ("homes", "run_backup"),
    "restore": ("homes", "run_restore"),
    "doctor": ("homes", "run_doctor"),
    "follow": ("homes", "run_follow"),
    "account": ("claims", "accounts"),
    "market": ("listings", "markets"),
    "batch": ("queries", "batches"),
    "dated": ("dated", "dated"),
    "journal": ("journals", "journals"),
    "oracle": ("oracle", "oracles"),
    "order": ("orders", "orders"),
    "receipts": ("receipts", "receipts"),
    "replay": ("replays", "replays"),
    "snapshot": ("snapshots", "snapshots"),
}
"""Which module of this folder has which command, or group of them."""


def _imported(module: str) -> ModuleType:
    """A module of this folder, by imports that whoever reads the code can follow."""
    match module:
        case "claims":
            from penstock.cli import claims

            return claims
        case "dated":
            from penstock.cli import dated

            return dated
        case "demo":
            from penstock.cli import demo

            return demo
        case "homes":
            from penstock.cli import homes

            return homes
        case "journals":
            from penstock.cli import journals

            return journals
        case "listings":
            from penstock.cli import listings

            return listings
        case "oracle":
            from penstock.cli import oracle

            return oracle
        case "orders":
            from penstock.cli import orders

            return orders
        case "queries":
            from penstock.cli import queries

            return queries
        case "receipts":
            from penstock.cli import receipts

            return receipts
        case "replays":
            from penstock.cli import replays

            return replays
        case "simulations":
            from penstock.cli import simulations

            return simulations
        case "snapshots":
            from penstock.cli import snapshots

            return snapshots
    raise ModuleNotFoundError(f"penstock.cli has no {module!r}")


class WhenAskedFor(TyperGroup):
    """Imports a command when it is asked for: all of them together take two seconds."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands: dict[str, Any] = dict.fromkeys(PLACES)  # the names, of which one is meant by a mistyped one

    def list_commands(self, ctx: Any) -> list[str]:
        """See click.Group."""
        return list(PLACES)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """See click.Group."""
        if cmd_name not in PLACES:
            return None
        module, name = PLACES[cmd_name]
        found = getattr(_imported(module), name)
        if isinstance(found, typer.Typer):
            command: Any = get_group(found)
        else:
            alone = typer.Typer(add_completion=False, pretty_exceptions_show_locals=False)
            alone.command(cmd_name)(found)
            command = get_command(alone)
        command.name = cmd_name
        return command


app = typer.Typer(
    cls=WhenAskedFor,
    help="Penstock: a non-custodial derivatives venue. Not audited; not for real money.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
)


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
