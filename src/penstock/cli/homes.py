"""`penstock backup`, `restore`, `doctor` and `follow`: a home folder copied, put back, looked over, kept elsewhere."""

import asyncio
import logging
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from penstock.cli.demo import Engine, on_signals, read_engine
from penstock.cli.journals import AsJson, Home
from penstock.cli.output import REMARKS, print_json, print_pairs, print_table, refuse
from penstock.venue.backups import BackupWrong, back_up, restore
from penstock.venue.doctor import WRONG, look_over
from penstock.venue.engine_port import open_engine
from penstock.venue.follower import ask_genesis
from penstock.venue.journal import JournalError
from penstock.venue.node import Node, NodeConfig
from penstock.venue.recovery import GENESIS_NAME, read_genesis
from penstock.venue.sequencer import NodeStopped


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


def run_follow(
    url: Annotated[str, typer.Argument(help="The node to follow, http://HOST:PORT.", metavar="URL")],
    home: Annotated[Path, typer.Option(help="The follower's own home folder.", file_okay=False)],
    port: Annotated[int, typer.Option(help="Port of its gateway; 0 takes a free one.", min=0, max=65535)] = 8421,
    engine: Engine = "auto",
) -> None:
    """Keep a node's journal, verify and execute all of it again, serve its market data; stop when it differs."""
    logging.basicConfig(level=logging.WARNING)
    try:
        asyncio.run(_follow(url, home, port, read_engine(engine)))
    except (JournalError, NodeStopped, OSError) as error:
        raise refuse(f"follow: {error}") from error


async def _follow(url: str, home: Path, port: int, engine: str) -> None:
    genesis = read_genesis(home) if (home / GENESIS_NAME).exists() else await ask_genesis(url)
    node = Node(NodeConfig(home, genesis, port=port, leader=url), engine=open_engine(genesis, engine))
    await node.start()
    node.settle_memory()
    _say(f"following {url} from sequence {node.sequencer.sequence}, ruleset 0x{genesis.ruleset().hex()}")
    _say(f"open {node.url}")
    running = asyncio.create_task(node.run())
    on_signals(running.cancel)
    try:
        await running
    except asyncio.CancelledError:
        await node.stop()
        return
    raise NodeStopped(node.ended_by)


def _say(name: str) -> None:
    REMARKS.print(name, markup=False, highlight=False, soft_wrap=True)
