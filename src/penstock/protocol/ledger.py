"""Packed forms of leaves and ledger entries, as `schema/packed.txt` lists them."""

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from penstock.protocol.forms import Form
from penstock.protocol.reasons import Reason, Refusal
from penstock.protocol.words import keccak


class Domains:
    """The first byte of everything that is hashed."""

    BUNDLE_LEAF: Final = b"\x00"
    BUNDLE_NODE: Final = b"\x01"
    TREE_NODE: Final = b"\x02"
    ACCOUNT_LEAF: Final = b"\x03"
    SLOT_LEAF: Final = b"\x04"
    SESSION_LEAF: Final = b"\x05"
    MARKET_LEAF: Final = b"\x06"
    GLOBALS: Final = b"\x07"
    SETTLEMENT_ROOT: Final = b"\x08"
    LEDGER_ENTRY: Final = b"\x09"
    STEP: Final = b"\x0a"
    SEQUENCED: Final = b"\x0b"
    ENGINE_ROOT: Final = b"\x0c"
    DEPOSIT: Final = b"\x0d"
    PARAMETERS: Final = b"\x0e"
    SAVED_STATE: Final = b"\x0f"
    RECEIPT_LEAF: Final = b"\x10"
    RECEIPT_NODE: Final = b"\x11"


ACCOUNTS_DEPTH: Final = 12
MARKETS_DEPTH: Final = 8
SLOTS_DEPTH: Final = 6
SESSIONS_DEPTH: Final = 3
LIST_DEPTH: Final = 10


ACCOUNT_LEAF: Final = Form(
    "account_leaf",
    "owner b20, flags u88, positions u8, cash i96, withdrawn u96, spare u64, slots_root b32, sessions_root b32",
)
POSITION: Final = Form("position", "market u24, size i56, entry i96, funding i80")
SLOT_LEAF: Final = Form(
    "slot_leaf",
    "nonce u64, filled u48, price u40, priority_sequence u64, member u8, flags u32, order_hash b32",
)
SESSION_LEAF: Final = Form(
    "session_leaf",
    "key b20, expiry u40, slot_first u12, slot_last u12, scopes u32, underlyings u64, kinds u8, "
    "from_sequence u64, revoked_at_sequence u64, spare u56",
)
MARKET_LEAF: Final = Form(
    "market_leaf",
    "index_price u40, mark_price u40, priced_at u64, rate_time i96, flags u16, funding_index i80, funded_at u64, "
    "fees i96, crowding u16, size_funding i160, entry_total i96, dust u96, shortfall u96, open_interest u56, spare u8, "
    "window_sum u72, priced_since u64, builder_fees u80, premium i32, spare2 u8, parameters b32",
)
GLOBALS: Final = Form("globals", "deposited u96, withdrawn u96, spare u64, ruleset b32")
TERMS: Final = Form(
    "terms",
    "market u24, underlying u8, kind u8, tick u40, lot u48, maker_fee_ppm i24, taker_fee_ppm u24, "
    "liquidation_fee_ppm u24, liquidation_band_ppm u24, liquidation_slice u96, price_step_ppm u24, mark_band_ppm u24, "
    "stale_after u64, funding_interval u64, funding_cap u32, "
    "funding_interest i32, funding_clamp u32, expiry u40, strike u40, option_type u8, position_cap u56, "
    "open_interest_cap u56, crowded_from u56, price_interval u32, tiers u8",
)
TEMPLATE: Final = Form("template", "template u16, dates u8, strike_step u40, strike_band_ppm u24, index_market u24")
TIER: Final = Form("tier", "notional u96, initial_ppm u24, maintenance_ppm u24")
LEAF_FORMS: Final = (ACCOUNT_LEAF, POSITION, SLOT_LEAF, SESSION_LEAF, MARKET_LEAF, TERMS, TEMPLATE, TIER, GLOBALS)

ENTRY_HEADER: Final = "kind u8, sequence u64, member u8, index u16, "
ENTRY_FORMS: Final = {
    number: Form(name, ENTRY_HEADER + layout)
    for number, name, layout in (
        (1, "deposit", "deposit u64, subaccount u24, owner b20, amount u96, l1_block u64"),
        (2, "withdraw", "subaccount u24, slot u16, nonce u64, amount u96, order_hash b32"),
        (
            3,
            "trade",
            "market u24, price u40, size u48, "
            "maker u24, maker_slot u16, maker_session u8, maker_sequence u64, maker_member u8, "
            "maker_priority u64, maker_priority_member u8, maker_fee i96, maker_scenario u8, "
            "taker u24, taker_slot u16, taker_session u8, taker_fee i96, taker_scenario u8, "
            "taker_equity i128, taker_initial u128, taker_held i56, builder u24, builder_fee u96, flags u8, "
            "maker_hash b32, taker_hash b32",
        ),
        (4, "price", "market u24, published_at u64, index_price u40, mark_price u40, premium i32, signers u8"),
        (5, "funding", "market u24, funded_at u64, funding_index i80"),
        (6, "fee", "market u24, fees i96, dust u96, repaid u96"),
        (7, "key", "subaccount u24, session u8, key b20, revoked u8, record_hash b32"),
        (8, "liquidate", "subaccount u24, market u24, from_fees u96, covered u96, booked u96"),
        (9, "status", "market u24, flags u16, until u64"),
        (10, "list", "market u24, template u16, expiry u40, strike u40, option_type u8"),
        (11, "delist", "market u24, expiry u40"),
        (12, "expire", "market u24, index_price u40, mark_price u40, funding_index i80"),
        (13, "close", "subaccount u24, market u24, size i56, cash i96"),
        (14, "builder", "market u24, subaccount u24, amount u96"),
    )
}
DEPOSIT, WITHDRAW, TRADE, PRICE, FUNDING, FEE, KEY, LIQUIDATE, STATUS, LIST, DELIST, EXPIRE, CLOSE, BUILDER = (
    ENTRY_FORMS
)


class AccountWrite(Struct, frozen=True):
    """A new version of an account leaf: what precedes the two roots, what follows, and the sub-leaves written."""

    subaccount: int
    head: bytes
    positions: bytes
    slots: tuple[tuple[int, bytes], ...] = ()
    sessions: tuple[tuple[int, bytes], ...] = ()


class Entry(Struct, frozen=True):
    """One ledger entry and the leaf versions it leaves behind; hashing them is somebody else's time."""

    packed: bytes
    accounts: tuple[AccountWrite, ...] = ()
    markets: tuple[tuple[int, bytes], ...] = ()
    global_leaf: bytes | None = None
    deposit_head: bytes | None = None

    def hash(self) -> bytes:
        """keccak(0x09 ‖ packed)."""
        return entry_hash(self.packed)


def decode_entry(packed: bytes) -> dict[str, int | bytes]:
    """Field values of a ledger entry. Refusal(TYPE_UNKNOWN) for an unknown kind, RECORD_LENGTH_WRONG by length."""
    form = ENTRY_FORMS.get(packed[0]) if packed else None
    if form is None:
        raise Refusal(Reason.TYPE_UNKNOWN)
    return form.unpack(packed)


def entry_hash(packed: bytes) -> bytes:
    """The hash of a packed ledger entry."""
    return keccak(Domains.LEDGER_ENTRY + packed)


def step_hash(entry_hash: bytes, settlement_root: bytes) -> bytes:
    """A leaf of a batch's ledger list: an entry and the settlement root after it."""
    return keccak(Domains.STEP + entry_hash + settlement_root)


def sequenced_hash(
    sequence: int, time: int, record_hash: bytes, signatures_hash: bytes, member_hashes: Sequence[bytes]
) -> bytes:
    """A leaf of a batch's sequence list: what was sequenced, when, its signatures (85 bytes each) and members."""
    stamped = sequence.to_bytes(8, "big") + time.to_bytes(8, "big")
    return keccak(Domains.SEQUENCED + stamped + record_hash + signatures_hash + members_hash(member_hashes))


def members_hash(member_hashes: Sequence[bytes]) -> bytes:
    """keccak of the struct hashes of a bundle's members one after the other; 32 zero bytes for none."""
    return keccak(b"".join(member_hashes)) if member_hashes else bytes(32)


def next_deposit_head(head: bytes, deposit: int, subaccount: int, owner: bytes, amount: int) -> bytes:
    """The deposit chain's head after one deposit, as the Vault computes it."""
    return keccak(
        Domains.DEPOSIT
        + head
        + deposit.to_bytes(8, "big")
        + subaccount.to_bytes(3, "big")
        + owner
        + amount.to_bytes(12, "big")
    )
