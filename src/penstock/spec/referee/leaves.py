"""Leaves before the entry, opened: the two sides with their slots and sessions, the markets they hold."""

from typing import Any, Final

from msgspec import Struct

from penstock.protocol.events import BY_OWNER_KEY
from penstock.protocol.ledger import (
    ACCOUNT_LEAF,
    MARKET_LEAF,
    POSITION,
    SESSION_LEAF,
    SESSIONS_DEPTH,
    SLOT_LEAF,
    SLOTS_DEPTH,
    TERMS,
    TIER,
    Domains,
)
from penstock.protocol.quantities import MAX_POSITIONS, MAX_TIERS, MICRO
from penstock.protocol.terms import Tier
from penstock.protocol.words import keccak
from penstock.spec.positions import Holding
from penstock.spec.referee.witness import Witness, leaf_hash
from penstock.spec.state import EXPIRED, HALTED, RESTRICTED, SHORTFALL_BOOKED, FilledSlot, Position, Session

_POSITIONS_AT: Final = 128
_MOST_MARKETS: Final = 2 * MAX_POSITIONS + 1


class Side(Struct):
    """One side of the trade as its leaf has it; `slots_root` is that after the trade."""

    leaf: bytes
    owner: bytes
    holding: Holding
    session: Session | None
    slot_fits: bool
    slots_root: bytes

    def leaf_after(self, holding: Holding) -> bytes:
        """The account leaf with this holding and the filled slot."""
        positions = b"".join(POSITION.pack(m, p.size, p.entry, p.funding) for m, p in sorted(holding.positions.items()))
        count, cash = len(holding.positions).to_bytes(1, "big"), holding.cash.to_bytes(12, "big", signed=True)
        return self.leaf[:31] + count + cash + self.leaf[44:64] + self.slots_root + self.leaf[96:128] + positions


class Fill(Struct, frozen=True):
    """What a fill asks of a slot: the order's nonce, hash and size, and the slot leaf it leaves."""

    slot: int
    size: int
    order_size: int
    after: FilledSlot


class JudgedTerms(Struct, frozen=True):
    """The terms of a market that a trade entry is judged by; names as in MarketTerms."""

    market: int
    underlying: int
    kind: int
    tick: int
    lot: int
    maker_fee_ppm: int
    taker_fee_ppm: int
    liquidation_fee_ppm: int
    liquidation_band_ppm: int
    liquidation_slice: int
    price_step_ppm: int
    mark_band_ppm: int
    stale_after: int
    funding_interval: int
    funding_cap: int
    funding_interest: int
    funding_clamp: int
    expiry: int
    strike: int
    option_type: int
    position_cap: int
    open_interest_cap: int
    crowded_from: int
    price_interval: int
    tiers: tuple[Tier, ...]


class JudgedMarket(Struct):
    """A market's leaf and terms; names as in the state's Market."""

    leaf: bytes
    terms: JudgedTerms
    index_price: int
    mark_price: int
    priced_at: int
    flags: int
    crowding: int
    funding_index: int
    fees: int
    size_funding: int
    entry_total: int
    dust: int
    open_interest: int
    builder_fees: int

    @property
    def reduce_only(self) -> bool:
        """Whether only reduce-only orders are taken, whatever the price."""
        return self.flags & (SHORTFALL_BOOKED | RESTRICTED) != 0

    @property
    def halted(self) -> bool:
        """Whether nothing but cancels is taken."""
        return self.flags & HALTED != 0

    @property
    def expired(self) -> bool:
        """Whether the settlement price is fixed."""
        return self.flags & EXPIRED != 0

    def over(self, time: int) -> bool:
        """Whether venue time has reached the market's expiry: nothing trades any more."""
        return 0 < self.terms.expiry * MICRO <= time

    def fresh(self, time: int) -> bool:
        """Whether the market has a price not older than its terms allow; a settlement price does not age."""
        return self.expired or (self.mark_price > 0 and time <= self.priced_at + self.terms.stale_after)

    def leaf_after(self) -> bytes:
        """The market's leaf with its present sums."""
        leaf = self.leaf
        sums = (
            self.fees.to_bytes(12, "big", signed=True)
            + leaf[62:64]
            + self.size_funding.to_bytes(20, "big", signed=True)
        )
        sums += self.entry_total.to_bytes(12, "big", signed=True) + self.dust.to_bytes(12, "big")
        open_interest, builder_fees = self.open_interest.to_bytes(7, "big"), self.builder_fees.to_bytes(10, "big")
        return leaf[:50] + sums + leaf[108:120] + open_interest + leaf[127:145] + builder_fees + leaf[155:]


class JudgedMarkets(Struct):
    """The opened markets by number; an absent one is None and can only be the traded one."""

    markets: dict[int, Any]


def open_side(witness: Witness, leaf: bytes, fill: Fill | None, session: int) -> Side:
    """slot (present u8 · leaf · opening) unless there is none · session (present u8 · leaf · opening) unless the owner.

    The account leaf has been taken before.
    """
    witness.require(len(leaf) >= _POSITIONS_AT, "the account leaf is cut")
    head = ACCOUNT_LEAF.unpack(leaf[:_POSITIONS_AT])
    slots_root, slot_fits = head["slots_root"], True
    if fill is not None:
        before = witness.take(SLOT_LEAF.length) if witness.number(1) else b""
        slot_fits, after = _filled(before, fill)
        old_hash = leaf_hash(Domains.SLOT_LEAF, before)
        hashes = (old_hash, leaf_hash(Domains.SLOT_LEAF, after) if slot_fits else old_hash)
        old, slots_root = witness.climb(SLOTS_DEPTH, {fill.slot: hashes})
        witness.require(old == head["slots_root"], "the slot is not the account's")
    opened = None
    if session != BY_OWNER_KEY:
        found = witness.take(SESSION_LEAF.length) if witness.number(1) else b""
        hashed = leaf_hash(Domains.SESSION_LEAF, found)
        old, _ = witness.climb(SESSIONS_DEPTH, {session: (hashed, hashed)})
        witness.require(old == head["sessions_root"], "the session is not the account's")
        opened = Session(*SESSION_LEAF.values(found)[:-1]) if found else None
    return Side(leaf, head["owner"], _holding(witness, leaf, head), opened, slot_fits, slots_root)


def open_markets(witness: Witness) -> JudgedMarkets:
    """count u8 · per market, ascending: number u24 · present u8 · leaf · terms and tiers."""
    markets: dict[int, Any] = {}
    count = witness.number(1)
    witness.require(count <= _MOST_MARKETS, "too many markets")
    for _ in range(count):
        market = witness.number(3)
        witness.require(market > max(markets, default=-1), "the markets do not ascend")
        if not witness.number(1):
            markets[market] = None
            continue
        leaf = witness.take(MARKET_LEAF.length)
        packed = witness.take(TERMS.length)
        witness.require(packed[-1] <= MAX_TIERS, "the terms have too many tiers")
        packed += witness.take(TIER.length * packed[-1])
        witness.require(keccak(Domains.PARAMETERS + packed) == leaf[160:], "the terms are not the market's")
        markets[market] = _market(leaf, packed)
    return JudgedMarkets(markets)


def _market(leaf: bytes, packed: bytes) -> JudgedMarket:
    fields = MARKET_LEAF.unpack(leaf)
    *terms, count = TERMS.values(packed[: TERMS.length])
    tiers = [packed[TERMS.length + at * TIER.length :][: TIER.length] for at in range(count)]
    return JudgedMarket(
        leaf, _terms(terms, tiers), fields["index_price"], fields["mark_price"],
        fields["priced_at"], fields["flags"], fields["crowding"], fields["funding_index"], fields["fees"],
        fields["size_funding"], fields["entry_total"], fields["dust"], fields["open_interest"],
        fields["builder_fees"],
    )  # fmt: skip


def _filled(before: bytes, fill: Fill) -> tuple[bool, bytes]:
    """Whether the slot allows the fill, and the slot leaf after it."""
    old = FilledSlot(*SLOT_LEAF.values(before)) if before else FilledSlot(0, 0, 0, 0, 0, 0, bytes(32))
    after = fill.after
    again = after.nonce == old.nonce
    if again and (old.record_hash, old.priority, old.member) != (after.record_hash, after.priority, after.member):
        return False, before
    filled = (old.filled if again else 0) + fill.size
    if after.nonce < old.nonce or filled > fill.order_size:
        return False, before
    return True, SLOT_LEAF.pack(
        after.nonce, filled, after.price, after.priority, after.member, after.flags, after.record_hash
    )


def _holding(witness: Witness, leaf: bytes, head: dict[str, Any]) -> Holding:
    words = leaf[_POSITIONS_AT:]
    witness.require(len(words) == 32 * head["positions"] <= 32 * MAX_POSITIONS, "the account leaf is cut")
    positions: dict[int, Position] = {}
    for at in range(0, len(words), 32):
        market, size, entry, funding = POSITION.values(words[at : at + 32])
        witness.require(market > max(positions, default=-1) and size != 0, "the positions do not ascend")
        positions[market] = Position(size, entry, funding)
    return Holding(head["cash"], positions)


def _terms(terms: list[Any], tiers: list[bytes]) -> JudgedTerms:
    return JudgedTerms(*terms, tuple(Tier(*TIER.values(tier)) for tier in tiers))  # type: ignore[call-arg]
