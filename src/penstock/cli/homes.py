"""`penstock backup`, `restore` and `doctor`: a home folder copied, put back, looked over."""

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from penstock.cli.demo import Engine, read_engine
from penstock.cli.journals import AsJson, Home
from penstock.cli.output import REMARKS, print_json, print_pairs, print_table, refuse
from penstock.venue.backups import BackupWrong, back_up, restore
from penstock.venue.doctor import WRONG, look_over
from penstock.venue.journal import JournalError


def run_backup(
    target: Annotated[Path, typer.Argument(help="The file to write, new.", metavar="FILE")],
    home: Home,
    as_json: AsJson = False,
) -> None:
    """Write a home folder into one file; a node may be running there."""
    try:
        manifest = back_up(home, target, _say)
    except (JournalError, OSError) as error:
        raise refuse(f"backup: {error}") from error
    found = {"file": str(target), "sequence": manifest.sequence, "files": len(manifest.digests)}
    (print_json if as_json else print_pairs)(found | {"bytes": target.stat().st_size})


def run_restore(
    source: Annotated[Path, typer.Argument(help="The backup.", metavar="FILE", exists=True, dir_okay=False)],
    home: Annotated[Path, typer.Option(help="The new home folder; empty or not there yet.", file_okay=False)],
    engine: Engine = "auto",
    as_json: AsJson = False,
) -> None:
    """Put a backup into a new home, execute it to its end, and say where that is."""
    try:
        reached = restore(source, home, read_engine(engine), _say)
    except (BackupWrong, JournalError, OSError) as error:
        raise refuse(f"restore: {error}") from error
    snapshot = reached.snapshot.sequence if reached.snapshot else None
    (print_json if as_json else print_pairs)({"home": str(home), "sequence": reached.sequence, "snapshot": snapshot})


def run_doctor(home: Home, as_json: AsJson = False) -> None:
    """Look a home folder over without touching it; exits with 1 if something is wrong."""
    found = look_over(home)
    if as_json:
        print_json([msgspec.to_builtins(one) for one in found])
    else:
        print_table(str(home), ("about", "verdict", "seen"), [(one.about, one.verdict, one.seen) for one in found])
    if any(one.verdict == WRONG for one in found):
        raise typer.Exit(1)


def _say(name: str) -> None:
    REMARKS.print(name, markup=False, highlight=False, soft_wrap=True)
