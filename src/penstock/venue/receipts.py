"""Issuing receipts: one signature a durable group, and from the group's tree every message's path."""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Final

from msgspec import Struct

from penstock.protocol.receipts import (
    COMMIT_WITHIN,
    NO_RECEIPT,
    Receipt,
    path_in,
    receipt_leaf,
    receipt_levels,
    sign_receipt,
)
from penstock.protocol.signing import Signer

KEPT_GROUPS: Final = 16_384
KEPT_MESSAGES: Final = 262_144
"""About 64 bytes each beside the groups' own kilobyte."""

Messages = Sequence[tuple[int, int, bytes]]
"""(sequence, venue time µs, envelope) of a group's messages, in order and without a gap."""


class Issued(Struct, frozen=True):
    """A group's signed receipt in wire form, and the tree behind its root."""

    receipt: Receipt
    wire: bytes
    levels: tuple[bytes, ...]

    def index(self, sequence: int) -> int:
        """The place of a message in the group, from 0. Raises ValueError for one that is not in it."""
        if not self.receipt.first_sequence <= sequence <= self.receipt.last_sequence:
            raise ValueError(f"sequence {sequence} is not in group {self.receipt.group}")
        return sequence - self.receipt.first_sequence

    def path(self, index: int) -> list[bytes]:
        """A message's siblings, from its leaf up. Raises ValueError for an index outside the group."""
        return path_in(self.levels, index)


class Issuer:
    """Signs a receipt for each durable group, and keeps the newest ones for sending again.

    `group` and `previous` are the number and struct hash of the last receipt before this (0 and 32 zero bytes at a
    venue's beginning); `epoch` is that of the groups to come. Whoever has the groups of earlier epochs passes them to
    `follow`, oldest first, in place of both. The same groups always give the same bytes: nothing else enters them.
    """

    def __init__(
        self,
        signer: Signer,
        separator: bytes,
        epoch: int,
        group: int = 0,
        previous: bytes = NO_RECEIPT,
        *,
        kept_groups: int = KEPT_GROUPS,
        kept_messages: int = KEPT_MESSAGES,
    ) -> None:
        self.operator = signer.address
        self.group = group
        self.previous = previous
        self._epoch = epoch
        self._signer = signer
        self._separator = separator
        self._last: Receipt | None = None
        self._kept: dict[int, Issued] = {}
        self._kept_groups = kept_groups
        self._kept_messages = kept_messages
        self._messages = 0
        self._watchers: list[Callable[[Issued], None]] = []

    def watch(self, told: Callable[[Issued], None]) -> None:
        """Call `told` with each group as it is issued, in order."""
        self._watchers.append(told)

    def issue(self, messages: Messages, record_hashes: Sequence[bytes] | None = None) -> Issued:
        """The receipt of the next group, which is durable; `record_hashes` where they are known already.

        Raises ValueError for messages that do not follow one another and the group before, or are none.
        """
        issued = self._signed(self._take(self._epoch, messages, record_hashes))
        for told in self._watchers:
            told(issued)
        return issued

    def follow(self, epoch: int, messages: Messages) -> None:
        """Take note of a group that was durable before the start. It is signed only if it is asked for.

        Raises ValueError as `issue` does, and for an epoch that is not older than the present one.
        """
        if not epoch < self._epoch:
            raise ValueError(f"group {self.group + 1} of epoch {epoch} is not older than epoch {self._epoch}")
        self._take(epoch, messages, None)

    def rebuild(self, epoch: int, group: int, previous: bytes, messages: Messages) -> Issued:
        """An older group's receipt again, byte for byte, from its messages and what precedes it. Nothing is kept."""
        receipt, levels = _receipt_of(epoch, group, previous, messages, None)
        return self._signed(Issued(receipt, b"", levels))

    def find(self, sequence: int) -> Issued | None:
        """The kept group with this message; None if there is none, or it is no longer kept."""
        group = self.group
        if self._last is None or sequence < self._last.first_sequence:
            kept = range(self.oldest, self.group + 1)
            at = bisect_right(kept, sequence, key=lambda number: self._kept[number].receipt.first_sequence)
            if at == 0:
                return None
            group = kept[at - 1]
        found = self._kept[group]
        return self._signed(found) if sequence <= found.receipt.last_sequence else None

    @property
    def oldest(self) -> int:
        """The number of the oldest group that is kept; one above `group` if none is."""
        return next(iter(self._kept), self.group + 1)

    def newest_from(self, group: int, count: int) -> list[Issued]:
        """Up to `count` kept groups from number `group` on, in order; none above the last.

        Raises KeyError below `oldest`.
        """
        if group < self.oldest:
            raise KeyError(group)
        return [self._signed(self._kept[number]) for number in range(group, min(group + count, self.group + 1))]

    def _take(self, epoch: int, messages: Messages, record_hashes: Sequence[bytes] | None) -> Issued:
        receipt, levels = _receipt_of(epoch, self.group + 1, self.previous, messages, record_hashes)
        last = self._last
        first, time, _ = messages[0]
        if last and (first != last.last_sequence + 1 or time < last.time):
            raise ValueError(f"sequence {first} at {time} does not follow {last.last_sequence} at {last.time}")
        self.group, self.previous, self._last = receipt.group, receipt.hash(), receipt
        taken = self._kept[receipt.group] = Issued(receipt, b"", levels)
        self._messages += receipt.count
        while len(self._kept) > self._kept_groups or (self._messages > self._kept_messages and len(self._kept) > 1):
            self._messages -= self._kept.pop(self.oldest).receipt.count
        return taken

    def _signed(self, issued: Issued) -> Issued:
        if issued.wire:
            return issued
        wire = sign_receipt(self._separator, issued.receipt, self._signer).encode()
        signed = Issued(issued.receipt, wire, issued.levels)
        if self._kept.get(issued.receipt.group) is issued:
            self._kept[issued.receipt.group] = signed
        return signed


def _receipt_of(
    epoch: int, group: int, previous: bytes, messages: Messages, record_hashes: Sequence[bytes] | None
) -> tuple[Receipt, tuple[bytes, ...]]:
    hashes: Sequence[bytes | None] = record_hashes or [None] * len(messages)
    levels = receipt_levels([receipt_leaf(*message, known) for message, known in zip(messages, hashes, strict=True)])
    (first, _, _), (last, time, _) = messages[0], messages[-1]
    if last - first + 1 != len(messages):
        raise ValueError(f"{len(messages)} messages are not the sequences {first} to {last}")
    return Receipt(epoch, group, first, last, previous, levels[-1], time, time + COMMIT_WITHIN), levels
