"""Looking into a node's journal."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from penstock.cli.output import print_json, print_pairs, print_table, refuse
from penstock.protocol.signing import Domain, Member
from penstock.protocol.terms import Genesis
from penstock.venue.disk.segments import FORMAT
from penstock.venue.envelopes import reopen
from penstock.venue.journal import Group, Journal, JournalError, JournalRecord
from penstock.venue.recovery import read_genesis, replay_journal

journals = typer.Typer(help="A node's journal.", no_args_is_help=True)
RECORD_COLUMNS: Final = ("sequence", "time", "member", "signer", "record")
GROUP_COLUMNS: Final = (
    "epoch", "number", "first_sequence", "last_sequence", "time", "previous_hash", "group_hash",
)  # fmt: skip
Home = Annotated[Path, typer.Option(help="The node's home folder.", exists=True, file_okay=False)]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@journals.command("verify")
def verify_journal(home: Home, as_json: AsJson = False) -> None:
    """Read every segment, group and record, execute it from genesis, and print where that leads."""
    try:
        genesis = read_genesis(home)
        with open_journal(home, genesis) as journal:
            stored = describe(journal)
        roots = replay_journal(home, genesis)
    except JournalError as error:
        raise refuse(str(error)) from error
    found = {
        "sequence": roots.sequence,
        "ledger_entries": roots.entries,
        "engine_root": "0x" + roots.engine_root.hex(),
        "settlement_root": "0x" + roots.settlement_root.hex(),
        "journal": stored,
    }
    (print_json if as_json else print_pairs)(found)


@journals.command("show")
def show_journal(
    home: Home,
    first: Annotated[int, typer.Option("--from", help="First sequence to show.", min=1)] = 1,
    limit: Annotated[int, typer.Option(help="How many commands, or groups.", min=1)] = 20,
    groups: Annotated[bool, typer.Option("--groups", help="The groups they were synced in, instead.")] = False,
    as_json: AsJson = False,
) -> None:
    """The commands as they were sequenced, or the groups as they were synced."""
    try:
        with open_journal(home, read_genesis(home)) as journal:
            if groups:
                rows = [show_group(group) for group in islice(journal.groups(first), limit)]
            else:
                rows = [row for record in islice(journal.read(first), limit) for row in show_record(record)]
    except JournalError as error:
        raise refuse(str(error)) from error
    if as_json:
        print_json(rows)
    else:
        columns = GROUP_COLUMNS if groups else RECORD_COLUMNS
        print_table("journal", columns, [list(row.values()) for row in rows])


@contextmanager
def open_journal(home: Path, genesis: Genesis) -> Iterator[Journal]:
    """A home's journal, for reading; a node may be writing it. Raises JournalError."""
    separator = Domain(genesis.chain_id, genesis.vault).separator()
    journal = Journal(home, genesis.ruleset(), separator, read_only=True)
    try:
        yield journal
    finally:
        journal.close()


def describe(journal: Journal) -> dict[str, Any]:
    """How the journal is stored: its format, files, groups, epochs, and what the watermark says."""
    acknowledged = journal.acknowledged()
    return {
        "format": FORMAT,
        "segments": len(journal.segments),
        "groups": journal.chain.number,
        "epochs": journal.chain.epoch,
        "last_time": journal.chain.time,
        "last_group_hash": "0x" + journal.chain.group_hash.hex(),
        "acknowledged_group": acknowledged.number,
        "acknowledged_sequence": acknowledged.sequence,
    }


def show_group(group: Group) -> dict[str, Any]:
    """One row of `show --groups`."""
    return {
        "epoch": group.epoch,
        "number": group.number,
        "first_sequence": group.first_sequence,
        "last_sequence": group.last_sequence,
        "time": group.time,
        "previous_hash": "0x" + group.previous_hash.hex(),
        "group_hash": "0x" + group.group_hash.hex(),
    }


def show_record(record: JournalRecord) -> list[dict[str, Any]]:
    """A row of `show` for each member of the command."""
    message = reopen(record.envelope, record.signers)
    members = message.members or (Member(message.record, message.record_hash),)
    return [
        {
            "sequence": record.sequence,
            "time": record.time,
            "member": index,
            "signer": "0x" + record.signers[0].hex() if record.signers else "",
            "record": str(member.record),
        }
        for index, member in enumerate(members)
    ]
