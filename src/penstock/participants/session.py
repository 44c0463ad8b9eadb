"""A key trading for a subaccount: slots, nonces and signatures, so that callers speak of orders only."""

from typing import Final

from penstock.participants.client import Answer, GatewayClient
from penstock.participants.slots import Slots
from penstock.protocol.commands import (
    GOOD_TIL_CANCELLED,
    CancelAll,
    CancelOrder,
    GrantSession,
    PlaceOrder,
    Record,
    RevokeSession,
    Withdraw,
)
from penstock.protocol.quantities import ANY_FILL, MICRO, NO_DEADLINE
from penstock.protocol.signing import Signer, seal, seal_bundle

NONCE_LEAD: Final = 30 * MICRO
"""How far (µs) a nonce may run ahead of the venue time last heard of; the venue takes twice that."""
DEFAULT_MAX_FEE_PPM: Final = 1_000


class NonceExhausted(Exception):
    """A slot was used so often that its next nonce would be too far ahead; read the venue's time and retry."""


class Session:
    """Signs for one subaccount with one key, an owner's or a session key's.

    Nonces are venue-time microseconds, strictly rising per slot. They follow the latest time the venue has named,
    so a venue clock of any rate is never overtaken by more than `NONCE_LEAD`.
    """

    def __init__(
        self,
        client: GatewayClient,
        separator: bytes,
        subaccount: int,
        signer: Signer,
        slots: Slots | None = None,
    ) -> None:
        self.subaccount = subaccount
        self.signer = signer
        self.slots = slots if slots is not None else Slots()
        self._client = client
        self._separator = separator
        self._nonces: dict[int, int] = {}

    def nonce(self, slot: int) -> int:
        """The slot's next nonce. Raises NonceExhausted."""
        nonce = max(self._client.venue_time, self._nonces.get(slot, 0) + 1)
        if nonce > self._client.venue_time + NONCE_LEAD:
            raise NonceExhausted(f"slot {slot} of subaccount {self.subaccount}")
        self._nonces[slot] = nonce
        return nonce

    def last_nonce(self, slot: int) -> int:
        """The last nonce handed out for a slot, 0 if none was."""
        return self._nonces.get(slot, 0)

    def place(
        self,
        slot: int,
        market: int,
        side: int,
        price: int,
        size: int,
        *,
        time_in_force: int = GOOD_TIL_CANCELLED,
        post_only: bool = False,
        reduce_only: bool = False,
        fill_guard: int = ANY_FILL,
        max_fee_ppm: int = DEFAULT_MAX_FEE_PPM,
        deadline: int = NO_DEADLINE,
        builder: int = 0,
        builder_fee_ppm: int = 0,
    ) -> PlaceOrder:
        """A record that places or replaces the slot's order; `price` in price units, `size` in size units.

        What the order takes pays `builder_fee_ppm` (at most 1,000) to the subaccount `builder`.
        """
        return PlaceOrder(
            self.subaccount, slot, self.nonce(slot), deadline, market, side, price, size, fill_guard,
            time_in_force, post_only, reduce_only, max_fee_ppm, builder, builder_fee_ppm,
        )  # fmt: skip

    def cancel(self, slot: int, deadline: int = NO_DEADLINE) -> CancelOrder:
        """A record that cancels the slot's order."""
        return CancelOrder(self.subaccount, slot, self.nonce(slot), deadline)

    def cancel_all(self, slot: int | None = None, deadline: int = NO_DEADLINE) -> CancelAll:
        """A record that kills every order of the subaccount. Any slot the key may use will do; default: its first."""
        slot = self.slots.first if slot is None else slot
        return CancelAll(self.subaccount, slot, self.nonce(slot), deadline)

    def withdraw(self, amount: int, slot: int = 1, deadline: int = NO_DEADLINE) -> Withdraw:
        """A record that withdraws `amount` (1e-6 USDC)."""
        return Withdraw(self.subaccount, slot, self.nonce(slot), deadline, amount)

    def grant(self, key: bytes, expiry: int, slots: Slots, scopes: int, slot: int = 2) -> GrantSession:
        """A record that lets `key` (20-byte address) sign until `expiry` (s) for every market, the owner's to sign.

        The venue refuses slots that another live key has: `revoke` that one first.
        """
        every_underlying, every_kind = (1 << 64) - 1, (1 << 8) - 1
        return GrantSession(
            self.subaccount, slot, self.nonce(slot), NO_DEADLINE, key, expiry, slots.first, slots.last, scopes,
            every_underlying, every_kind,
        )  # fmt: skip

    def revoke(self, key: bytes, slot: int = 2) -> RevokeSession:
        """A record that ends `key` (20-byte address) and its resting orders at once, the owner's to sign."""
        return RevokeSession(self.subaccount, slot, self.nonce(slot), NO_DEADLINE, key)

    def seal(self, record: Record) -> bytes:
        """The envelope of one record, signed."""
        return seal(self._separator, record, [self.signer])

    def seal_all(self, records: list[Record], deadline: int = NO_DEADLINE) -> bytes:
        """The envelope of an independent bundle of 1 to 64 records, signed once."""
        return seal_bundle(self._separator, self.subaccount, deadline, records, self.signer)

    async def submit(self, record: Record) -> Answer:
        """Sign and send one record and wait for its answer. Raises ConnectionLost."""
        return await self._client.submit(self.seal(record))
