"""Taking and checking a node's snapshots."""

from pathlib import Path
from typing import Annotated, Any

import typer

from penstock.cli.demo import Engine, read_engine
from penstock.cli.journals import AsJson, Home
from penstock.cli.output import print_json, print_pairs, print_table, refuse
from penstock.protocol.signing import Domain
from penstock.protocol.terms import Genesis
from penstock.venue.engine_port import open_engine
from penstock.venue.journal import JournalError
from penstock.venue.recovery import read_genesis, take_snapshot
from penstock.venue.snapshots import Snapshot, Snapshots, SnapshotWrong

snapshots = typer.Typer(help="A node's snapshots.", no_args_is_help=True)


@snapshots.command("take")
def take(home: Home, engine: Engine = "auto", as_json: AsJson = False) -> None:
    """Write a snapshot of all that is durable, from the newest one by the journal; a node may be running there."""
    try:
        found = take_snapshot(home, read_genesis(home), read_engine(engine))
    except (JournalError, OSError) as error:
        raise refuse(f"snapshot: {error}") from error
    if found is None:
        raise refuse(f"{home}: the journal is empty, there is nothing to take a snapshot of")
    (print_json if as_json else print_pairs)(shown(found))


@snapshots.command("list")
def list_snapshots(
    home: Home,
    load: Annotated[bool, typer.Option("--load", help="Load each into an engine and compare its root.")] = False,
    engine: Engine = "auto",
    as_json: AsJson = False,
) -> None:
    """Every snapshot, newest first, with its checksums checked; exits with 1 if one is wrong."""
    try:
        genesis = read_genesis(home)
    except JournalError as error:
        raise refuse(str(error)) from error
    rows = [look_at(path, home, genesis, read_engine(engine) if load else None) for path in of(home, genesis).listed()]
    if as_json:
        print_json(rows)
    else:
        print_table("snapshots", ("sequence", "engine_root", "bytes", "wrong"), [list(row.values()) for row in rows])
    if any(row["wrong"] for row in rows):
        raise typer.Exit(1)


def look_at(path: Path, home: Path, genesis: Genesis, engine: str | None) -> dict[str, Any]:
    """One row of `list`; with an engine the state is loaded too."""
    kept = of(home, genesis)
    row: dict[str, Any] = {"sequence": path.name[:16].lstrip("0"), "engine_root": "", "bytes": path.stat().st_size}
    try:
        found = kept.load(open_engine(genesis, engine), path) if engine else kept.read(path)[0]
    except (SnapshotWrong, JournalError) as wrong:
        return row | {"wrong": str(wrong)}
    return row | {"sequence": found.sequence, "engine_root": "0x" + found.engine_root.hex(), "wrong": ""}


def of(home: Path, genesis: Genesis) -> Snapshots:
    """The snapshots of a home."""
    return Snapshots(home, genesis.ruleset(), Domain(genesis.chain_id, genesis.vault).separator())


def shown(snapshot: Snapshot) -> dict[str, Any]:
    """A snapshot as it is printed."""
    return {
        "sequence": snapshot.sequence,
        "time": snapshot.time,
        "engine_root": "0x" + snapshot.engine_root.hex(),
        "file": str(snapshot.path),
        "bytes": snapshot.path.stat().st_size,
    }
