"""Receipts that a client kept, looked at without a venue."""

from pathlib import Path
from typing import Annotated

import typer

from penstock.cli.output import print_json, print_pairs, print_table, refuse
from penstock.participants.receipt_file import BookDamaged, Venue, hexed, read_venue, unhexed
from penstock.participants.receipts import book_path, check_book

receipts = typer.Typer(help="Receipts that a client kept.", no_args_is_help=True)


@receipts.callback()
def receipts_root() -> None:
    """Receipts that a client kept."""


@receipts.command("check")
def check(
    path: Annotated[Path, typer.Argument(help="A book of receipts: book.jsonl, or its folder.", exists=True)],
    operator: Annotated[
        str | None, typer.Option(help="The operator's address. Default: the one the book says it was kept for.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check every signature, link and acknowledgement of a kept book. Exits with 1 if anything is wrong with it."""
    file = book_path(path)
    try:
        venue = read_venue(file)
        if operator is not None:
            venue = Venue(venue.separator, read_address(operator))
        checked = check_book(file, venue)
    except (BookDamaged, OSError) as error:
        raise refuse(str(error)) from error
    found = {
        "operator": hexed(venue.operator),
        "receipts": checked.receipts,
        "replies": checked.replies,
        "first_group": checked.first_group,
        "last_group": checked.last_group,
    }
    rows = [
        {
            "kind": fault.kind,
            "group": fault.group,
            "sequence": fault.sequence,
            "sentence": fault.sentence,
            "receipts": [hexed(wire) for wire in fault.receipts],
        }
        for fault in checked.faults
    ]
    if as_json:
        print_json(found | {"faults": rows})
    else:
        print_pairs(found | {"faults": len(rows)})
        if rows:
            shown = ["kind", "group", "sequence", "sentence"]
            print_table("faults", shown, [["" if r[c] is None else r[c] for c in shown] for r in rows])
    if rows:
        raise typer.Exit(1)


def read_address(text: str) -> bytes:
    """A 20-byte address from 0x hex. Raises typer.BadParameter."""
    address = unhexed(text)
    if address is None or len(address) != 20:
        raise typer.BadParameter(f"{text!r}: an address is 0x and 40 hex digits")
    return address
