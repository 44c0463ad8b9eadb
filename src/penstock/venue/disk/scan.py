"""What a journal's bytes mean: whole groups, then at most one that was never wholly written, then zeros.

A pure function of bytes, so that tests may give it every torn and every damaged journal there is.
"""

from collections.abc import Iterable
from hashlib import sha256

from msgspec import Struct

from penstock.venue.disk.groups import HEADER, Chain, Group, GroupHeader, after, chain_start, hash_of, unpack_header
from penstock.venue.disk.refusals import JournalForeign
from penstock.venue.disk.sectors import (
    BEGINS,
    CONTINUES,
    HEADS,
    PAYLOAD,
    SECTOR,
    Written,
    is_blank,
    look,
    place,
    unseal,
)
from penstock.venue.disk.segments import MAGIC, Identity, Part, check_segment_header, first_sequence
from penstock.venue.disk.watermark import Watermark


class Whole(Struct, frozen=True):
    """A group that reads back, the bytes of its records, and the sector behind it."""

    group: Group
    records: bytes
    end: int


class Unfinished(Struct, frozen=True):
    """No whole group here. `sectors` is how many it was to have, None if that was not written either."""

    sectors: int | None


class End(Struct, frozen=True):
    """Where a segment's good groups end: the sector behind them, and the one behind what is torn there."""

    chain: Chain
    sector: int
    torn: int


class Scanned(Struct, frozen=True):
    """A journal: its chain, the segment and sector where the next group goes if it fits, and what is torn there.

    `starts` holds the chain before each segment that has been started.
    """

    chain: Chain
    segment: int
    sector: int
    torn: int
    starts: dict[int, Chain]


def scan(parts: Iterable[Part], identity: Identity, acknowledged: Watermark) -> Scanned:
    """Follow the groups through all segments. Raises JournalCorrupt or JournalForeign."""
    chain, end, last, starts = None, None, None, {}
    for part in parts:
        if chain is None:
            chain = _check_first(part, identity)
        if end is None or (end.torn == end.sector and not is_blank(part.content)):
            if last is not None and last.number != part.number - 1:
                raise part.damage(0, f"the segment is in use, segment {part.number - 1} is empty")
            starts[part.number] = chain
            end, last = scan_segment(part, identity, chain, acknowledged), part
            chain = end.chain
        elif not is_blank(part.content):
            assert last is not None
            raise last.damage(end.sector, f"an unfinished group, and segment {part.number} behind it is in use")
    assert chain is not None and end is not None and last is not None, "a journal has a segment"
    _check_kept(last, end, acknowledged)
    return Scanned(chain, last.number, end.sector, end.torn, starts)


def scan_segment(part: Part, identity: Identity, chain: Chain, acknowledged: Watermark) -> End:
    """Follow the groups through one segment that goes on behind `chain`. Raises JournalCorrupt or JournalForeign."""
    state = look(part.content, 0, HEADS, place(part.number, 0))
    if state is Written.UNFINISHED and part.number > 1:
        return End(chain, 0, _check_torn(part, 0, Unfinished(None), chain))
    if state is not Written.WHOLE:
        raise part.damage(0, "the segment's header does not match its checksum")
    check_segment_header(part, identity, chain)
    return find_end(part, 1, chain, acknowledged)


def find_end(part: Part, sector: int, chain: Chain, acknowledged: Watermark) -> End:
    """Follow the groups from that sector of a segment on. Raises JournalCorrupt."""
    while sector < part.sectors:
        found = read_group(part, sector, chain)
        if isinstance(found, Unfinished):
            return End(chain, sector, _check_torn(part, sector, found, chain))
        chain = after(found.group)
        if chain.number == acknowledged.number and chain.group_hash != acknowledged.group_hash:
            raise part.damage(sector, f"group {chain.number} is not the one that was acknowledged under this number")
        sector = found.end
    return End(chain, sector, sector)


def read_group(part: Part, sector: int, chain: Chain) -> Whole | Unfinished:
    """The group behind `chain`, if all of it was written. Raises JournalCorrupt for what no torn write leaves."""
    content, number = part.content, chain.number + 1
    begun = place(part.number, number)
    state = look(content, sector, BEGINS, begun)
    if state is Written.UNFINISHED:
        return Unfinished(None)
    if state is Written.WRONG:
        raise part.damage(sector, _why_wrong(part, sector, number))
    at = sector * SECTOR
    try:
        header = unpack_header(bytes(content[at : at + HEADER]))
    except ValueError as error:
        raise part.damage(sector, str(error)) from error
    _check_header(part, sector, header, chain)
    rest = unseal(content, sector + 1, header.sectors - 1, begun)
    if rest is None:
        _check_rest(part, sector, header, begun)
        return Unfinished(header.sectors)
    joined = b"".join([content[at : at + PAYLOAD], *rest])
    records = joined[HEADER : HEADER + header.length]
    if sha256(records).digest() != header.digest:
        raise part.damage(sector, f"the records of group {number} are not those it was written with")
    group = Group(
        header.epoch, number, header.first_sequence, header.last_sequence, header.previous_hash,
        hash_of(joined[:HEADER]), header.time,
    )  # fmt: skip
    return Whole(group, records, sector + header.sectors)


def _check_first(part: Part, identity: Identity) -> Chain:
    """The chain before the first segment. Raises JournalForeign when it is none of ours, JournalCorrupt if damaged."""
    if is_blank(part.content):
        raise part.damage(0, "the first segment is empty")
    if look(part.content, 0, HEADS, place(part.number, 0)) is not Written.WHOLE:
        if not part.content.startswith(MAGIC):
            raise JournalForeign(f"{part.path}: not a segment of a Penstock journal, or its first bytes are damaged")
        raise part.damage(0, "the segment's header does not match its checksum")
    return chain_start(identity.ruleset, identity.separator, first_sequence(part.content))


def _check_header(part: Part, sector: int, header: GroupHeader, chain: Chain) -> None:
    """Raises JournalCorrupt when the header does not go on where the chain stands."""
    if header.number != chain.number + 1:
        raise part.damage(sector, f"group {header.number} after group {chain.number}")
    if header.previous_hash != chain.group_hash:
        raise part.damage(sector, f"group {header.number} names another group before it")
    if header.first_sequence != chain.sequence + 1 or header.last_sequence < header.first_sequence:
        raise part.damage(sector, f"sequences {header.first_sequence} to {header.last_sequence} after {chain.sequence}")
    if header.epoch < chain.epoch or header.time < chain.time:
        raise part.damage(sector, f"group {header.number} goes back in epoch or time")
    if sector + header.sectors > part.sectors:
        raise part.damage(sector, f"group {header.number} reaches beyond its segment")


def _check_rest(part: Part, sector: int, header: GroupHeader, begun: int) -> None:
    """Raises JournalCorrupt when a sector of an unfinished group is wrong, and not only not written."""
    for following in range(sector + 1, sector + header.sectors):
        if look(part.content, following, CONTINUES, begun) is Written.WRONG:
            raise part.damage(following, f"a sector of group {header.number} does not match its checksum")


def _check_torn(part: Part, sector: int, found: Unfinished, chain: Chain) -> int:
    """The sector behind the last byte of an unfinished group; `sector` when there are only zeros.

    Raises JournalCorrupt when a group behind it was written, which only happens once this one was whole and synced,
    and for bytes that no write of this one group leaves.
    """
    content, start = part.content, sector * SECTOR
    if is_blank(content, start):
        return sector
    number = chain.number + 1
    begun = place(part.number, number)
    end = sector + -(-len(content[start:].rstrip(b"\0")) // SECTOR)
    if found.sectors is not None and end > sector + found.sectors:
        raise part.damage(sector + found.sectors, f"bytes behind group {number}, which is not whole itself")
    for at in range(sector, end):
        if at == sector or look(content, at, CONTINUES, begun) is not Written.WRONG:
            continue
        # The header of a later segment and its first group are one write, so the one may be there without the other.
        if sector == 0 and at == 1 and look(content, at, BEGINS, begun) is not Written.WRONG:
            continue
        trailer = at * SECTOR + PAYLOAD
        if content[trailer : trailer + len(BEGINS)] == BEGINS:
            raise part.damage(sector, f"group {number} is not whole, and another was written at byte {at * SECTOR}")
        raise part.damage(at, f"a sector behind group {chain.number} does not match its checksum")
    return end


def _check_kept(part: Part, end: End, acknowledged: Watermark) -> None:
    """Raises JournalCorrupt when something acknowledged is not there."""
    if end.chain.number < acknowledged.number:
        raise part.damage(
            end.sector,
            f"the journal ends at group {end.chain.number}, sequence {end.chain.sequence}; "
            f"group {acknowledged.number}, sequence {acknowledged.sequence}, was acknowledged",
        )


def _why_wrong(part: Part, sector: int, number: int) -> str:
    at = sector * SECTOR
    own = int.from_bytes(part.content[at + 4 : at + 12], "big")
    if own != number and look(part.content, sector, BEGINS, place(part.number, own)) is Written.WHOLE:
        return f"group {own} where group {number} belongs"
    return f"the first sector of group {number} does not match its checksum"
