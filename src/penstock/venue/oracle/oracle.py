"""One oracle: looks at its sources, proposes in its turn, gathers signatures, sends; and signs for the others."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

import msgspec

from penstock.pricing.index import Constituent, take_index
from penstock.protocol.commands import PublishPrice, encode_record
from penstock.protocol.instruments import PERPETUAL
from penstock.protocol.quantities import MICRO
from penstock.protocol.reasons import Refusal
from penstock.protocol.signing import SIGNATURE, Domain, Signer, check_signature, digest_of, pack_envelope
from penstock.protocol.terms import Genesis, MarketTerms
from penstock.protocol.words import keccak
from penstock.venue.oracle.cosigning import Cosigner, Objected, Objection, step_towards
from penstock.venue.oracle.decisions import Decision, Decisions, Outcome, Withheld
from penstock.venue.oracle.port import VenuePort
from penstock.venue.oracle.rules import OracleRules
from penstock.venue.oracle.sources import Clock, Source, wall_clock
from penstock.venue.oracle.steps import Price, price_record
from penstock.venue.oracle.turns import Turns
from penstock.venue.oracle.viewing import NoView, View, Viewer

log = logging.getLogger(__name__)

_LEAST_SLEEP: Final = 0.01
SHOWN: Final = 50


class PeerFailed(Exception):
    """A peer gave no signature. `reason` is a name: its objection, or why it could not be had."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail


class Peer(Protocol):
    """Another oracle, however it is reached."""

    name: str

    async def sign(self, envelope: bytes) -> bytes:
        """Its signature (85 bytes) under a proposal. Raises PeerFailed, in bounded time."""


class Oracle:
    """Run it with `run`; hand it the others' proposals with `cosign`; read it with `status`."""

    def __init__(
        self,
        signer: Signer,
        genesis: Genesis,
        sources: Sequence[Source],
        venue: VenuePort,
        peers: Sequence[Peer] = (),
        rules: OracleRules | None = None,
        *,
        listener: Callable[[Decision], object] | None = None,
        clock: Clock = wall_clock,
    ) -> None:
        """Prices the perpetuals of the genesis: nothing here could vouch for the mark of a dated contract.

        Raises ValueError when the key is none of the venue's oracles, or a rule or a source's weight is wrong.
        """
        self.rules = rules or OracleRules()
        self.rules.check()
        take_index([Constituent(source.name, 1.0, 1.0, 0.0, source.weight) for source in sources], self.rules.index)
        if signer.address not in genesis.oracles:
            known = ", ".join("0x" + oracle.hex() for oracle in genesis.oracles)
            raise ValueError(f"key 0x{signer.address.hex()} is none of the venue's oracles: {known}")
        self.address = signer.address
        self.decisions = Decisions(listener)
        self.views: dict[int, View | NoView] = {}
        self._signer = signer
        self._genesis = genesis
        self._markets = [terms for terms in genesis.markets if terms.kind == PERPETUAL]
        self._separator = Domain(genesis.chain_id, genesis.vault).separator()
        self._venue = venue
        self._peers = peers
        self._clock = clock
        self._turns = Turns(genesis.oracles, self.rules)
        self._cosigner = Cosigner(signer, genesis.oracles, self._markets, self._separator, self._turns, self.rules)
        self._viewers = {terms.market: Viewer(terms, sources, venue, self.rules, clock) for terms in self._markets}
        self._dropped: dict[int, Any] = {}
        self._tried: dict[int, int] = {}

    async def run(self) -> None:
        """Look, propose and send until cancelled. Whatever sources, peers and venue do, it goes on."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._keep_looking(), name="oracle views")
            tasks.create_task(self._take_turns(), name="oracle turns")

    async def look(self) -> None:
        """Take a new view of every market."""
        await asyncio.gather(*(self._look(terms) for terms in self._markets))

    async def cosign(self, envelope: bytes) -> bytes:
        """This oracle's signature (85 bytes) under another's proposal. Raises Objected."""
        try:
            proposal = self._cosigner.read(envelope)
            try:
                async with asyncio.timeout(self.rules.venue_timeout):
                    committed = (await self._venue.look(proposal.terms)).committed
                    time = await self._venue.time()
            except (ConnectionError, TimeoutError) as error:
                detail = str(error) or "timed out"
                raise Objected(Objection.VENUE_SILENT, detail, proposal.terms.name, proposal.price) from error
            self._cosigner.judge(proposal, time, committed, self._view(proposal.terms))
            signature = self._cosigner.sign(proposal)
        except Objected as objected:
            self._say(objected.market, Outcome.OBJECTED, objected.objection.name, objected.detail, price=objected.price)
            raise
        self._say(proposal.terms.name, Outcome.COSIGNED, price=proposal.price)
        return signature

    async def propose(self, terms: MarketTerms, time: int) -> None:
        """Propose the next price of a market at venue time `time` (µs), and send it if a quorum signs."""
        view = self._view(terms)
        if not isinstance(view, View):
            if view is None:
                self._say(terms.name, Outcome.WITHHELD, Withheld.VIEW_STALE.name)
            else:
                self._say(terms.name, Outcome.WITHHELD, view.reason.name, view.detail, dropped=view.dropped)
            return
        try:
            async with asyncio.timeout(self.rules.venue_timeout):
                committed = (await self._venue.look(terms)).committed
        except (ConnectionError, TimeoutError) as error:
            self._say(terms.name, Outcome.WITHHELD, Withheld.VENUE_SILENT.name, str(error) or "timed out")
            return
        step = step_towards(view.price, committed, terms, self.rules)
        if isinstance(step, Withheld):
            self._say(terms.name, Outcome.WITHHELD, step.name, f"wanted {view.price}, committed {committed}")
            return
        await self._publish(terms, price_record(terms.market, time, step), step)

    def status(self) -> dict[str, Any]:
        """What this oracle sees and decided, for JSON: markets, counts, the newest decisions last."""
        return {
            "oracle": "0x" + self.address.hex(),
            "oracles": ["0x" + oracle.hex() for oracle in sorted(self._genesis.oracles)],
            "threshold": self._genesis.oracle_threshold,
            "peers": [peer.name for peer in self._peers],
            "time": self._clock(),
            "markets": {terms.name: self._shown_view(terms) for terms in self._markets},
            "counts": self.decisions.shown(),
            "decisions": [msgspec.to_builtins(decision) for decision in list(self.decisions.newest)[-SHOWN:]],
        }

    async def _keep_looking(self) -> None:
        while True:
            began = asyncio.get_running_loop().time()
            await self.look()
            spent = asyncio.get_running_loop().time() - began
            await asyncio.sleep(max(self.rules.view_every - spent, _LEAST_SLEEP))

    async def _take_turns(self) -> None:
        while True:
            try:
                async with asyncio.timeout(self.rules.venue_timeout):
                    time = await self._venue.time()
            except (ConnectionError, TimeoutError) as error:
                self._say("", Outcome.WITHHELD, Withheld.VENUE_SILENT.name, str(error) or "timed out")
                await asyncio.sleep(self.rules.every)
                continue
            due = [terms for terms in self._markets if self._is_mine(terms, time)]
            for terms in due:
                self._tried[terms.market] = self._turns.slot(time)
            await asyncio.gather(*(self.propose(terms, time) for terms in due))
            waits = [self._next_turn(terms, time) - time for terms in self._markets]
            wait = min([*waits, self._turns.patience]) / MICRO
            await asyncio.sleep(max(wait, _LEAST_SLEEP))

    def _is_mine(self, terms: MarketTerms, time: int) -> bool:
        return not self._is_over(terms, self._turns.slot(time)) and self._turns.is_due(self.address, terms.market, time)

    def _is_over(self, terms: MarketTerms, slot: int) -> bool:
        """Whether this oracle has tried in a slot, or has signed in it."""
        signed = self._turns.slot(self._cosigner.signed_at(terms.market))
        return slot <= max(self._tried.get(terms.market, -1), signed)

    def _next_turn(self, terms: MarketTerms, time: int) -> int:
        slot = self._turns.slot(time)
        return self._turns.begins(self.address, terms.market, slot + self._is_over(terms, slot))

    async def _look(self, terms: MarketTerms) -> None:
        view = await self._viewers[terms.market].look()
        self.views[terms.market] = view
        before = self._dropped.get(terms.market, ())
        self._dropped[terms.market] = view.dropped
        if view.dropped != before and isinstance(view, View):
            self._say(terms.name, Outcome.DROPPED, dropped=view.dropped)

    def _view(self, terms: MarketTerms) -> View | NoView | None:
        view = self.views.get(terms.market)
        if view is None or self._clock() - view.time > self.rules.view_for * MICRO:
            return None
        return view

    async def _publish(self, terms: MarketTerms, record: PublishPrice, price: Price) -> None:
        encoded = encode_record(record)
        record_hash = keccak(encoded)
        own = self._signer.sign(self._separator, record_hash)
        self._cosigner.note(record)
        signatures, failures = await self._gather(
            terms, pack_envelope(self._separator, encoded, [own], []), record_hash
        )
        signatures[self.address] = own
        wanted = self._genesis.oracle_threshold
        if len(signatures) < wanted:
            detail = f"{len(signatures)} of {wanted}" + "".join(f"; {failure}" for failure in failures)
            self._say(terms.name, Outcome.WITHHELD, Withheld.NO_QUORUM.name, detail, price=price)
            return
        envelope = pack_envelope(self._separator, encoded, [signatures[signer] for signer in sorted(signatures)], [])
        try:
            async with asyncio.timeout(self.rules.venue_timeout):
                reasons = await self._venue.submit(envelope)
        except (ConnectionError, TimeoutError) as error:
            detail = f"sent, outcome unknown: {error}"
            self._say(terms.name, Outcome.WITHHELD, Withheld.VENUE_SILENT.name, detail, price=price)
            return
        outcome = Outcome.REFUSED if reasons else Outcome.PUBLISHED
        self._say(terms.name, outcome, ", ".join(reasons), price=price)

    async def _gather(
        self, terms: MarketTerms, envelope: bytes, record_hash: bytes
    ) -> tuple[dict[bytes, bytes], list[str]]:
        """The others' signatures by signer, as soon as there are enough or nobody is left; and who failed."""
        digest, missing = digest_of(self._separator, record_hash), self._genesis.oracle_threshold - 1
        signatures: dict[bytes, bytes] = {}
        failures: list[str] = []
        asked = [asyncio.create_task(self._ask(peer, envelope, digest)) for peer in self._peers if missing]
        try:
            for answer in asyncio.as_completed(asked):
                peer, given = await answer
                if isinstance(given, PeerFailed):
                    failures.append(f"{peer.name} {given}")
                    self._say(terms.name, Outcome.PEER_FAILED, given.reason, f"{peer.name} {given.detail}")
                else:
                    signatures[given[:20]] = given
                if len(signatures) >= missing:
                    break
        finally:
            for task in asked:
                task.cancel()
            await asyncio.gather(*asked, return_exceptions=True)
        return signatures, failures

    async def _ask(self, peer: Peer, envelope: bytes, digest: bytes) -> tuple[Peer, bytes | PeerFailed]:
        try:
            async with asyncio.timeout(self._turns.patience / MICRO):
                signature = await peer.sign(envelope)
            self._check(signature, digest)
        except PeerFailed as failed:
            return peer, failed
        except TimeoutError:
            return peer, PeerFailed("TIMED_OUT")
        return peer, signature

    def _check(self, signature: bytes, digest: bytes) -> None:
        """Raises PeerFailed unless it is another oracle's signature under the digest."""
        if len(signature) != SIGNATURE:
            raise PeerFailed("BAD_SIGNATURE", f"{len(signature)} bytes")
        try:
            signer = check_signature(digest, signature)
        except Refusal as refusal:
            raise PeerFailed("BAD_SIGNATURE", refusal.reason.name) from refusal
        if signer not in self._genesis.oracles or signer == self.address:
            raise PeerFailed("BAD_SIGNATURE", f"of 0x{signer.hex()}, which is no other oracle")

    def _say(self, market: str, outcome: Outcome, reason: str = "", detail: str = "", **more: Any) -> None:
        self.decisions.add(Decision(self._clock(), market, outcome, reason, detail, **more))

    def _shown_view(self, terms: MarketTerms) -> dict[str, Any]:
        view = self.views.get(terms.market)
        if view is None:
            return {"view": None}
        sources = {
            "dropped": [msgspec.to_builtins(source) for source in view.dropped],
            "silent": self._viewers[terms.market].silences,
        }
        if isinstance(view, NoView):
            return {"view": None, "reason": view.reason.name, "detail": view.detail, **sources}
        unit = terms.price_unit
        return {
            "view": {
                "time": view.time,
                "index_price": f"{view.price.index * unit:f}",
                "mark_price": f"{view.price.mark * unit:f}",
                "premium": view.price.premium,
            },
            **sources,
        }
