"""One oracle: looks at its sources, proposes in its turn, gathers signatures, sends; and signs for the others."""

import asyncio
import logging
import traceback
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, Protocol

import msgspec

from penstock.pricing.index import Constituent, take_index
from penstock.pricing.marks import Volatility
from penstock.protocol.commands import PublishPrice, encode_record
from penstock.protocol.instruments import PERPETUAL
from penstock.protocol.quantities import MICRO
from penstock.protocol.reasons import Refusal
from penstock.protocol.signing import SIGNATURE, Domain, Signer, check_signature, digest_of, pack_envelope
from penstock.protocol.terms import Genesis, MarketTerms
from penstock.protocol.words import keccak
from penstock.venue.oracle.chain import Chain
from penstock.venue.oracle.contracts import Contracts, Ignored
from penstock.venue.oracle.cosigning import Cosigner, Objected, Objection, step_towards
from penstock.venue.oracle.decisions import Decision, Decisions, Outcome, Withheld
from penstock.venue.oracle.ends import Ends
from penstock.venue.oracle.port import Listed, VenuePort
from penstock.venue.oracle.room import Room
from penstock.venue.oracle.rules import OracleRules
from penstock.venue.oracle.sources import Clock, Source, wall_clock
from penstock.venue.oracle.steps import Price, price_record
from penstock.venue.oracle.telling import printable, told_by
from penstock.venue.oracle.turns import Turns
from penstock.venue.oracle.viewing import NoView, View, Viewer

log = logging.getLogger(__name__)

_LEAST_SLEEP: Final = 0.01
_LOOKS_IN_A_SLOT: Final = 4
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
        volatilities: Mapping[str, Volatility] | None = None,
        listener: Callable[[Decision], object] | None = None,
        clock: Clock = wall_clock,
    ) -> None:
        """Prices the perpetuals of the genesis and what is listed from its templates; of options those of a base that
        `volatilities` states a surface for. A dated market of the genesis itself names no index, and is not priced.

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
        self._ends = Ends(terms for terms in genesis.markets if terms.kind == PERPETUAL)
        self._markets = dict(self._ends.terms)
        self._contracts = Contracts(genesis)
        self._chain = Chain(volatilities or {}, venue, self.rules, clock)
        self._separator = Domain(genesis.chain_id, genesis.vault).separator()
        self._venue = venue
        self._peers = peers
        self._clock = clock
        self._turns = Turns(genesis.oracles, self.rules)
        self._cosigner = Cosigner(signer, genesis.oracles, self._markets, self._separator, self._turns, self.rules)
        self._viewers = {
            market: Viewer(terms, sources, venue, self.rules, clock) for market, terms in self._ends.terms.items()
        }
        self._dropped: dict[int, Any] = {}
        self._tried: dict[int, int] = {}
        self._unstated: set[int] = set()
        self._under_way: set[int] = set()
        self._held: set[int] = set()
        self._knows_listing = False
        self._has_begun = False
        self._failures: set[tuple[str, str, int]] = set()

    async def run(self) -> None:
        """Look, propose and send until cancelled. Whatever sources, peers and venue do, it goes on."""
        room, self._has_begun = Room(self.rules.at_once), False
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._keep("looking", self._look_again), name="oracle views")
            tasks.create_task(self._keep("listing", self._list_again), name="oracle listing")
            tasks.create_task(self._keep("turns", lambda: self._take_turn(tasks, room)), name="oracle turns")

    async def look(self) -> None:
        """Take a new view of every market."""
        # One that ended goes on being looked at: its contracts have their index from it.
        await asyncio.gather(*(self._look(terms) for terms in self._ends.terms.values()))
        await self._look_at_contracts()

    async def take_up(self) -> None:
        """Ask the venue which contracts are listed and which perpetuals end: take up what is new, drop what ended."""
        perpetuals = self._ends.terms.values()
        try:
            async with asyncio.timeout(self.rules.venue_timeout):
                told, unread = await self._venue.listed() if self._genesis.templates else ([], [])
                ends = dict(zip(self._ends.terms, [await self._venue.ends(terms) for terms in perpetuals], strict=True))
                time = await self._venue.time()
        except (ConnectionError, TimeoutError) as error:
            self._say("", Outcome.WITHHELD, Withheld.VENUE_SILENT.name, f"listing: {told_by(error)}")
            return
        self._take_ends(ends)
        found, ignored = self._contracts.take(told, unread, time)
        for reason, detail in ignored:
            self._say("", Outcome.IGNORED, reason.name, detail)
        for one in found:
            self._markets[one.terms.market] = one.terms
            # In the slot that goes on, it would be every oracle's turn at once.
            self._tried[one.terms.market] = self._turns.slot(one.terms, time)
            self._say(one.terms.name, Outcome.TAKEN_UP, "", str(one.terms.market))
            if not self._chain.is_stated(one):
                self._unstated.add(one.terms.market)
                detail = f"none stated for {one.terms.base}"
                self._say(one.terms.name, Outcome.WITHHELD, Withheld.NO_VOLATILITY.name, detail)
        self._drop(told, time)
        self._knows_listing = True
        if found:
            await self._look_at_contracts()

    async def cosign(self, envelope: bytes) -> bytes:
        """This oracle's signature (85 bytes) under another's proposal. Raises Objected."""
        try:
            return await self._cosign(envelope)
        except Objected as objected:
            self._say(objected.market, Outcome.OBJECTED, objected.objection.name, objected.detail, price=objected.price)
            raise
        except Exception as error:  # whatever a proposal and the venue bring out: it is not signed, and that is said
            detail = self._log_failure("cosigning", error)
            self._say("", Outcome.OBJECTED, Objection.FAILED.name, detail)
            raise Objected(Objection.FAILED, detail) from error

    async def propose(self, terms: MarketTerms, time: int) -> None:
        """Propose the next price of a market at venue time `time` (µs), and send it if a quorum signs."""
        view = self._view(terms)
        if isinstance(view, NoView):
            self._say(terms.name, Outcome.WITHHELD, view.reason.name, view.detail, dropped=view.dropped)
            return
        try:
            async with asyncio.timeout(self.rules.venue_timeout):
                committed = await self._committed(terms)
        except (ConnectionError, TimeoutError) as error:
            self._say(terms.name, Outcome.WITHHELD, Withheld.VENUE_SILENT.name, told_by(error))
            return
        step = step_towards(view.price, committed, terms, self.rules, view.settling)
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
            "markets": {terms.name: self._shown_view(terms) for terms in self._markets.values()},
            "counts": self.decisions.shown(),
            "decisions": [msgspec.to_builtins(decision) for decision in list(self.decisions.newest)[-SHOWN:]],
        }

    async def _keep(self, what: str, step: Callable[[], Awaitable[float]]) -> None:
        """Take a step for ever, each as long (s) after the last as that one says.

        The outermost of a loop: what was not foreseen in a step is said and logged, and costs that step and a pause.
        """
        while True:
            try:
                pause = await step()
            except Exception as error:
                self._fail("", what, error)
                pause = self.rules.every
            await asyncio.sleep(max(pause, _LEAST_SLEEP))

    async def _look_again(self) -> float:
        began = asyncio.get_running_loop().time()
        await self.look()
        return self.rules.view_every - (asyncio.get_running_loop().time() - began)

    async def _list_again(self) -> float:
        await self.take_up()
        return self.rules.list_every if self._knows_listing else min(self.rules.list_every, self.rules.view_every)

    async def _take_turn(self, tasks: asyncio.TaskGroup, room: Room) -> float:
        """Begin the proposals that it is time for. Gives when it may be time for others (s)."""
        try:
            async with asyncio.timeout(self.rules.venue_timeout):
                time = await self._venue.time()
        except (ConnectionError, TimeoutError) as error:
            self._say("", Outcome.WITHHELD, Withheld.VENUE_SILENT.name, told_by(error))
            return self.rules.every
        self._drop((), time)
        if not self._has_begun:
            # In the slot that goes on, it would be every oracle's turn at once.
            self._tried |= {terms.market: self._turns.slot(terms, time) for terms in self._markets.values()}
            self._has_begun = True
        busy = self._unstated | self._under_way
        turns = [terms for terms in self._markets.values() if terms.market not in busy]
        for terms in turns:
            if self._is_mine(terms, time):
                self._tried[terms.market] = self._turns.slot(terms, time)
                self._under_way.add(terms.market)
                tasks.create_task(self._propose_soon(terms, time, room), name="oracle proposal")
        waits = [self._next_turn(terms, time) - time for terms in turns]
        return min([*waits, self.rules.slot_us() // _LOOKS_IN_A_SLOT]) / MICRO

    async def _cosign(self, envelope: bytes) -> bytes:
        proposal = self._cosigner.read(envelope)
        try:
            async with asyncio.timeout(self.rules.venue_timeout):
                committed = await self._committed(proposal.terms)
                time = await self._venue.time()
        except (ConnectionError, TimeoutError) as error:
            detail = told_by(error)
            raise Objected(Objection.VENUE_SILENT, detail, proposal.terms.name, proposal.price) from error
        self._cosigner.judge(proposal, time, committed, self._view(proposal.terms))
        signature = self._cosigner.sign(proposal)
        self._say(proposal.terms.name, Outcome.COSIGNED, price=proposal.price)
        return signature

    async def _committed(self, terms: MarketTerms) -> Price:
        """The venue's price of a market; notes whether anybody holds it."""
        seen = await self._venue.look(terms)
        (self._held.add if seen.is_held else self._held.discard)(terms.market)
        return seen.committed

    async def _propose_soon(self, terms: MarketTerms, time: int, room: Room) -> None:
        """Propose a perpetual at once; a contract when there is room, and only while its slot and it last.

        First come those in which somebody has a position, then who has waited longest for a price.
        """
        try:
            if terms.kind == PERPETUAL:
                await self.propose(terms, time)
                return
            began = asyncio.get_running_loop().time()
            rank = int(terms.market not in self._held), self._cosigner.signed_at(terms.market)
            async with room.place(rank):
                if asyncio.get_running_loop().time() - began > self.rules.contracts_every:
                    self._say(terms.name, Outcome.WITHHELD, Withheld.LATE.name)
                elif terms.market in self._markets:
                    await self.propose(terms, time)
        except Exception as error:  # as in `_keep`: it costs this proposal
            self._fail(terms.name, "proposing", error)
        finally:
            self._under_way.discard(terms.market)

    def _take_ends(self, told: Mapping[int, int]) -> None:
        found, contradicted = self._ends.take(told)
        for terms in found:
            self._markets[terms.market] = terms
            self._viewers[terms.market].ends(terms.expiry)
            self._say(terms.name, Outcome.DELISTED, "", str(terms.expiry))
        for terms, other in contradicted:
            detail = f"{other}, not {terms.expiry}"
            self._say(terms.name, Outcome.IGNORED, Ignored.END_CONTRADICTED.name, detail)

    def _drop(self, told: Sequence[Listed], time: int) -> None:
        """Price no more what has ended at venue time `time` (µs), or what the venue told as ended."""
        for terms in self._ends.over(time):
            if self._markets.pop(terms.market, None) is not None:
                self._say(terms.name, Outcome.ENDED)
        ended = self._contracts.drop(told, time)
        for one in ended:
            market = one.terms.market
            # When it was last signed stays known: a venue that takes the end back gets no signature sooner.
            del self._markets[market]
            self.views.pop(market, None)
            self._unstated.discard(market)
            self._held.discard(market)
            self._say(one.terms.name, Outcome.ENDED)
            self.decisions.fold(one.terms.name)
        self._chain.forget(ended)

    def _is_mine(self, terms: MarketTerms, time: int) -> bool:
        return not self._is_over(terms, self._turns.slot(terms, time)) and self._turns.is_due(self.address, terms, time)

    def _is_over(self, terms: MarketTerms, slot: int) -> bool:
        """Whether this oracle has tried in a slot, or has signed in it."""
        signed = self._turns.slot(terms, self._cosigner.signed_at(terms.market))
        return slot <= max(self._tried.get(terms.market, -1), signed)

    def _next_turn(self, terms: MarketTerms, time: int) -> int:
        slot = self._turns.slot(terms, time)
        return self._turns.begins(self.address, terms, slot + self._is_over(terms, slot))

    async def _look_at_contracts(self) -> None:
        contracts = list(self._contracts.live.values())
        if contracts:
            found = await self._chain.look(contracts, self.views)
            # What ended meanwhile has no view any more.
            self.views |= {market: view for market, view in found.items() if market in self._contracts.live}

    async def _look(self, terms: MarketTerms) -> None:
        view = await self._viewers[terms.market].look()
        self.views[terms.market] = view
        before = self._dropped.get(terms.market, ())
        self._dropped[terms.market] = view.dropped
        if view.dropped != before and isinstance(view, View):
            self._say(terms.name, Outcome.DROPPED, dropped=view.dropped)

    def _view(self, terms: MarketTerms) -> View | NoView:
        """The view of a market, or why there is none to use."""
        view, now = self.views.get(terms.market), self._clock()
        if view is None:
            return NoView(now, Withheld.STARTING, "the sources are asked for the first time")
        age = (now - view.time) / MICRO
        if age > self.rules.view_for:
            return NoView(now, Withheld.VIEW_STALE, f"{age:.1f} s old, wants {self.rules.view_for:g} at the most")
        if isinstance(view, View) and not self._knows_listing:
            return NoView(now, Withheld.STARTING, "the venue has not said yet which perpetuals end")
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
            detail = f"sent, outcome unknown: {told_by(error)}"
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
        asked = [asyncio.create_task(self._ask(terms, peer, envelope, digest)) for peer in self._peers if missing]
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

    async def _ask(
        self, terms: MarketTerms, peer: Peer, envelope: bytes, digest: bytes
    ) -> tuple[Peer, bytes | PeerFailed]:
        try:
            async with asyncio.timeout(self._turns.patience(terms) / MICRO):
                signature = await peer.sign(envelope)
            self._check(signature, digest)
        except PeerFailed as failed:
            return peer, failed
        except TimeoutError:
            return peer, PeerFailed("TIMED_OUT")
        except Exception as error:  # one peer must not cost a proposal that the others may sign
            return peer, PeerFailed("FAILED", self._log_failure("asking a peer", error))
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
        self.decisions.add(Decision(self._clock(), market, outcome, printable(reason), printable(detail), **more))

    def _fail(self, market: str, what: str, error: Exception) -> None:
        self._say(market, Outcome.WITHHELD, Withheld.FAILED.name, self._log_failure(what, error))

    def _log_failure(self, what: str, error: Exception) -> str:
        """Log where an error came from, once a place; gives it as a text."""
        frame = list(traceback.walk_tb(error.__traceback__))[-1:]
        place = next(((one.f_code.co_filename, line) for one, line in frame), ("", 0))
        if (what, *place) not in self._failures:
            self._failures.add((what, *place))
            log.error("%s failed; said once for each place in the code", what, exc_info=error)
        return f"{what}: {printable(type(error).__name__)}: {told_by(error)}"

    def _shown_view(self, terms: MarketTerms) -> dict[str, Any]:
        view = self.views.get(terms.market)
        if view is None:
            return {"view": None}
        sources = {
            "dropped": [msgspec.to_builtins(source) for source in view.dropped],
            "silent": self._viewers[terms.market].silences if terms.market in self._viewers else {},
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
