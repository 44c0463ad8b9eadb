"""Signing what another oracle proposes: only what this one would have proposed itself, or nearly."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Final

from msgspec import Struct

from penstock.protocol.commands import PublishPrice
from penstock.protocol.instruments import OPTION, PERPETUAL
from penstock.protocol.quantities import MICRO, RATE_SCALE
from penstock.protocol.reasons import Refusal
from penstock.protocol.signing import Signer, verify
from penstock.protocol.terms import MarketTerms
from penstock.venue.oracle.decisions import Withheld
from penstock.venue.oracle.rules import OracleRules
from penstock.venue.oracle.steps import NOT_SETTLING, Bounds, Price, Settling, next_step, price_of, within
from penstock.venue.oracle.turns import Turns
from penstock.venue.oracle.viewing import NoView, View

MOST_PROPOSAL: Final = 1_024
"""Bytes; a proposal is an envelope with one signature."""


class Objection(StrEnum):
    """Why a proposal is not signed, in the order of the checks."""

    NOT_A_PROPOSAL = "not an envelope of this venue with one price and one good signature"
    NOT_AN_ORACLE = "not signed by another oracle of this venue"
    MARKET_UNKNOWN = "no market that this oracle prices"
    ENDED = "published at the market's expiry or later"
    OUT_OF_TURN = "those before it in this slot still have time"
    TOO_SOON = "too soon after the last one signed here"
    VENUE_SILENT = "the venue cannot be asked"
    NOT_FRESH = "published too long ago, or in the future"
    PRICE_NOT_POSITIVE = "index or mark is zero"
    STEP_TOO_LARGE = "further from the venue's price than one step"
    MARK_OUT_OF_BAND = "the mark is too far from the index"
    STARTING = "this oracle has only begun, and has not looked yet"
    NO_VIEW = "this oracle has no view of its own"
    INDEX_OFF = "the index is not what this oracle sees"
    MARK_OFF = "the mark is not what this oracle sees"
    PREMIUM_OFF = "the premium is not what this oracle sees"
    FAILED = "this oracle failed at it, in a way that nobody foresaw"


class Objected(Exception):
    """A proposal was not signed. `market` is its name, where it has one, and `price` what it said."""

    def __init__(self, objection: Objection, detail: str = "", market: str = "", price: Price | None = None) -> None:
        super().__init__(f"{objection.name}: {objection}{': ' + detail if detail else ''}")
        self.objection = objection
        self.detail = detail
        self.market = market
        self.price = price


class Proposal(Struct, frozen=True):
    """Another oracle's price, as its envelope says it; not judged yet."""

    terms: MarketTerms
    record: PublishPrice
    record_hash: bytes
    price: Price
    proposer: bytes


class Cosigner:
    """Judges proposals. It keeps when it last signed a price of each market, its own proposals included.

    Of the others it signs one price of a market in a slot, so that no proposer can make prices walk faster than that.
    """

    def __init__(
        self,
        signer: Signer,
        oracles: Sequence[bytes],
        markets: Mapping[int, MarketTerms],
        separator: bytes,
        turns: Turns,
        rules: OracleRules,
    ) -> None:
        """`markets` are those that this oracle prices, by number; it may change afterwards."""
        self._signer = signer
        self._oracles = set(oracles)
        self._markets = markets
        self._separator = separator
        self._turns = turns
        self._rules = rules
        self._signed_at: dict[int, int] = {}
        self._cosigned_in: dict[int, int] = {}

    def read(self, envelope: bytes) -> Proposal:
        """What needs nobody's answer: form, signer, market, turn, pace. Raises Objected."""
        try:
            verified = verify(self._separator, envelope)
        except Refusal as refusal:
            raise Objected(Objection.NOT_A_PROPOSAL, refusal.reason.name) from refusal
        record = verified.record
        if not isinstance(record, PublishPrice) or len(verified.signers) != 1:
            raise Objected(Objection.NOT_A_PROPOSAL)
        proposer = verified.signers[0]
        if proposer not in self._oracles or proposer == self._signer.address:
            raise Objected(Objection.NOT_AN_ORACLE, "0x" + proposer.hex())
        terms = self._markets.get(record.market)
        if terms is None:
            raise Objected(Objection.MARKET_UNKNOWN, str(record.market))
        proposal = Proposal(terms, record, verified.record_hash, price_of(record), proposer)
        if 0 < terms.expiry * MICRO <= record.published_at:
            raise Objected(Objection.ENDED, str(record.published_at), terms.name, proposal.price)
        if not self._turns.is_due(proposer, terms, record.published_at):
            raise Objected(Objection.OUT_OF_TURN, "", terms.name, proposal.price)
        self._check_pace(proposal)
        return proposal

    def judge(self, proposal: Proposal, time: int, committed: Price, view: View | NoView | None) -> None:
        """Hold it against venue time (µs), the venue's price and the own view. Raises Objected."""
        settling = view.settling if isinstance(view, View) else NOT_SETTLING
        objection = self._object(proposal, time, committed, settling) or self._compare(proposal, committed, view)
        if objection is not None:
            raise Objected(*objection, proposal.terms.name, proposal.price)

    def sign(self, proposal: Proposal) -> bytes:
        """The signature (85 bytes) under what was judged. Raises Objected if another was signed meanwhile."""
        self._check_pace(proposal)
        self.note(proposal.record)
        self._cosigned_in[proposal.record.market] = self._turns.slot(proposal.terms, proposal.record.published_at)
        return self._signer.sign(self._separator, proposal.record_hash)

    def note(self, record: PublishPrice) -> None:
        """This oracle signed a price: none of that market too soon after it."""
        self._signed_at[record.market] = max(record.published_at, self._signed_at.get(record.market, 0))

    def signed_at(self, market: int) -> int:
        """When the newest price of a market that this oracle signed was published, µs of venue time; 0 for never."""
        return self._signed_at.get(market, 0)

    def _check_pace(self, proposal: Proposal) -> None:
        market, at, pace = proposal.record.market, proposal.record.published_at, self._turns.pace(proposal.terms)
        detail = ""
        if self._turns.slot(proposal.terms, at) <= self._cosigned_in.get(market, -1):
            detail = "one was signed in this slot"
        elif at < self.signed_at(market) + pace:
            after = (at - self.signed_at(market)) / 1_000
            detail = f"{after:.0f} ms after the last one signed here, wants {pace / 1_000:.0f}"
        if detail:
            raise Objected(Objection.TOO_SOON, detail, proposal.terms.name, proposal.price)

    def _object(
        self, proposal: Proposal, time: int, committed: Price, settling: Settling
    ) -> tuple[Objection, str] | None:
        said, terms = proposal.price, proposal.terms
        # The venue was asked after the proposal came in: what is later than its answer is from the future.
        if not 0 <= time - proposal.record.published_at <= self._rules.fresh_for * MICRO:
            return Objection.NOT_FRESH, f"{proposal.record.published_at} at {time}"
        if said.index == 0 or said.mark == 0:
            return Objection.PRICE_NOT_POSITIVE, f"index {said.index}, mark {said.mark}"
        bounds = Bounds.of(terms, settling=settling)
        if committed.index and not bounds.is_step(said, committed):
            return Objection.STEP_TOO_LARGE, f"{said} after {committed}"
        if not bounds.is_in_band(said):
            return Objection.MARK_OUT_OF_BAND, f"{said}"
        return None

    def _compare(
        self, proposal: Proposal, committed: Price, view: View | NoView | None
    ) -> tuple[Objection, str] | None:
        if not isinstance(view, View):
            starting = view is not None and view.reason is Withheld.STARTING
            detail = "none yet" if view is None else view.detail
            return Objection.STARTING if starting else Objection.NO_VIEW, detail
        own = step_towards(view.price, committed, proposal.terms, self._rules, view.settling)
        if isinstance(own, Withheld):
            return Objection.NO_VIEW, own
        said, rules, kind = proposal.price, self._rules, proposal.terms.kind
        if not within(said.index, own.index, rules.tolerance_ppm):
            return Objection.INDEX_OFF, f"{said.index}, own {own.index}"
        # All of a quorum may state slightly different volatilities: what that makes is measured by the index.
        measure, tolerance = (own.index, rules.option_tolerance_ppm) if kind == OPTION else (None, rules.tolerance_ppm)
        if not within(said.mark, own.mark, tolerance, measure):
            return Objection.MARK_OFF, f"{said.mark}, own {own.mark}"
        # Only perpetuals have one: the engine takes no other premium than 0 of a dated contract.
        of_premium = rules.premium_tolerance * RATE_SCALE if kind == PERPETUAL else 0
        if abs(said.premium - own.premium) > of_premium:
            return Objection.PREMIUM_OFF, f"{said.premium}, own {own.premium}"
        return None


def step_towards(
    wanted: Price, committed: Price, terms: MarketTerms, rules: OracleRules, settling: Settling = NOT_SETTLING
) -> Price | Withheld:
    """What this oracle would publish next; or the reason why it would publish nothing."""
    if committed.index and abs(wanted.index - committed.index) > rules.farthest * committed.index:
        return Withheld.FAR_FROM_COMMITTED
    step = next_step(committed, wanted, Bounds.of(terms, rules.step_ppm, settling))
    return Withheld.NO_STEP if step is None else step
