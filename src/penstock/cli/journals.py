"""Looking into a node's journal."""

from itertools import islice
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from penstock.cli.output import print_json, print_pairs, print_table, refuse
from penstock.protocol.signing import Domain, Member
from penstock.protocol.terms import Genesis
from penstock.venue.envelopes import reopen
from penstock.venue.journal import Journal, JournalError
from penstock.venue.recovery import replay_journal

journals = typer.Typer(help="A node's journal.", no_args_is_help=True)
Home = Annotated[Path, typer.Option(help="The node's home folder.", exists=True, file_okay=False)]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@journals.command("verify")
def verify_journal(home: Home, as_json: AsJson = False) -> None:
    """Read every record, execute it from genesis, and print where that leads."""
    try:
        roots = replay_journal(home, read_genesis(home))
    except JournalError as error:
        raise refuse(str(error)) from error
    found = {
        "sequence": roots.sequence,
        "ledger_entries": roots.entries,
        "engine_root": "0x" + roots.engine_root.hex(),
        "settlement_root": "0x" + roots.settlement_root.hex(),
    }
    (print_json if as_json else print_pairs)(found)


@journals.command("show")
def show_journal(
    home: Home,
    first: Annotated[int, typer.Option(help="First sequence to show.", min=1)] = 1,
    count: Annotated[int, typer.Option(help="How many commands.", min=1)] = 20,
    as_json: AsJson = False,
) -> None:
    """The commands as they were sequenced."""
    genesis = read_genesis(home)
    try:
        journal = Journal(home, genesis.ruleset(), Domain(genesis.chain_id, genesis.vault).separator(), read_only=True)
    except JournalError as error:
        raise refuse(str(error)) from error
    rows = []
    for record in islice(journal.read(first), count):
        message = reopen(record.envelope, record.signers)
        members = message.members or (Member(message.record, message.record_hash),)
        rows += [
            {
                "sequence": record.sequence,
                "time": record.time,
                "member": index,
                "signer": "0x" + record.signers[0].hex() if record.signers else "",
                "record": str(member.record),
            }
            for index, member in enumerate(members)
        ]
    journal.close()
    if as_json:
        print_json(rows)
    else:
        print_table("journal", ["sequence", "time", "member", "signer", "record"], [list(r.values()) for r in rows])


def read_genesis(home: Path) -> Genesis:
    """The genesis a home folder was made with."""
    path = home / "genesis.json"
    if not path.exists():
        raise refuse(f"{home} has no genesis.json: not a node's home")
    return msgspec.json.decode(path.read_bytes(), type=Genesis)
