"""Batches: what the engine did since the last one, rooted off the hot path, published, and committed on chain."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from penstock.protocol.batch import Batch
from penstock.protocol.ledger import LIST_DEPTH, entry_hash, step_hash
from penstock.protocol.signing import sequenced_leaf
from penstock.protocol.words import keccak
from penstock.settlement.batches import batch_count, commit, is_final, last_sequence, root_at
from penstock.settlement.chain import ChainError, Receipt
from penstock.settlement.deployment import Deployment
from penstock.settlement.exits import Claim
from penstock.settlement.published import PublishedCommand, file_name, pack_published
from penstock.settlement.rpc import RpcError
from penstock.spec.merkle import list_root
from penstock.venue.disk.files import write_durably
from penstock.venue.engine_port import Roots, Written
from penstock.venue.gateway.batches import ClaimProof, PostedBatch, SettlementRoot
from penstock.venue.l1 import pause

MAX_PER_BATCH: Final = 1 << (2 * LIST_DEPTH)


class Mark(Struct, frozen=True):
    """The engine at one sequence, and its root there."""

    sequence: int
    engine_root: bytes


class _Step(Struct, frozen=True):
    """One durable command as the batch needs it."""

    sequence: int
    time: int
    envelope: bytes
    record_hash: bytes
    entries: tuple[Written, ...]


class _Prepared(Struct, frozen=True):
    """A batch whose roots are computed, waiting for its bytes to be on disk and for the chain."""

    batch: Batch
    path: Path
    unwritten: bytes | None


class Batcher:
    """Cuts, roots, publishes and commits batches.

    `tree` is the engine's at genesis; `mark` returns the engine's present mark; `durable` waits until a sequence is
    on disk. The tree stands at the newest cut batch, which is what `claim` proves against. A commit that fails is
    tried again with the next `post`: the batch is kept, nothing is cut before it is on chain. If the chain turns out
    to have it (its answer was lost), it counts as posted.
    """

    def __init__(
        self,
        tree: Roots,
        deployment: Deployment,
        folder: Path,
        mark: Callable[[], Mark],
        durable: Callable[[int], Awaitable[None]],
    ) -> None:
        self.posted: list[PostedBatch] = []
        self._watchers: list[Callable[[PostedBatch], None]] = []
        self.entries = 0
        self.read_block = deployment.block
        self.chain_time: Callable[[], int] | None = None
        self._tree = tree
        self._root = tree.root()
        self._deployment = deployment
        self.folder = folder
        self._mark = mark
        self._durable = durable
        self._pending: list[_Step] = []
        self._prepared: _Prepared | None = None
        self._last_sequence = 0
        self._last_number = 0
        self._cut_entries = 0
        self._final = 0
        self._deposits = 0
        self._deposit_head = bytes(32)
        self._posting = asyncio.Lock()
        folder.mkdir(parents=True, exist_ok=True)

    def observe(
        self, sequence: int, time: int, envelope: bytes, record_hash: bytes, entries: Sequence[Written]
    ) -> None:
        """Take note of a durable command, in order."""
        self._pending.append(_Step(sequence, time, envelope, record_hash, tuple(entries)))
        self.entries += len(entries)

    @property
    def cut_root(self) -> bytes:
        """The settlement root after the newest cut batch."""
        return self._root

    def stand(self, tree: Roots, sequence: int) -> None:
        """Observe from behind `sequence` on, where the engine's tree is `tree`. Before the first `observe`."""
        self._tree, self._root = tree, tree.root()
        self._last_sequence = sequence

    async def resume(self) -> None:
        """After the journal was replayed into `observe`: stand where the chain stands, checked by root.

        Raises ValueError when the journal is shorter than the chain or leads to another root.
        """
        settlement = self._deployment.settlement
        self._last_number = await asyncio.to_thread(batch_count, settlement)
        committed_sequence = await asyncio.to_thread(last_sequence, settlement)
        committed_root = await asyncio.to_thread(root_at, settlement, self._last_number)
        covered = [step for step in self._pending if step.sequence <= committed_sequence]
        if (covered[-1].sequence if covered else self._last_sequence) != committed_sequence:
            raise ValueError(
                f"the chain has batches up to sequence {committed_sequence}, the journal ends before, or is only "
                f"observed from sequence {self._last_sequence + 1}"
            )
        self._last_sequence = committed_sequence
        self._pending = self._pending[len(covered) :]
        committed = await asyncio.to_thread(self._read_committed)
        self._cut_entries = sum(batch.entries for batch, _ in committed)
        self.entries = self._cut_entries + sum(len(step.entries) for step in self._pending)
        if committed:
            self._deposits, self._deposit_head = committed[-1][0].deposits, committed[-1][0].deposit_head
        self._root = await asyncio.to_thread(_advance_all, self._tree, covered)
        if self._root != committed_root:
            raise ValueError(
                f"batch {self._last_number} on chain has settlement root 0x{committed_root.hex()}, "
                f"the journal leads to 0x{self._root.hex()}"
            )
        self.posted = [_posted(batch, receipt) for batch, receipt in committed]

    async def post(self) -> PostedBatch | None:
        """Cut everything up to now and commit it; None when nothing is new. Raises ChainError when L1 refuses."""
        async with self._posting:
            if self._prepared is None:
                await self._cut()
            if self._prepared is None:
                return None
            if self._prepared.unwritten is not None:
                await asyncio.to_thread(write_durably, self._prepared.path, self._prepared.unwritten)
                self._prepared = replace(self._prepared, unwritten=None)
            return await self._commit(self._prepared)

    async def post_all(self) -> None:
        """Post until nothing is pending."""
        while self._prepared or self._pending:
            await self.post()

    async def refresh_finality(self) -> None:
        """Ask the chain which posted batches have become final."""
        async with self._posting:
            if self._final < len(self.posted):
                await asyncio.to_thread(self._follow_time)
            for index in range(self._final, len(self.posted)):
                number = self.posted[index].number
                if not await asyncio.to_thread(is_final, self._deployment.settlement, number):
                    break
                self.posted[index] = replace(self.posted[index], status="final")
                self._final = index + 1
                self._tell(self.posted[index])

    def newest(self, count: int) -> list[PostedBatch]:
        """Up to `count` batches, newest first."""
        return self.posted[: -count - 1 : -1]

    def watch(self, told: Callable[[PostedBatch], None]) -> None:
        """Call `told` for each batch when it is posted, and again when it is final."""
        self._watchers.append(told)

    async def claim(self, subaccount: int) -> Claim:
        """The proof of an account leaf under the newest posted batch. Raises KeyError for an unknown subaccount."""
        async with self._posting:
            proof = self._tree.prove(subaccount)
            return Claim(
                subaccount, proof.leaf, tuple(proof.siblings), proof.markets_root, proof.globals_hash,
                proof.deposit_head, proof.forced_head, self._last_number,
            )  # fmt: skip

    async def proof(self, subaccount: int) -> ClaimProof | None:
        """`claim` as the gateway gives it; None while the subaccount is in no posted batch."""
        if not self.posted or self._prepared is not None or not self._tree.holds(subaccount):
            return None
        claim = await self.claim(subaccount)
        return ClaimProof(
            claim.number, claim.leaf, claim.siblings, claim.markets_root, claim.globals_hash, claim.deposit_head,
            claim.forced_head,
        )  # fmt: skip

    async def settlement_root(self, sequence: int) -> SettlementRoot:
        """The root after every durable entry up to `sequence`, cut into a batch or not; never before the last cut."""
        async with self._posting:
            steps = [step for step in self._pending if step.sequence <= sequence]
            last = steps[-1].sequence if steps else self._last_sequence
            entries = self._cut_entries + sum(len(step.entries) for step in steps)
            if not any(step.entries for step in steps):
                return SettlementRoot(last, self._root, entries)
            twin = self._tree.copy()
        return SettlementRoot(last, await asyncio.to_thread(_advance_all, twin, steps), entries)

    async def _cut(self) -> None:
        mark = self._mark()
        if mark.sequence <= self._last_sequence:
            return
        await self._durable(mark.sequence)
        steps = [step for step in self._pending if step.sequence <= mark.sequence]
        if not steps or steps[-1].sequence != mark.sequence:
            return  # the commands up to the mark are durable but not all observed yet: the next cut has them
        if max(len(steps), sum(len(step.entries) for step in steps)) > MAX_PER_BATCH:
            raise ValueError(f"a batch holds at most {MAX_PER_BATCH:,} commands and entries: post more often")
        self._prepared = await asyncio.to_thread(self._prepare, mark, steps)
        self._pending = self._pending[len(steps) :]

    def _prepare(self, mark: Mark, steps: list[_Step]) -> _Prepared:
        """Roots and published bytes of a batch; runs beside the event loop. The bytes are written by `post`."""
        previous, leaves = self._root, []
        entries = [entry for step in steps for entry in step.entries]
        roots = self._tree.advance_all(entries)
        for entry, root in zip(entries, roots, strict=True):
            self._root = root
            self._count_deposit(entry)
            leaves.append(step_hash(entry_hash(entry.packed), root))
        published = _published(steps, iter(roots))
        sequenced = [sequenced_leaf(s.sequence, s.time, s.envelope, s.record_hash) for s in steps]
        self._last_number += 1
        batch = Batch(
            self._last_number, previous, self._root, mark.engine_root, list_root(leaves, LIST_DEPTH),
            list_root(sequenced, LIST_DEPTH), keccak(published), self._last_sequence + 1, mark.sequence,
            len(leaves), steps[-1].time, self._deposits, self._deposit_head, self.read_block,
        )  # fmt: skip
        self._last_sequence = mark.sequence
        self._cut_entries += len(leaves)
        return _Prepared(batch, self.folder / file_name(self._last_number, published), published)

    def _read_committed(self) -> list[tuple[Batch, Receipt]]:
        """The batches the chain has, gas unknown (0)."""
        events = self._deployment.settlement.events("BatchCommitted", self._deployment.block)
        return [
            (Batch(*event.fields["batch"]), Receipt(event.transaction, event.block, 0, (), None)) for event in events
        ]

    def _count_deposit(self, entry: Written) -> None:
        if entry.deposit_head is not None:
            self._deposits += 1
            self._deposit_head = entry.deposit_head

    async def _commit(self, prepared: _Prepared) -> PostedBatch:
        receipt = await asyncio.to_thread(self._commit_on_chain, prepared.batch)
        self._prepared = None
        posted = _posted(prepared.batch, receipt)
        self.posted.append(posted)
        self._tell(posted)
        return posted

    def _commit_on_chain(self, batch: Batch) -> Receipt:
        settlement = self._deployment.settlement
        chain = settlement.chain
        if batch_count(settlement) == batch.number:
            return self._find_receipt(batch)
        if self.chain_time is not None:
            wanted = self.chain_time()
            if wanted > chain.block().time:
                chain.set_next_time(wanted)
        return commit(settlement, batch, self._deployment.operator)

    def _follow_time(self) -> None:
        """A development chain mines only when asked: bring its time to the venue's, or an idle batch never ripens."""
        chain = self._deployment.settlement.chain
        if self.chain_time is not None and (wanted := self.chain_time()) > chain.block().time:
            chain.set_next_time(wanted)
            chain.mine()

    def _find_receipt(self, batch: Batch) -> Receipt:
        """The receipt of a batch that is on chain already; gas unknown, 0. Raises ChainError if it is another batch."""
        settlement = self._deployment.settlement
        if settlement.call("batch_hash_at", batch.number) != batch.hash():
            raise ChainError(
                f"batch {batch.number} on chain is not the one cut here: restart the node to go on from it"
            )
        event = settlement.events("BatchCommitted", self._deployment.block)[-1]
        return Receipt(event.transaction, event.block, 0, (), None)

    def _tell(self, posted: PostedBatch) -> None:
        for told in self._watchers:
            told(posted)


def _posted(batch: Batch, receipt: Receipt) -> PostedBatch:
    return PostedBatch(
        batch.number, batch.first_sequence, batch.last_sequence, batch.entries, batch.settlement_root,
        batch.engine_root, receipt.transaction, receipt.block, "posted", receipt.gas_used,
    )  # fmt: skip


def _advance_all(tree: Roots, steps: list[_Step]) -> bytes:
    roots = tree.advance_all([entry for step in steps for entry in step.entries])
    return roots[-1] if roots else tree.root()


def _published(steps: list[_Step], roots: Iterator[bytes]) -> bytes:
    return pack_published(
        [
            PublishedCommand(s.sequence, s.time, s.envelope, tuple((entry.packed, next(roots)) for entry in s.entries))
            for s in steps
        ]
    )


async def post_every(batcher: Batcher, seconds: float, stop: asyncio.Event, report: Callable[[str], None]) -> None:
    """Post a batch every `seconds` until `stop` is set; a chain that refuses or is away is reported and tried again."""
    while not stop.is_set():
        await pause(seconds, stop)
        try:
            await batcher.post()
            await batcher.refresh_finality()
        except (ChainError, RpcError, OSError) as error:
            report(f"batch not committed, will try again: {error}")
